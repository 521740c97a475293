/**
 * Reads relocatable BPF objects. The file is not trusted: every offset, size, index and string is checked before use,
 * sections are views and not copies, and the work done is bounded by the file's length, also where sections overlap.
 */

import { FormatError } from '../errors.ts';
import {
  EM_BPF,
  ET_REL,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHN_XINDEX,
  SHT_NOBITS,
  SHT_NULL,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
} from './constants.ts';
import type { ElfFile, ElfRelocation, ElfSection, ElfSymbol } from './types.ts';

const HEADER_SIZE = 64;
const SECTION_HEADER_SIZE = 64;
const SYMBOL_SIZE = 24;
const REL_SIZE = 16;
const RELA_SIZE = 24;
const HEADER = 'ELF header';
const EMPTY = new Uint8Array(0);
const utf8 = new TextDecoder();

/**
 * Reads an ELF64 little-endian relocatable object for BPF.
 *
 * @param bytes the whole file; sections of the result are views of it
 * @throws FormatError naming section and offset when the bytes are not such an object or contradict themselves
 */
export function readElf(bytes: Uint8Array): ElfFile {
  const header = readHeader(bytes);
  const sections = readSectionHeaders(bytes, header);
  const strings = new StringReader();
  if (header.stringIndex !== SHN_UNDEF) nameSections(bytes, header, sections, strings);
  checkTotalSize(sections, bytes.length);
  const symbols = readSymbols(sections, strings);
  return { sections, symbols, relocations: readRelocations(sections, symbols) };
}

interface Header {
  readonly tableOffset: number;
  readonly count: number;
  readonly stringIndex: number;
}

/** A section while it is being read: its name is known only after all headers are. */
type RawSection = { -readonly [K in keyof ElfSection]: ElfSection[K] };

/** What a file that is no object probably is, and what to do about it. */
function insteadOfObject(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'the file is empty: did the compiler fail?';
  if (bytes[0] === 0x42 && bytes[1] === 0x43)
    return 'it is LLVM bitcode: compile without -flto and -emit-llvm';
  const isText = bytes.subarray(0, 64).every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));
  if (isText) return 'it is text: compile C with clang -O2 -g -target bpf -c, assembly with bpf-arena asm';
  return 'give an object that clang -target bpf compiled';
}

function readHeader(bytes: Uint8Array): Header {
  if (bytes.length < 4 || bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) {
    throw new FormatError(HEADER, 0, `not an ELF file; ${insteadOfObject(bytes)}`);
  }
  if (bytes.length < HEADER_SIZE) {
    throw new FormatError(HEADER, bytes.length, 'the file ends inside the header; it is truncated');
  }
  if (bytes[4] !== 2) {
    throw new FormatError(HEADER, 4, 'not a 64-bit ELF file; compile with clang -target bpf');
  }
  if (bytes[5] === 2) {
    throw new FormatError(HEADER, 5, 'the object is big-endian; compile with clang -target bpfel');
  }
  if (bytes[5] !== 1) throw new FormatError(HEADER, 5, `unknown byte order ${bytes[5]}`);
  const view = viewOf(bytes);
  const machine = view.getUint16(18, true);
  if (machine !== EM_BPF) {
    throw new FormatError(
      HEADER,
      18,
      `machine ${machine} is not BPF (${EM_BPF}); compile with clang -target bpf`,
    );
  }
  const type = view.getUint16(16, true);
  if (type !== ET_REL) {
    throw new FormatError(HEADER, 16, `file type ${type} is not relocatable; compile with clang -c`);
  }
  const tableOffset = u64(view, 40, HEADER);
  const entrySize = view.getUint16(58, true);
  let count = view.getUint16(60, true);
  let stringIndex = view.getUint16(62, true);
  if (tableOffset === 0) return { tableOffset, count: 0, stringIndex: 0 };
  if (entrySize !== SECTION_HEADER_SIZE) {
    throw new FormatError(HEADER, 58, `section headers of ${entrySize} bytes instead of 64`);
  }
  if (tableOffset + SECTION_HEADER_SIZE > bytes.length) {
    throw new FormatError(
      HEADER,
      40,
      `the section header table at ${tableOffset} lies beyond the end of the file`,
    );
  }
  // gABI: what does not fit in 16 bits stands in the null section's header.
  if (count === 0) count = u64(view, tableOffset + 32, 'section header table');
  if (stringIndex === SHN_XINDEX) stringIndex = view.getUint32(tableOffset + 40, true);
  if (tableOffset + count * SECTION_HEADER_SIZE > bytes.length) {
    throw new FormatError(
      HEADER,
      60,
      `${count} section headers do not fit in the file; it is truncated or damaged`,
    );
  }
  if (count >= SHN_LORESERVE) throw new FormatError(HEADER, 60, `${count} sections; at most 65279 are read`);
  if (stringIndex !== SHN_UNDEF && stringIndex >= count) {
    throw new FormatError(HEADER, 62, `section name table ${stringIndex} of ${count} sections`);
  }
  return { tableOffset, count, stringIndex };
}

