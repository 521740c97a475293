/**
 * Writes relocatable BPF objects: the assembler's output and the tests' inputs. The caller gives sections and symbols; the
 * writer adds the null entries, the symbol table, the string table and a SHT_REL section per relocated section.
 */

import { FormatError } from '../errors.ts';
import {
  EM_BPF,
  ET_REL,
  SHF_INFO_LINK,
  SHN_ABS,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHT_NOBITS,
  SHT_PROGBITS,
  SHT_REL,
  SHT_STRTAB,
  SHT_SYMTAB,
  STB_GLOBAL,
  STB_LOCAL,
  STT_NOTYPE,
  STV_DEFAULT,
} from './constants.ts';
import type { ElfRelocationSpec, ElfSpec, ElfSymbolSpec } from './types.ts';

/** A section as it will stand in the file. */
interface Placed {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
  readonly entrySize: number;
  readonly data: Uint8Array;
  readonly size: number;
}

const NO_DATA = new Uint8Array(0);
const HEADER_SIZE = 64;

/**
 * The bytes of a relocatable ELF64 little-endian BPF object. Section i of the spec gets index i + 1.
 *
 * @throws FormatError when a symbol or relocation names a section or symbol that the spec lacks
 */
export function writeElf(spec: ElfSpec): Uint8Array {
  const strings = new StringTable();
  // Local symbols come first; newIndex maps positions in the spec to positions in the table.
  const isLocal = ({ binding = STB_GLOBAL }: ElfSymbolSpec): boolean => binding === STB_LOCAL;
  const order = [...spec.symbols.keys()];
  const sorted = [
    ...order.filter((i) => isLocal(spec.symbols[i])),
    ...order.filter((i) => !isLocal(spec.symbols[i])),
  ];
  const newIndex = new Map(sorted.map((from, to) => [from, to + 1]));
  const localCount = spec.symbols.filter(isLocal).length + 1;

  const placed: Placed[] = spec.sections.map((section) => {
    const data = section.data ?? NO_DATA;
    const type = section.type ?? SHT_PROGBITS;
    return {
      name: section.name,
      type,
      flags: section.flags ?? 0,
      link: 0,
      info: 0,
      alignment: section.alignment ?? 1,
      entrySize: section.entrySize ?? 0,
      data: type === SHT_NOBITS ? NO_DATA : data,
      size: type === SHT_NOBITS ? (section.size ?? data.length) : data.length,
    };
  });
  const relocated = [...spec.sections.keys()].filter((i) => (spec.sections[i].relocations ?? []).length > 0);
  const symbolTableIndex = placed.length + relocated.length + 1;
  for (const i of relocated) {
    const { name, relocations = [] } = spec.sections[i];
    const data = encodeRelocations(name, relocations, newIndex);
    const table = { name: `.rel${name}`, type: SHT_REL, flags: SHF_INFO_LINK, link: symbolTableIndex };
    placed.push({ ...table, info: i + 1, alignment: 8, entrySize: 16, data, size: data.length });
  }
  const symbols = encodeSymbols(
    sorted.map((i) => spec.symbols[i]),
    spec.sections.length,
    strings,
  );
  placed.push({
    ...{ name: '.symtab', type: SHT_SYMTAB, flags: 0, link: symbolTableIndex + 1, info: localCount },
    ...{ alignment: 8, entrySize: 24, data: symbols, size: symbols.length },
  });
  const nameOffsets = [...placed.map(({ name }) => strings.add(name)), strings.add('.strtab')];
  const data = strings.bytes();
  const table = { name: '.strtab', type: SHT_STRTAB, flags: 0, link: 0, info: 0 };
  placed.push({ ...table, alignment: 1, entrySize: 0, data, size: data.length });
  if (placed.length + 1 >= SHN_LORESERVE) {
    throw new FormatError(
      'section header table',
      0,
      `${placed.length} sections; at most 65278 can be written`,
    );
  }
  return assemble(placed, nameOffsets);
}

