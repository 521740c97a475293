import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  alsoOnLinux,
  ethernet,
  everywhere,
  IPV4,
  IPV6,
  PACKETS,
  packet,
  RICH,
  rule,
  skb,
  xdpMd,
} from './packet-bench.ts';

/** Test runs of programs that see packets: what they find and what comes back. */

describe('a test run of an XDP program', () => {
  const sizes =
    'r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = *(u32 *)(r1 + 8)\nr0 = r3\nr0 -= r2\nr2 -= r4\nr2 <<= 16\nr0 |= r2\nexit';
  rule(
    'takes 14 bytes and more, and as many as 17 fragments hold besides the frame',
    'xdp',
    sizes,
    [0, 13, 14, 3519, 3520, 3521, 4096, 73_152, 73_153].map((length) => ({ data: packet(length) })),
    ['EINVAL', 'EINVAL', 14, 3519, 3520, 3520, 3520, 3520, 'ENOMEM'],
  );
  rule('needs a packet', 'xdp', sizes, [{}, { ctx: xdpMd(0, 60) }], ['EINVAL', 'EINVAL']);
  rule(
    'takes metadata before the packet, up to 216 bytes of it',
    'xdp',
    sizes,
    [
      [0, 60],
      [4, 60],
      [5, 60],
      [36, 60],
      [46, 60],
      [60, 60],
      [61, 60],
      [0, 61],
      [0, 14],
      [0, 0],
    ].map(([data, end]) => ({ data: packet(60), ctx: xdpMd(data, end) })),
  );
  rule(
    'takes as much metadata as the headroom has besides a struct xdp_frame',
    'xdp',
    sizes,
    [216, 220, 252, 256].map((data) => ({ data: packet(300), ctx: xdpMd(data, 300) })),
  );
  rule(
    'is on the loopback interface, which has one queue',
    'xdp',
    'r0 = *(u32 *)(r1 + 12)\nr2 = *(u32 *)(r1 + 16)\nr0 += r2\nexit',
    [[], [0], [1], [0, 1], [1, 1], [999], [0, 0, 1]].map((rest) => ({
      data: packet(60),
      ctx: xdpMd(0, 60, 0, ...rest),
    })),
    [1, 1, 1, 'EINVAL', 'EINVAL', 'ENODEV', 'EINVAL'],
  );
  rule(
    'takes a context that is longer than struct xdp_md where that is 0, and a shorter one',
    'xdp',
    sizes,
    [new Uint8Array(25), new Uint8Array(25).fill(1, 24), xdpMd(0, 60).slice(0, 8)].map((ctx) => ({
      data: packet(60),
      ctx,
    })),
  );
  rule(
    'writes the packet, and goes on with what it wrote when repeated',
    'xdp',
    'r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 16\nr0 = 1\nif r4 > r3 goto out\nr5 = *(u64 *)(r2 + 8)\nr5 += 1\n*(u64 *)(r2 + 8) = r5\nr0 = 2\nout: exit',
    [{ data: packet(60) }, { data: packet(15) }, { data: packet(60), repeat: 5 }],
    [2, 1, 2],
  );
});