function readSectionHeaders(bytes: Uint8Array, { tableOffset, count }: Header): RawSection[] {
  const view = viewOf(bytes);
  const sections: RawSection[] = [];
  for (let index = 0; index < count; index++) {
    const at = tableOffset + index * SECTION_HEADER_SIZE;
    const where = `section header ${index}`;
    const type = view.getUint32(at + 4, true);
    const section: RawSection = {
      index,
      name: '',
      type,
      flags: u64(view, at + 8, where, at),
      address: u64(view, at + 16, where, at),
      offset: u64(view, at + 24, where, at),
      // The null section's size may be the section count, see above.
      size: type === SHT_NULL ? 0 : u64(view, at + 32, where, at),
      link: view.getUint32(at + 40, true),
      info: view.getUint32(at + 44, true),
      alignment: u64(view, at + 48, where, at),
      entrySize: u64(view, at + 56, where, at),
      data: EMPTY,
    };
    if (type !== SHT_NOBITS && type !== SHT_NULL) {
      if (section.offset + section.size > bytes.length) {
        throw new FormatError(
          where,
          24,
          `${section.size} bytes at ${section.offset} end beyond the file (${bytes.length} bytes); it is truncated or damaged`,
        );
      }
      section.data = bytes.subarray(section.offset, section.offset + section.size);
    }
    sections.push(section);
  }
  return sections;
}

function nameSections(
  bytes: Uint8Array,
  { tableOffset, stringIndex }: Header,
  sections: readonly RawSection[],
  strings: StringReader,
): void {
  const view = viewOf(bytes);
  const names = sections[stringIndex];
  checkStringTable(names, HEADER, 62);
  for (const section of sections) {
    const nameOffset = view.getUint32(tableOffset + section.index * SECTION_HEADER_SIZE, true);
    section.name = strings.read(names, nameOffset, `section header ${section.index}`, 0);
  }
}

/** Overlapping tables would let a small file cost much time and memory: all that is decoded must fit in the file once. */
function checkTotalSize(sections: readonly RawSection[], limit: number): void {
  let total = 0;
  for (const section of sections) {
    if (section.type !== SHT_SYMTAB && section.type !== SHT_REL && section.type !== SHT_RELA) continue;
    total += section.size;
    if (total > limit) throw new FormatError(describe(section), 0, 'symbol and relocation tables overlap');
  }
}

function readSymbols(sections: readonly RawSection[], strings: StringReader): ElfSymbol[] {
  const tables = sections.filter(({ type }) => type === SHT_SYMTAB);
  if (tables.length === 0) return [];
  const table = tables[0];
  if (tables.length > 1) throw new FormatError(describe(tables[1]), 0, 'a second symbol table');
  const where = describe(table);
  checkEntries(table, SYMBOL_SIZE);
  const names = sections[table.link];
  checkStringTable(names, where, 0);
  const extended = sections.find(({ type, link }) => type === SHT_SYMTAB_SHNDX && link === table.index);
  const view = viewOf(table.data);
  const symbols: ElfSymbol[] = [];
  for (let index = 0, at = 0; at < table.size; index++, at += SYMBOL_SIZE) {
    const info = view.getUint8(at + 4);
    let section = view.getUint16(at + 6, true);
    if (section === SHN_XINDEX) section = extendedIndex(extended, index, where, at);
    if (section >= sections.length && section < SHN_LORESERVE) {
      throw new FormatError(where, at, `symbol ${index} is in section ${section} of ${sections.length}`);
    }
    symbols.push({
      index,
      name: strings.read(names, view.getUint32(at, true), where, at),
      value: u64(view, at + 8, where),
      size: u64(view, at + 16, where),
      type: info & 0xf,
      binding: info >> 4,
      visibility: view.getUint8(at + 5) & 3,
      section,
    });
  }
  return symbols;
}

function extendedIndex(table: ElfSection | undefined, index: number, where: string, at: number): number {
  if (table === undefined || (index + 1) * 4 > table.data.length) {
    throw new FormatError(where, at, `symbol ${index} needs an extended section index that the file lacks`);
  }
  const section = viewOf(table.data).getUint32(index * 4, true);
  if (section >= SHN_LORESERVE) {
    throw new FormatError(describe(table), index * 4, `section index ${section} is beyond all sections`);
  }
  return section;
}

