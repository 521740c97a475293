import { describe } from 'node:test';
import { alsoOnLinux, ethernet, IPV6, packet, rule, skb, xdpMd } from './packet-bench.ts';

/** What helpers do to packets. */

/** A call with the context, then numbers; r0 comes back. */
const call = (id: number, ...args: number[]) =>
  `r6 = r1\n${args.map((value, i) => `r${i + 2} = ${value}`).join('\n')}\ncall ${id}\nexit`;
/** Likewise, twice. */
const twice = (id: number, ...args: number[]) => {
  const set = args.map((value, i) => `r${i + 2} = ${value}`).join('\n');
  return `r6 = r1\n${set}\ncall ${id}\nr1 = r6\n${set}\ncall ${id}\nexit`;
};
const LONG = packet(5000);
/** An IPv4 packet whose checksum is right. */
const VALID = ethernet(0x0800, 60);
VALID.set(
  [
    0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0x66, 0xbd, 10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0x39, 0, 7, 0, 26, 0x12,
    0x34,
  ],
  14,
);
const VLAN = ethernet(0x8100, 64);
VLAN.set([0x20, 5, 0x81, 0, 0, 9, 8, 0, 0x45], 14);

describe('helpers on XDP frames', () => {
  const packets = [{ data: packet(60) }, { data: packet(60), ctx: xdpMd(8, 60) }, { data: packet(3400) }];
  for (const offset of [0, 4, -4, 40, 46, 47, -208, -212, -216, -217, -256, 1000])
    rule(`the head moves by ${offset}`, 'xdp', call(44, offset), packets);
  for (const offset of [0, 1, -1, -46, -47, -60, 120, 121, 3460, 3461, 5000])
    rule(`the tail moves by ${offset}`, 'xdp', call(65, offset), packets);
  for (const offset of [0, -904, -905, -1480, -4000, -4985, -4986, -4987, 100, 2616, 2617, 4000])
    rule(`the tail moves by ${offset} where there are fragments`, 'xdp.frags', call(65, offset), [
      { data: LONG },
      { data: packet(12_000) },
    ]);
  for (const offset of [0, 4, 8, 12, -4, -32, -36, -2, -208, -216, -220, -256])
    rule(`metadata begins ${offset} bytes further`, 'xdp', call(54, offset), packets);
  rule(
    'the head moves with its metadata',
    'xdp',
    'r6 = r1\nr2 = -8\ncall 54\nr2 = *(u32 *)(r6 + 8)\nr3 = *(u32 *)(r6 + 0)\nr4 = r2\nr4 += 8\nif r4 > r3 goto out\nr5 = 0x55\n*(u8 *)(r2 + 3) = r5\nr1 = r6\nr2 = -16\ncall 44\nr1 = r6\nr2 = 4\ncall 44\nout: exit',
    packets,
  );
  const pull = (length: number, then: string) =>
    `r6 = r1\nr2 = ${length}\ncall bpf_xdp_pull_data\nr1 = r6\n${then}\nexit\n.extern kfunc bpf_xdp_pull_data : s32 (void *x, u32 len)`;
  const split = [packet(60), packet(12_000), LONG].flatMap((data) => [
    { data },
    { data, ctx: xdpMd(0, 20) },
    { data, ctx: xdpMd(8, 20) },
  ]);
  for (const length of [0, 20, 21, 60, 61, 3520, 3521, 3736, 3737, 3900, 4200, 5001])
    rule(`${length} bytes are pulled out of fragments`, 'xdp.frags', pull(length, ''), split);
  for (const offset of [-30, -2000, 80, 2616, 100])
    rule(
      `the tail moves by ${offset} where bytes were pulled`,
      'xdp.frags',
      pull(100, `r2 = ${offset}\ncall 65`),
      split,
    );
  rule(
    'what was pulled can be pulled again, further',
    'xdp.frags',
    pull(64, 'r2 = 3000\ncall bpf_xdp_pull_data'),
    split,
  );
  rule('bytes of a packet are counted with its fragments', 'xdp.frags', call(188), [
    { data: packet(60) },
    { data: LONG },
    { data: packet(60), ctx: xdpMd(8, 60) },
  ]);
  for (const [offset, size] of [
    [0, 16],
    [44, 16],
    [45, 16],
    [3500, 64],
    [4990, 10],
    [4990, 11],
    [0x10000, 4],
    [-1, 4],
  ] as const) {
    rule(
      `${size} bytes are read at ${offset}`,
      'xdp.frags',
      `r6 = r1\nr3 = r10\nr3 += -64\nr2 = 0\n${[8, 16, 24, 32, 40, 48, 56, 64].map((at) => `*(u64 *)(r10 - ${at}) = r2`).join('\n')}\nr2 = ${offset}\nr4 = ${size}\ncall 189\nr1 = *(u8 *)(r10 - 64)\nr1 <<= 8\nr0 ^= r1\nr1 = *(u8 *)(r10 - ${65 - size})\nr1 <<= 16\nr0 ^= r1\nexit`,
      [{ data: packet(60) }, { data: LONG }],
    );
    rule(
      `${size} bytes are written at ${offset}`,
      'xdp.frags',
      `r3 = r10\nr3 += -64\nr2 = 0x1234567\n${[8, 16, 24, 32, 40, 48, 56, 64].map((at) => `*(u64 *)(r10 - ${at}) = r2`).join('\n')}\nr2 = ${offset}\nr4 = ${size}\ncall 190\nexit`,
      [{ data: packet(60) }, { data: LONG }],
    );
  }
  for (const flags of [0, 1])
    rule(`a packet goes elsewhere with flags ${flags}`, 'xdp', `r1 = 1\nr2 = ${flags}\ncall 23\nexit`, [
      { data: packet(60) },
    ]);
});

