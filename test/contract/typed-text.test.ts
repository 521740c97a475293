import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type LoadedObject, open } from '../../src/index.ts';
import { onBothKernels } from './kernels.ts';

/** What lies in memory as text, by the kernel's types: programs/contract/typed_text.bpf.c. The texts are Linux's. */

const OBJECT = new URL('../../programs/contract/typed_text.bpf.o', import.meta.url);
const COMPACT = 1;
const NONAME = 2;
const PTR_RAW = 4;
const ZERO = 8;

/** Bytes with zeros among them. */
const BYTES = Uint8Array.from({ length: 64 }, (_, i) => (i % 7 === 3 ? 0 : (i * 37 + 200) & 0x7f));

const IPHDR =
  '(struct iphdr){.ihl = (__u8)0x8,.version = (__u8)0x4,.tos = (__u8)109,.tot_len = (__be16)18,.id = (__be16)348,' +
  '.frag_off = (__be16)19238,.ttl = (__u8)112,.protocol = (__u8)21,.check = (__sum16)24320,(union){(struct){' +
  '.saddr = (__be32)1934502148,.daddr = (__be32)123863064,},.addrs = (struct){.saddr = (__be32)1934502148,' +
  '.daddr = (__be32)123863064,},},}';

const TEXTS: readonly (readonly [program: string, flags: number, text: string])[] = [
  ['shows_iphdr', COMPACT, IPHDR],
  [
    'shows_ethhdr',
    0,
    "(struct ethhdr){\n .h_dest = (unsigned char[])[\n  'H',\n  'm',\n  18,\n ],\n .h_source = (unsigned char[])[\n" +
      "  '&',\n  'K',\n  'p',\n  21,\n ],\n .h_proto = (__be16)10500,\n}\n",
  ],
  [
    'shows_in6_addr',
    COMPACT | NONAME,
    "{{['H','m',18,],[27976,18,348,19238,5488,24320,10500,29518,],[1207624,1260781916,1593841008,1934502148,],},}",
  ],
  [
    'shows_list_head',
    COMPACT | PTR_RAW,
    '(struct list_head){.next = (struct list_head *)0x4b26015c00126d48,.prev = (struct list_head *)0x734e29045f001570,}',
  ],
  ['shows_iter_num', NONAME, '{\n [\n  5415017096609426760,\n ],\n}\n'],
];

function shown({ globals, programs }: LoadedObject, program: string, flags: number, room = 512) {
  globals.room = room;
  globals.flags = BigInt(flags);
  const { retval } = programs[program].run();
  const text = Array.from({ length: 512 }, (_, i) => globals.text[i] as number);
  return { retval: retval | 0, text: String.fromCharCode(...text.slice(0, text.indexOf(0))) };
}

onBothKernels('typed text', ({ open: openKernel }) => {
  it('names types and members, and leaves out what is 0', async () => {
    using kernel = openKernel();
    using loaded = await (await open(OBJECT)).load(kernel);
    BYTES.forEach((byte, i) => {
      loaded.globals.bytes[i] = byte;
    });
    for (const [program, flags, text] of TEXTS)
      assert.deepEqual(shown(loaded, program, flags), { retval: text.length, text });
    // What does not fit is cut; the result says how long it is.
    assert.deepEqual(shown(loaded, 'shows_iphdr', COMPACT, 10), { retval: IPHDR.length, text: '(struct i' });
    const { writes_iphdr: program } = loaded.programs;
    loaded.globals.flags = BigInt(COMPACT);
    using iteration = program.iterate();
    assert.equal(iteration.text(), IPHDR);
  });

  it('shows zeros where they are wanted', async () => {
    using kernel = openKernel();
    using loaded = await (await open(OBJECT)).load(kernel);
    assert.equal(shown(loaded, 'shows_list_head', COMPACT).text, '(struct list_head){}');
    assert.equal(
      shown(loaded, 'shows_list_head', COMPACT | NONAME | PTR_RAW | ZERO).text,
      '{0x0000000000000000,0x0000000000000000,}',
    );
  });

  it('refuses types, sizes and flags that there are not', async () => {
    using kernel = openKernel();
    using loaded = await (await open(OBJECT)).load(kernel);
    assert.equal(loaded.programs.refuses.run().retval, 0);
    assert.equal(shown(loaded, 'shows_nothing', 0).retval, -22);
  });
});