function readRelocations(
  sections: readonly RawSection[],
  symbols: readonly ElfSymbol[],
): Map<number, ElfRelocation[]> {
  const byTarget = new Map<number, ElfRelocation[]>();
  for (const table of sections) {
    if (table.type !== SHT_REL && table.type !== SHT_RELA) continue;
    const where = describe(table);
    const target = sections[table.info];
    if (target === undefined || table.info === SHN_UNDEF) {
      throw new FormatError(where, 0, `relocations for section ${table.info} of ${sections.length}`);
    }
    if (sections[table.link]?.type !== SHT_SYMTAB) {
      throw new FormatError(where, 0, `section ${table.link}, which it links to, is no symbol table`);
    }
    const relocations = byTarget.get(target.index) ?? [];
    byTarget.set(target.index, relocations);
    readRelocationTable(table, target, symbols, relocations);
  }
  return byTarget;
}

function readRelocationTable(
  table: ElfSection,
  target: ElfSection,
  symbols: readonly ElfSymbol[],
  into: ElfRelocation[],
): void {
  const where = describe(table);
  const entrySize = table.type === SHT_RELA ? RELA_SIZE : REL_SIZE;
  checkEntries(table, entrySize);
  const view = viewOf(table.data);
  for (let at = 0; at < table.size; at += entrySize) {
    const offset = u64(view, at, where);
    const type = view.getUint32(at + 8, true);
    const symbol = symbols[view.getUint32(at + 12, true)];
    if (offset >= target.size) {
      throw new FormatError(
        where,
        at,
        `offset ${offset} is beyond ${describe(target)} (${target.size} bytes)`,
      );
    }
    if (symbol === undefined) {
      throw new FormatError(
        where,
        at,
        `symbol ${view.getUint32(at + 12, true)} of ${symbols.length} does not exist`,
      );
    }
    into.push(
      table.type === SHT_RELA
        ? { offset, type, symbol, addend: view.getBigInt64(at + 16, true) }
        : { offset, type, symbol },
    );
  }
}

function checkEntries(table: ElfSection, entrySize: number): void {
  if (table.entrySize !== entrySize || table.size % entrySize !== 0) {
    throw new FormatError(
      describe(table),
      0,
      `${table.size} bytes in entries of ${table.entrySize} instead of ${entrySize}`,
    );
  }
}

function checkStringTable(table: ElfSection | undefined, where: string, at: number): void {
  if (table?.type !== SHT_STRTAB) throw new FormatError(where, at, 'its string table is missing');
}

/**
 * Reads NUL-terminated strings. Strings may share their ends, so that n symbols over one long string would decode n times
 * its length: what is decoded altogether is bounded.
 */
class StringReader {
  #budget = 64 << 20;
  readonly #known = new Map<number, Map<number, string>>();

  /** @param where the section and offset that asked for the string, for the error */
  read(table: ElfSection, offset: number, where: string, at: number): string {
    let known = this.#known.get(table.index);
    if (known === undefined) {
      known = new Map();
      this.#known.set(table.index, known);
    }
    let text = known.get(offset);
    if (text === undefined) {
      text = this.#decode(table, offset, where, at);
      known.set(offset, text);
    }
    return text;
  }

  #decode(table: ElfSection, offset: number, where: string, at: number): string {
    // Offset 0 is the empty name, also in an empty table.
    if (offset === 0) return '';
    const end = offset < table.data.length ? table.data.indexOf(0, offset) : -1;
    if (end < 0) throw new FormatError(where, at, `the name at ${offset} runs beyond its string table`);
    this.#budget -= end - offset;
    if (this.#budget < 0) throw new FormatError(where, at, 'names take more than 64 MiB');
    // A copy: TextDecoder refuses shared memory in browsers.
    return utf8.decode(table.data.slice(offset, end));
  }
}

function describe(section: ElfSection): string {
  return section.name === '' ? `section ${section.index}` : section.name;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A 64-bit field as a number. Beyond 2^53 it cannot be meant: no file or section is that large. */
function u64(view: DataView, at: number, where: string, base = 0): number {
  const high = view.getUint32(at + 4, true);
  if (high > 0x1fffff) {
    throw new FormatError(where, at - base, `0x${view.getBigUint64(at, true).toString(16)} is too large`);
  }
  return high * 2 ** 32 + view.getUint32(at, true);
}