describe('a test run of a classifier', () => {
  const field = (at: number, size = 32) => `r0 = *(u${size} *)(r1 + ${at})\nexit`;
  for (const [name, at] of Object.entries({
    len: 0,
    pkt_type: 4,
    mark: 8,
    queue_mapping: 12,
    protocol: 16,
    vlan_present: 20,
    vlan_tci: 24,
    vlan_proto: 28,
    priority: 32,
    ingress_ifindex: 36,
    ifindex: 40,
    tc_index: 44,
    cb: 48,
    hash: 68,
    tc_classid: 72,
    napi_id: 84,
    wire_len: 160,
    gso_segs: 164,
    gso_size: 176,
  }))
    rule(`finds ${name}`, 'tc', field(at), [
      ...PACKETS.map((data) => ({ data })),
      { data: IPV4, ctx: RICH },
      { data: IPV4, ctx: skb() },
    ]);
  for (const [name, at, size] of [
    ['tstamp', 152, 64],
    ['hwtstamp', 184, 64],
    ['tstamp_type', 180, 8],
    ['a part of mark', 9, 8],
    ['a part of cb', 50, 16],
  ] as const)
    rule(`finds ${name}`, 'tc', field(at, size), [{ data: IPV4, ctx: RICH }]);
  for (const [name, at] of Object.entries({
    mark: 8,
    queue_mapping: 12,
    priority: 32,
    tc_index: 44,
    tc_classid: 72,
    cb: 52,
  }))
    for (const value of [1, 0x12345, 0xffff, 0xfffe, -1])
      rule(
        `finds what is left of ${value} in ${name}`,
        'tc',
        `r2 = ${value}\n*(u32 *)(r1 + ${at}) = r2\nr0 = *(u32 *)(r1 + ${at})\nexit`,
        [{ data: IPV4 }, { data: IPV4, ctx: skb() }],
      );
  rule(
    'gets what a context may set, and refuses what it may not',
    'tc',
    'r0 = 0\nexit',
    Array.from({ length: 192 }, (_, at) => {
      const ctx = skb();
      ctx[at] = 1;
      return { data: IPV4, ctx };
    }),
  );
  rule(
    'has a wire_len of its length to 65,536, and at most 65,535 segments',
    'tc',
    field(160),
    [59, 60, 65_536, 65_537].map((length) => ({ data: IPV4, ctx: skb({ 160: length }) })),
    ['EINVAL', 60, 65_536, 'EINVAL'],
  );
  rule(
    'needs room for the header that the packet announces',
    'tc',
    field(0),
    [13, 14, 33, 34, 53, 54, 3712, 3713].flatMap((length) =>
      [0x0800, 0x86dd, 0x0100].map((type) => ({ data: ethernet(type, length) })),
    ),
  );
  rule(
    'reads and writes the packet',
    'tc',
    'r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 20\nr0 = 77\nif r4 > r3 goto out\nr5 = *(u8 *)(r2 + 12)\n*(u8 *)(r2 + 3) = r5\nr0 = *(u32 *)(r2 + 12)\nout: exit',
    [{ data: IPV4 }, { data: ethernet(0x0100, 19) }, { data: IPV4, repeat: 3 }],
  );
  rule(
    'finds no metadata',
    'tc',
    'r0 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 140)\nr0 -= r3\nexit',
    [{ data: IPV4 }],
    [0],
  );
  for (const at of [0, 4, 24, 44, 48, 52, 72, 76])
    rule(
      `finds byte ${at} of its socket`,
      'tc',
      `r1 = *(u64 *)(r1 + 168)\nr0 = 9\nif r1 == 0 goto out\nr0 = *(u32 *)(r1 + ${at})\nout: exit`,
      [{ data: IPV4 }, { data: IPV6 }],
    );
});

describe('a test run of a program that sees a packet from its network header on', () => {
  rule(
    'is without the Ethernet header, which comes back as 0',
    'socket',
    'r0 = *(u32 *)(r1 + 0)\nexit',
    PACKETS.map((data) => ({ data })),
  );
  for (const at of [0, 16, 88, 92, 96, 100, 112, 116, 128, 132, 136])
    rule(
      `has byte ${at} of its context`,
      'cgroup_skb/ingress',
      `r2 = *(u32 *)(r1 + ${at})\n*(u32 *)(r1 + 48) = r2\nr0 = 1\nexit`,
      [IPV4, IPV6].map((data) => ({ data, ctx: skb() })),
    );
  rule(
    'reads it in place',
    'cgroup_skb/ingress',
    'r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 20\nif r4 > r3 goto out\nr5 = *(u8 *)(r2 + 12)\n*(u32 *)(r1 + 48) = r5\nr0 = 1\nexit\nout: r0 = 0\nexit',
    [
      { data: IPV4, ctx: skb() },
      { data: ethernet(0x0100, 30), ctx: skb() },
    ],
    [1, 0],
  );
});

describe('a test run of a tracing program', () => {
  rule(
    'has its arguments as context, as many as it reads and at most 12',
    'raw_tp/x',
    'r0 = *(u64 *)(r1 + 8)\nexit',
    [
      { ctx: packet(96) },
      { ctx: packet(16) },
      { ctx: packet(15) },
      { ctx: packet(97) },
      {},
      { ctx: packet(16), data: packet(60) },
    ],
    [0x0b0a0908, 0x0b0a0908, 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL'],
  );

  it('is there for tracepoints, probes and perf events, too, which Linux runs only where they are attached', async () => {
    const run = (section: string, body: string, ctx: Uint8Array) => everywhere(section, body, [{ ctx }]);
    const retvals = [
      ...(await run('tp/sched/sched_switch', 'r0 = *(u16 *)(r1 + 8)\nexit', packet(64))),
      ...(await run('perf_event', 'r0 = *(u64 *)(r1 + 168)\nexit', packet(184))),
      ...(await run('uprobe.s', 'r0 = *(u32 *)(r1 + 112)\nexit', packet(168))),
    ].map((answer) => (typeof answer === 'string' ? answer : answer.retval));
    assert.deepEqual(retvals, [0x0908, 0xabaaa9a8, 0x73727170]);
  });
});

alsoOnLinux();