describe('helpers on socket buffers', () => {
  const packets = [
    { data: VALID, ctx: skb() },
    { data: IPV6, ctx: skb() },
    { data: ethernet(0x1234, 20), ctx: skb() },
    { data: VLAN, ctx: skb() },
  ];
  const store = (offset: number, size: number, flags: number) =>
    `r3 = r10\nr3 += -8\nr2 = 0x1234567\n*(u64 *)(r10 - 8) = r2\nr2 = ${offset}\nr4 = ${size}\nr5 = ${flags}\ncall 9\nexit`;
  for (const [offset, size, flags] of [
    [0, 8, 0],
    [12, 8, 0],
    [13, 8, 0],
    [52, 8, 0],
    [53, 8, 0],
    [0, 4, 3],
    [0, 4, 4],
    [-1, 4, 0],
  ] as const)
    rule(
      `${size} bytes are stored at ${offset}, with flags ${flags}`,
      'tc',
      store(offset, size, flags),
      packets,
    );
  const load = (id: number, offset: number, size: number, header: number) =>
    `r6 = r1\nr3 = r10\nr3 += -8\nr2 = -1\n*(u64 *)(r10 - 8) = r2\nr2 = ${offset}\nr4 = ${size}\nr5 = ${header}\ncall ${id}\nr1 = *(u32 *)(r10 - 8)\nr0 ^= r1\nexit`;
  for (const section of ['tc', 'socket'])
    for (const offset of [0, 10, 38, 39, 45, 52, 53, 0xffff, 0x10000, -4]) {
      rule(`8 bytes are loaded at ${offset}`, section, load(26, offset, 8, 0), packets);
      for (const header of [0, 1, 2])
        rule(
          `8 bytes are loaded at ${offset} from header ${header}`,
          section,
          load(68, offset, 8, header),
          packets,
        );
    }
  for (const size of [0, 20, 60, 61, 70, 71]) rule(`${size} bytes are pulled`, 'tc', call(39, size), packets);
  for (const length of [0, 13, 14, 40, 60, 100, 16_064, 16_065])
    rule(`the length becomes ${length}`, 'tc', call(38, length, 0), packets);
  rule('the length is changed with flags', 'tc', call(38, 60, 1), packets);
  for (const bytes of [0, 14, 100, 16_000, 16_010, -1])
    rule(`the head grows by ${bytes}`, 'tc', call(43, bytes, 0), packets);
  for (const [mode, flags] of [
    [0, 0],
    [1, 0],
    [2, 0],
    [1, 2],
    [1, 4],
    [0, 2],
    [1, 6],
    [0, 512],
    [1, 128],
    [1, 256],
    [0, 128],
    [1, 10],
    [1, 18],
    [1, 26],
  ] as const)
    for (const bytes of [0, 4, 20, 40, -4, -20, -25, -26, -27, 4095, 4096, -4096])
      rule(
        `room changes by ${bytes}, mode ${mode}, flags ${flags}`,
        'tc',
        `${call(50, bytes, mode, flags).replace(/exit$/, '')}r1 = *(u32 *)(r6 + 16)\nr1 <<= 16\nr0 ^= r1\nexit`,
        packets,
      );
  for (const to of [0x0008, 0xdd86, 0x3412])
    rule(
      `the protocol becomes ${to}`,
      'tc',
      `${call(31, to, 0).replace(/exit$/, '')}r1 = *(u32 *)(r6 + 16)\nr1 <<= 16\nr0 ^= r1\nexit`,
      packets,
    );
  for (const type of [0, 1, 3, 4])
    rule(
      `the type becomes ${type}`,
      'tc',
      `${call(32, type).replace(/exit$/, '')}r1 = *(u32 *)(r6 + 4)\nr1 <<= 8\nr0 ^= r1\nexit`,
      packets,
    );
  const vlan = (text: string) =>
    `${text.replace(/exit$/, '')}r2 = *(u32 *)(r6 + 20)\nr0 <<= 1\nr0 ^= r2\nr2 = *(u32 *)(r6 + 24)\nr0 <<= 8\nr0 ^= r2\nr2 = *(u32 *)(r6 + 28)\nr0 <<= 4\nr0 ^= r2\nr2 = *(u32 *)(r6 + 16)\nr0 <<= 2\nr0 ^= r2\nr2 = *(u32 *)(r6 + 0)\nr0 <<= 1\nr0 ^= r2\nexit`;
  rule('a VLAN tag is pushed', 'tc', vlan(call(18, 0x0081, 5)), packets);
  rule('a second one is pushed', 'tc', vlan(twice(18, 0xa888, 0x2005)), packets);
  rule('a tag of no known kind is pushed', 'tc', vlan(call(18, 0x1234, 5)), packets);
  rule('a tag is popped', 'tc', vlan(call(19)), packets);
  rule('two tags are popped', 'tc', vlan(twice(19)), packets);
  rule(
    'two tags are pushed and one is popped',
    'tc',
    vlan(`${twice(18, 0x0081, 7).replace(/exit$/, '')}r1 = r6\ncall 19\nexit`),
    packets,
  );
  for (const flags of [0, 2, 4, 1, 0x12, 0x20, 0x22, 0x40, 0x62, 0x100])
    for (const offset of [24, 40, 25, 59, 60, 0x10000]) {
      const replace = (id: number) =>
        `r2 = ${offset}\nr3 = 0x0a01\nr4 = 0x10b2\nr5 = ${flags}\ncall ${id}\nexit`;
      rule(`a checksum at ${offset} changes, flags ${flags}, IP`, 'tc', replace(10), [{ data: VALID }]);
      rule(`a checksum at ${offset} changes, flags ${flags}, TCP or UDP`, 'tc', replace(11), [
        { data: VALID },
        { data: ethernet(0x0800, 60).fill(0, 14).fill(0x45, 14, 15) },
      ]);
      rule(
        `a checksum at ${offset} changes by a difference, flags ${flags}`,
        'tc',
        replace(11).replace('0x0a01', '0'),
        [{ data: VALID }],
      );
    }
  for (const seed of [0, 1, 0xffff, -1])
    for (const [from, to] of [
      [0, 8],
      [8, 0],
      [8, 8],
      [4, 8],
      [0, 16],
      [3, 4],
      [16, 16],
    ] as const)
      rule(
        `the difference of ${from} bytes and ${to}, with ${seed}`,
        'tc',
        `r2 = 0x12345678\n*(u64 *)(r10 - 16) = r2\nr2 <<= 20\n*(u64 *)(r10 - 8) = r2\nr2 ^= -1\n*(u64 *)(r10 - 24) = r2\n*(u64 *)(r10 - 32) = r1\n*(u64 *)(r10 - 32) = r2\nr1 = r10\nr1 += -16\nr2 = ${from}\nr3 = r10\nr3 += -32\nr4 = ${to}\nr5 = ${seed}\n${from === 0 ? 'r1 = 0\n' : ''}${to === 0 ? 'r3 = 0\n' : ''}call 28\nexit`,
        [{ data: VALID }],
      );
  rule('there is no complete checksum to update', 'tc', call(40, 5), packets);
  for (const level of [0, 1, 2, 3, 4])
    rule(`the checksum level: ${level}, twice`, 'tc', twice(135, level), packets);
  rule(
    'a hash is set',
    'tc',
    `${call(48, 77).replace(/exit$/, '')}r1 = r6\ncall 34\nr1 = *(u32 *)(r6 + 68)\nr0 <<= 8\nr0 |= r1\nexit`,
    packets,
  );
  rule(
    'a hash is set and made invalid',
    'tc',
    `${call(48, 77).replace(/exit$/, '')}r1 = r6\ncall 41\nr0 = *(u32 *)(r6 + 68)\nexit`,
    packets,
  );
  rule(
    'a hash is computed, and stays',
    'tc',
    `${call(34).replace(/exit$/, '')}r7 = r0\nr1 = r6\ncall 34\nr0 ^= r7\nr0 <<= 1\nif r7 == 0 goto zero\nr0 |= 1\nzero: exit`,
    packets,
  );
  const marked = VALID.slice();
  marked[15] = 1;
  rule('congestion is marked', 'tc', call(97), [...packets, { data: marked }]);
  for (const [time, type] of [
    [0, 0],
    [5, 0],
    [5, 1],
    [0, 1],
    [5, 2],
    [5, 3],
  ] as const)
    rule(
      `the time ${time} of type ${type} is set`,
      'tc',
      `${call(192, time, type).replace(/exit$/, '')}r1 = *(u64 *)(r6 + 152)\nr1 <<= 8\nr0 ^= r1\nr1 = *(u8 *)(r6 + 180)\nr1 <<= 16\nr0 ^= r1\nexit`,
      packets,
    );
  for (const [id, flags] of [
    [23, 0],
    [23, 1],
    [23, 2],
    [155, 0],
    [155, 1],
  ] as const)
    rule(
      `helper ${id} sends a packet elsewhere with flags ${flags}`,
      'tc',
      `r1 = 1\nr2 = ${flags}\ncall ${id}\nexit`,
      packets,
    );
  for (const [ifindex, flags] of [
    [1, 1],
    [1, 2],
    [999, 0],
  ] as const)
    rule(`a clone goes to interface ${ifindex} with flags ${flags}`, 'tc', call(13, ifindex, flags), packets);
  for (const [ifindex, given, difference, flags] of [
    [0, 0, 0, 0],
    [1, 0, 70_000, 0],
    [999, 0, 0, 0],
    [0, 0, 0, 1],
    [0, 65_536, 0, 0],
    [0, 65_537, 0, 0],
    [0, 5, 0, 1],
    [0, 0, 0, 2],
  ] as const)
    for (const section of ['tc', 'xdp'])
      rule(
        `the MTU of ${ifindex} for ${given} and ${difference}, flags ${flags}`,
        section,
        `r3 = ${given}\n*(u32 *)(r10 - 8) = r3\nr2 = ${ifindex}\nr3 = r10\nr3 += -8\nr4 = ${difference}\nr5 = ${flags}\ncall 163\nr1 = *(u32 *)(r10 - 8)\nr1 <<= 8\nr0 ^= r1\nexit`,
        [{ data: VALID }],
      );
  rule(
    'the socket is a full one, and no TCP socket',
    'tc',
    'r6 = *(u64 *)(r1 + 168)\nr0 = 1\nif r6 == 0 goto out\nr1 = r6\ncall 95\nr0 = 2\nif r0 == 0 goto out\nr1 = r6\ncall 96\nif r0 != 0 goto out\nr0 = 3\nout: r0 = 4\nexit',
    packets,
  );
});

describe('loads by BPF_ABS and BPF_IND', () => {
  const packets = [{ data: VALID }, { data: IPV6 }, { data: ethernet(0x1234, 20) }];
  const load = (text: string) => `r6 = r1\nr7 = 5\n${text}\nr0 += r7\nexit`;
  for (const section of ['tc', 'socket'])
    for (const size of [8, 16, 32])
      for (const at of [
        0, 1, 12, 42, 44, 45, 46, 56, 57, 58, 59, 60, 1000, -0x100000, -0xffff8, -0xfffd4, -0x200000,
        -0x1ffff4, -0x200001, -1,
      ]) {
        rule(`u${size} at ${at}`, section, load(`r0 = *(u${size} *)skb[${at}]`), packets);
        rule(
          `u${size} at ${at}, by a register`,
          section,
          load(`r7 = ${at - 3}\nr0 = *(u${size} *)skb[r7 + 3]`),
          packets,
        );
      }
});

alsoOnLinux();
