/**
 * Objects for tests, built by our own writers: BTF with every kind of type, a .BTF.ext with every kind of record, and an
 * ELF file around them.
 */

import type { CoreRelo } from '../src/btf/index.ts';
import { Btf, BtfBuilder, CORE_RELO_KINDS, writeBtfExt } from '../src/btf/index.ts';
import {
  R_BPF_64_64,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHT_NOBITS,
  STB_LOCAL,
  STT_FUNC,
  STT_OBJECT,
  STT_SECTION,
  writeElf,
} from '../src/elf/index.ts';

/** One type of each kind and more, reachable from `struct node`. */
function addEveryKind(builder: BtfBuilder) {
  const int = builder.int('int', 4);
  const long = builder.int('long unsigned int', 8);
  const char = builder.int('char', 1);
  const bool = builder.int('_Bool', 1);
  const float = builder.add({ kind: 'float', name: 'double', size: 8 });
  const color = builder.add({
    kind: 'enum',
    name: 'color',
    size: 4,
    signed: true,
    values: [
      { name: 'RED', value: -1 },
      { name: 'GREEN', value: 7 },
    ],
  });
  const huge = builder.add({
    kind: 'enum64',
    name: 'huge',
    size: 8,
    signed: false,
    values: [{ name: 'HUGE', value: 1n << 63n }],
  });
  const far = builder.add({ kind: 'fwd', name: 'far', fwdKind: 'struct' });
  const number = builder.composite('union', '', [
    { name: 'whole', type: long },
    { name: 'real', type: float },
  ]);
  const node = builder.reserve();
  const pointer = builder.ptr(builder.typeTag('user', node));
  const flags = builder.add({
    kind: 'struct',
    name: 'flags',
    size: 4,
    members: [
      { name: 'ready', type: int, bitOffset: 0, bitfieldSize: 1 },
      { name: 'level', type: int, bitOffset: 1, bitfieldSize: 5 },
    ],
  });
  const count = builder.modifier('typedef', long, 'count_t');
  const proto = builder.funcProto(int, [
    { name: 'first', type: pointer },
    { name: '', type: 0 },
  ]);
  builder.composite(
    'struct',
    'node',
    [
      { name: 'next', type: pointer },
      { name: 'far', type: builder.ptr(builder.modifier('const', far)) },
      { name: '', type: number },
      { name: 'name', type: builder.array(char, 16) },
      { name: 'count', type: builder.modifier('volatile', count) },
      { name: 'flags', type: flags },
      { name: 'color', type: color },
      { name: 'visit', type: builder.modifier('restrict', builder.ptr(proto)) },
      { name: 'size', type: huge },
      { name: 'matrix', type: builder.array(builder.array(int, 3), 2) },
      { name: 'ok', type: bool },
    ],
    node,
  );
  builder.declTag('owner', node);
  builder.declTag('chain', node, 0);
  const main = builder.add({ kind: 'func', name: 'main', type: proto, linkage: 'global' });
  const head = builder.add({ kind: 'var', name: 'head', type: pointer, linkage: 'global' });
  builder.add({ kind: 'datasec', name: '.data', size: 8, variables: [{ type: head, offset: 0, size: 8 }] });
  return { node, flags, color, huge, main };
}

/** BTF with every kind. */
export const everyKind = (() => {
  const builder = new BtfBuilder();
  const ids = addEveryKind(builder);
  const bytes = builder.write();
  return { bytes, ids, btf: Btf.read(bytes) };
})();

/** The same BTF with the strings of `ext`, whose relocations cover every kind and path. */
export const everyRecord = (() => {
  const builder = new BtfBuilder();
  const { node, flags, color, huge, main } = addEveryKind(builder);
  const paths: readonly (readonly [type: number, access: string])[] = [
    [node, '0:0'],
    [node, '0:2:1'],
    [node, '0:3:2'],
    [node, '0:9:1:2'],
    [flags, '0:1'],
    [node, '0'],
    [color, '1'],
    [huge, '0'],
  ];
  const relos: CoreRelo[] = paths.flatMap(([type, access]) =>
    CORE_RELO_KINDS.map((kind, i) => ({ insnOffset: i * 8, type, access, kind })),
  );
  const lines = [
    { insnOffset: 0, fileName: 'list.c', text: 'int main(void)', line: 3, column: 1 },
    { insnOffset: 8, fileName: 'list.c', text: '  return "é";', line: 4, column: 3 },
  ];
  const ext = writeBtfExt(
    {
      funcInfo: new Map([['syscall', [{ insnOffset: 0, type: main }]]]),
      lineInfo: new Map([['syscall', lines]]),
      coreRelos: new Map([['syscall', relos]]),
    },
    builder,
  );
  const bytes = builder.write();
  return { bytes, ext, lines, relos, main, btf: Btf.read(bytes) };
})();

/** An ELF object: one program that loads the address of a variable, data, zeroed memory and the types above. */
export const object = writeElf({
  sections: [
    {
      name: 'syscall',
      flags: SHF_ALLOC | SHF_EXECINSTR,
      alignment: 8,
      data: Uint8Array.from([0x18, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]),
      relocations: [{ offset: 0, type: R_BPF_64_64, symbol: 1 }],
    },
    { name: '.data', flags: SHF_ALLOC | SHF_WRITE, alignment: 8, data: new Uint8Array(8) },
    { name: '.bss', type: SHT_NOBITS, flags: SHF_ALLOC | SHF_WRITE, alignment: 4096, size: 1 << 20 },
    { name: '.BTF', alignment: 4, data: everyRecord.bytes },
    { name: '.BTF.ext', alignment: 4, data: everyRecord.ext },
  ],
  symbols: [
    { name: 'main', type: STT_FUNC, size: 24, section: 0 },
    { name: 'head', type: STT_OBJECT, size: 8, section: 1 },
    { name: '', type: STT_SECTION, binding: STB_LOCAL, section: 2 },
    { name: 'bpf_arena_alloc_pages', section: 'undefined' },
  ],
});