function assemble(sections: readonly Placed[], nameOffsets: readonly number[]): Uint8Array {
  const offsets: number[] = [];
  let end = HEADER_SIZE;
  for (const { alignment, data } of sections) {
    const offset = alignUp(end, Math.max(alignment, 1));
    offsets.push(offset);
    end = offset + data.length;
  }
  const tableOffset = alignUp(end, 8);
  const bytes = new Uint8Array(tableOffset + (sections.length + 1) * 64);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, ET_REL, true);
  view.setUint16(18, EM_BPF, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(40, BigInt(tableOffset), true);
  view.setUint16(52, HEADER_SIZE, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, sections.length + 1, true);
  view.setUint16(62, sections.length, true);
  for (const [i, section] of sections.entries()) {
    const at = tableOffset + (i + 1) * 64;
    bytes.set(section.data, offsets[i]);
    view.setUint32(at, nameOffsets[i], true);
    view.setUint32(at + 4, section.type, true);
    view.setBigUint64(at + 8, BigInt(section.flags), true);
    view.setBigUint64(at + 24, BigInt(offsets[i]), true);
    view.setBigUint64(at + 32, BigInt(section.size), true);
    view.setUint32(at + 40, section.link, true);
    view.setUint32(at + 44, section.info, true);
    view.setBigUint64(at + 48, BigInt(section.alignment), true);
    view.setBigUint64(at + 56, BigInt(section.entrySize), true);
  }
  return bytes;
}

function encodeSymbols(
  symbols: readonly ElfSymbolSpec[],
  sectionCount: number,
  strings: StringTable,
): Uint8Array {
  const bytes = new Uint8Array((symbols.length + 1) * 24);
  const view = new DataView(bytes.buffer);
  for (const [i, symbol] of symbols.entries()) {
    const at = (i + 1) * 24;
    view.setUint32(at, strings.add(symbol.name), true);
    view.setUint8(at + 4, ((symbol.binding ?? STB_GLOBAL) << 4) | (symbol.type ?? STT_NOTYPE));
    view.setUint8(at + 5, symbol.visibility ?? STV_DEFAULT);
    view.setUint16(at + 6, sectionIndex(symbol, sectionCount), true);
    view.setBigUint64(at + 8, BigInt(symbol.value ?? 0), true);
    view.setBigUint64(at + 16, BigInt(symbol.size ?? 0), true);
  }
  return bytes;
}

function sectionIndex({ name, section }: ElfSymbolSpec, sectionCount: number): number {
  if (section === 'undefined') return SHN_UNDEF;
  if (section === 'absolute') return SHN_ABS;
  if (section >= 0 && section < sectionCount) return section + 1;
  throw new FormatError('.symtab', 0, `symbol ${name} is in section ${section} of ${sectionCount}`);
}

function encodeRelocations(
  section: string,
  relocations: readonly ElfRelocationSpec[],
  newIndex: ReadonlyMap<number, number>,
): Uint8Array {
  const bytes = new Uint8Array(relocations.length * 16);
  const view = new DataView(bytes.buffer);
  for (const [i, { offset, type, symbol }] of relocations.entries()) {
    const index = newIndex.get(symbol);
    if (index === undefined)
      throw new FormatError(section, offset, `relocation to symbol ${symbol}, not given`);
    view.setBigUint64(i * 16, BigInt(offset), true);
    view.setUint32(i * 16 + 8, type, true);
    view.setUint32(i * 16 + 12, index, true);
  }
  return bytes;
}

/** Strings that will stand in a SHT_STRTAB section, each once. */
class StringTable {
  readonly #offsets = new Map<string, number>([['', 0]]);
  readonly #parts: Uint8Array[] = [new Uint8Array(1)];
  #length = 1;

  add(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const offset = this.#length;
    const part = new TextEncoder().encode(`${text}\0`);
    this.#offsets.set(text, offset);
    this.#parts.push(part);
    this.#length += part.length;
    return offset;
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
