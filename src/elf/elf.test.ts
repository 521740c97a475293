import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import {
  type ElfSpec,
  R_BPF_64_64,
  readElf,
  SHF_ALLOC,
  SHN_ABS,
  SHN_UNDEF,
  SHN_XINDEX,
  SHT_NOBITS,
  SHT_PROGBITS,
  SHT_REL,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
  STB_LOCAL,
  STB_WEAK,
  STT_FUNC,
  STV_HIDDEN,
  writeElf,
} from './index.ts';

const SPEC: ElfSpec = {
  sections: [
    { name: 'xdp', data: new Uint8Array(32), relocations: [{ offset: 8, type: R_BPF_64_64, symbol: 0 }] },
    { name: '.bss', type: SHT_NOBITS, flags: SHF_ALLOC, size: 2 ** 40 },
    { name: 'license', data: new TextEncoder().encode('GPL\0') },
  ],
  symbols: [
    { name: 'map', section: 'undefined', binding: STB_WEAK },
    { name: 'main', section: 0, type: STT_FUNC, size: 16, value: 16 },
    { name: 'local', section: 1, binding: STB_LOCAL, visibility: STV_HIDDEN },
    { name: 'here', section: 'absolute', value: 7 },
  ],
};
const BYTES = writeElf(SPEC);

/** A copy with one field changed. */
function withU16(offset: number, value: number): Uint8Array {
  const bytes = BYTES.slice();
  new DataView(bytes.buffer).setUint16(offset, value, true);
  return bytes;
}

/** A copy with a field of a section header changed; the header table is the last thing in our files. */
function withHeader(index: number, field: number, value: bigint): Uint8Array {
  const bytes = BYTES.slice();
  const { sections } = readElf(BYTES);
  const table = bytes.length - sections.length * 64;
  new DataView(bytes.buffer).setBigUint64(table + index * 64 + field, value, true);
  return bytes;
}

function refused(bytes: Uint8Array, message: RegExp): void {
  assert.throws(
    () => readElf(bytes),
    (error: unknown) => error instanceof FormatError && message.test(error.message),
  );
}

test('sections come back as they were written', () => {
  const { sections } = readElf(BYTES);
  assert.deepEqual(
    sections.map(({ name, type, size }) => [name, type, size]),
    [
      ['', 0, 0],
      ['xdp', SHT_PROGBITS, 32],
      ['.bss', SHT_NOBITS, 2 ** 40],
      ['license', SHT_PROGBITS, 4],
      ['.relxdp', SHT_REL, 16],
      ['.symtab', SHT_SYMTAB, 120],
      ['.strtab', 3, sections[6].data.length],
    ],
  );
});

test('symbols come back, local ones first', () => {
  const { symbols, sections } = readElf(BYTES);
  assert.equal(
    sections.find(({ type }) => type === SHT_SYMTAB)?.info,
    2,
    'sh_info is the first that is not local',
  );
  assert.deepEqual(
    symbols.map(({ name, section, value, size, binding, visibility, type }) => [
      ...[name, section, value, size],
      ...[binding, visibility, type],
    ]),
    [
      ['', 0, 0, 0, 0, 0, 0],
      ['local', 2, 0, 0, STB_LOCAL, STV_HIDDEN, 0],
      ['map', SHN_UNDEF, 0, 0, STB_WEAK, 0, 0],
      ['main', 1, 16, 16, 1, 0, STT_FUNC],
      ['here', SHN_ABS, 7, 0, 1, 0, 0],
    ],
  );
});

test('a relocation names its section by index and its symbol by object', () => {
  const { relocations, symbols } = readElf(BYTES);
  assert.deepEqual([...relocations], [[1, [{ offset: 8, type: R_BPF_64_64, symbol: symbols[2] }]]]);
});

test('section data is a view of the file, and empty for NOBITS', () => {
  const { sections } = readElf(BYTES);
  assert.equal(sections[1].data.buffer, BYTES.buffer);
  assert.equal(sections[2].data.length, 0);
});

test('a file in the middle of a buffer is read', () => {
  const buffer = new Uint8Array(BYTES.length + 5);
  buffer.set(BYTES, 5);
  assert.deepEqual(readElf(buffer.subarray(5)).symbols, readElf(BYTES).symbols);
});

test('every truncation is refused', () => {
  for (let length = 0; length < BYTES.length; length++) refused(BYTES.subarray(0, length), /./);
});

test('what is not a little-endian 64-bit BPF object is refused with what to do', () => {
  const withByte = (offset: number, value: number) => BYTES.with(offset, value);
  refused(withByte(0, 0), /not an ELF file; give an object/);
  refused(new Uint8Array(), /not an ELF file; the file is empty/);
  refused(
    Uint8Array.of(0x42, 0x43, 0xc0, 0xde),
    /not an ELF file; it is LLVM bitcode: compile without -flto/,
  );
  refused(new TextEncoder().encode('int x;\n'), /not an ELF file; it is text: compile C with clang/);
  refused(withByte(4, 1), /not a 64-bit ELF file; compile with/);
  refused(withByte(5, 2), /big-endian; compile with clang -target bpfel/);
  refused(withU16(18, 62), /machine 62 is not BPF \(247\)/);
  refused(withU16(16, 2), /not relocatable; compile with clang -c/);
});

test('sections beyond the end of the file are refused, NOBITS ones not', () => {
  refused(
    withHeader(3, 24, 2n ** 52n),
    /section header 3, offset 24: 4 bytes at 4503599627370496 end beyond/,
  );
  refused(withHeader(3, 32, 2n ** 60n), /is too large/);
  assert.equal(readElf(withHeader(2, 32, 2n ** 50n)).sections[2].size, 2 ** 50);
});

test('a name beyond its string table is refused', () => {
  refused(withHeader(3, 0, 0x1_0000_ffffn), /section header 3, offset 0: the name at 65535 runs beyond/);
});

test('a relocation beyond its section is refused', () => {
  const spec = {
    ...SPEC,
    sections: [{ ...SPEC.sections[0], data: new Uint8Array(8) }, ...SPEC.sections.slice(1)],
  };
  refused(writeElf(spec), /\.relxdp, offset 0: offset 8 is beyond xdp/);
});

test('overlapping tables are refused: they cost more than the file is long', () => {
  const table = { type: SHT_REL, entrySize: 16, data: new Uint8Array(1 << 16) };
  const bytes = writeElf({
    symbols: [],
    sections: Array.from({ length: 64 }, (_, i) => ({ ...table, name: `r${i}` })),
  });
  const view = new DataView(bytes.buffer);
  const headers = Number(view.getBigUint64(40, true));
  for (let i = 2; i <= 64; i++) {
    view.setBigUint64(headers + i * 64 + 24, 64n, true);
    view.setBigUint64(headers + i * 64 + 32, BigInt(bytes.length - 64), true);
  }
  refused(bytes, /symbol and relocation tables overlap/);
});

test('names that share their ends cannot take more than 64 MiB', () => {
  const long = 'x'.repeat(1 << 16);
  const symbols = Array.from({ length: 2000 }, () => ({ name: long, section: 'absolute' as const }));
  const bytes = writeElf({ sections: [], symbols });
  const { sections } = readElf(bytes);
  const view = new DataView(bytes.buffer, sections[1].offset);
  for (let i = 1; i <= 2000; i++) view.setUint32(i * 24, i, true);
  refused(bytes, /names take more than 64 MiB/);
});

test('thousands of sections are read', () => {
  const sections = Array.from({ length: 20_000 }, (_, i) => ({ name: `s${i}` }));
  assert.equal(readElf(writeElf({ sections, symbols: [] })).sections[20_000].name, 's19999');
});

test('counts that do not fit their field are taken from the null section', () => {
  const { sections } = readElf(BYTES);
  const bytes = withHeader(0, 32, BigInt(sections.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(60, 0, true);
  view.setUint16(62, 0xffff, true);
  view.setUint32(bytes.length - sections.length * 64 + 40, sections.length - 1, true);
  assert.deepEqual(readElf(bytes).symbols, readElf(BYTES).symbols);
  const tooMany = writeElf({ sections: Array.from({ length: 65_000 }, () => ({ name: '' })), symbols: [] });
  new DataView(tooMany.buffer).setUint16(60, 0xff00, true);
  refused(tooMany, /65280 section headers do not fit/);
});

test('a symbol whose section index does not fit is looked up in the extended table', () => {
  const extended = { name: '.shndx', type: SHT_SYMTAB_SHNDX, data: new Uint8Array(8).with(4, 1) };
  const bytes = writeElf({ sections: [extended], symbols: [{ name: 'far', section: 0 }] });
  const { sections } = readElf(bytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(sections[2].offset + 24 + 6, SHN_XINDEX, true);
  refused(bytes, /symbol 1 needs an extended section index that the file lacks/);
  view.setUint32(bytes.length - sections.length * 64 + 64 + 40, 2, true);
  assert.equal(readElf(bytes).symbols[1].section, 1);
  bytes[sections[1].offset + 4] = 9;
  refused(bytes, /symbol 1 is in section 9 of 4/);
});

test('the writer refuses symbols and relocations of what the spec lacks', () => {
  assert.throws(() => writeElf({ sections: [], symbols: [{ name: 'a', section: 0 }] }), FormatError);
  const relocations = [{ offset: 0, type: R_BPF_64_64, symbol: 3 }];
  assert.throws(() => writeElf({ sections: [{ name: 'x', relocations }], symbols: [] }), FormatError);
});
