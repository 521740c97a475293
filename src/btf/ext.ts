/**
 * `.BTF.ext`: what the compiler knows of single instructions. Which function starts where, which source line an
 * instruction comes from, and which instructions depend on a kernel type's layout (CO-RE). Format:
 * Documentation/bpf/btf.rst, ".BTF.ext section".
 */

import { FormatError } from '../errors.ts';
import { BTF_MAGIC, type Btf } from './btf.ts';
import type { StringSink } from './encode.ts';

const SECTION = '.BTF.ext';
const HEADER_SIZE = 32;

/** `enum bpf_core_relo_kind`, by the names libbpf prints. */
export const CORE_RELO_KINDS = [
  'byte_off',
  'byte_sz',
  'field_exists',
  'signed',
  'lshift_u64',
  'rshift_u64',
  'local_type_id',
  'target_type_id',
  'type_exists',
  'type_size',
  'enumval_exists',
  'enumval_value',
  'type_matches',
] as const;
export type CoreReloKind = (typeof CORE_RELO_KINDS)[number];

/** A function's start. Offsets are in bytes into the program section; Linux, at load, wants instructions. */
export interface FuncInfo {
  readonly insnOffset: number;
  /** The id of a func. */
  readonly type: number;
}

/** The source of the instructions from here to the next record. */
export interface LineInfo {
  /** Bytes into the program section. */
  readonly insnOffset: number;
  readonly fileName: string;
  /** The text of the line, as the compiler saw it; may be empty. */
  readonly text: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/** A CO-RE relocation: an instruction with a number that depends on the target's types. */
export interface CoreRelo {
  /** Bytes into the program section. */
  readonly insnOffset: number;
  /** The local root type. */
  readonly type: number;
  /** `0:1:2`: an index into the array that a pointer is, then members and elements; or the enumerator. */
  readonly access: string;
  readonly kind: CoreReloKind;
}

/** All records, by the name of the section their instructions are in. */
export interface BtfExt {
  readonly funcInfo: ReadonlyMap<string, readonly FuncInfo[]>;
  readonly lineInfo: ReadonlyMap<string, readonly LineInfo[]>;
  readonly coreRelos: ReadonlyMap<string, readonly CoreRelo[]>;
}

/**
 * Reads a `.BTF.ext` section.
 *
 * @param btf the same object's .BTF, whose strings and types the records name
 * @throws FormatError when the section is damaged
 */
export function readBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 24) throw new FormatError(SECTION, 0, `${bytes.length} bytes are too few for a header`);
  const magic = view.getUint16(0, true);
  if (magic !== BTF_MAGIC)
    throw new FormatError(SECTION, 0, `it starts with 0x${magic.toString(16)}, not BTF's magic`);
  if (bytes[2] !== 1) throw new FormatError(SECTION, 2, `version ${bytes[2]}; only 1 is known`);
  const headerSize = view.getUint32(4, true);
  if (headerSize < 24 || headerSize > bytes.length) {
    throw new FormatError(SECTION, 4, `header of ${headerSize} bytes`);
  }
  const part = (field: number): DataView => {
    // Compilers that know no CO-RE write the shorter header.
    if (field + 8 > headerSize) return new DataView(bytes.buffer, bytes.byteOffset, 0);
    const start = headerSize + view.getUint32(field, true);
    const size = view.getUint32(field + 4, true);
    if (start + size > bytes.length) throw new FormatError(SECTION, field, 'a table ends beyond the section');
    return new DataView(bytes.buffer, bytes.byteOffset + start, size);
  };
  const { byteOffset } = bytes;
  const checked = (type: number, at: number): number => {
    if (type < btf.count) return type;
    throw new FormatError(SECTION, at, `type ${type} of ${btf.count} does not exist`);
  };
  return {
    funcInfo: readTable(part(8), byteOffset, btf, 8, (table, at) => ({
      insnOffset: table.getUint32(at, true),
      type: checked(table.getUint32(at + 4, true), table.byteOffset - byteOffset + at + 4),
    })),
    lineInfo: readTable(part(16), byteOffset, btf, 16, (table, at) => new LineRecord(btf, table, at)),
    coreRelos: readTable(part(24), byteOffset, btf, 16, (table, at) => {
      const where = table.byteOffset - byteOffset + at;
      const kind = CORE_RELO_KINDS[table.getUint32(at + 12, true)];
      if (kind === undefined) {
        throw new FormatError(
          SECTION,
          where + 12,
          `unknown CO-RE relocation kind ${table.getUint32(at + 12, true)}`,
        );
      }
      return {
        insnOffset: table.getUint32(at, true),
        type: checked(table.getUint32(at + 4, true), where + 4),
        access: btf.name(table.getUint32(at + 8, true)),
        kind,
      };
    }),
  };
}

/** A line record that reads its strings when asked: there are as many as instructions, and few are looked at. */
class LineRecord implements LineInfo {
  readonly insnOffset: number;
  readonly line: number;
  readonly column: number;
  readonly #btf: Btf;
  readonly #fileOffset: number;
  readonly #textOffset: number;

  constructor(btf: Btf, table: DataView, at: number) {
    this.#btf = btf;
    this.insnOffset = table.getUint32(at, true);
    this.#fileOffset = table.getUint32(at + 4, true);
    this.#textOffset = table.getUint32(at + 8, true);
    const position = table.getUint32(at + 12, true);
    this.line = position >>> 10;
    this.column = position & 0x3ff;
    btf.checkString(this.#fileOffset);
    btf.checkString(this.#textOffset);
  }

  get fileName(): string {
    return this.#btf.string(this.#fileOffset);
  }

  get text(): string {
    return this.#btf.string(this.#textOffset);
  }
}

function readTable<T>(
  table: DataView,
  sectionStart: number,
  btf: Btf,
  knownSize: number,
  read: (table: DataView, at: number) => T,
): Map<string, T[]> {
  const bySection = new Map<string, T[]>();
  const where = (at: number): number => table.byteOffset - sectionStart + at;
  if (table.byteLength === 0) return bySection;
  if (table.byteLength < 4) throw new FormatError(SECTION, where(0), 'a table is cut off');
  const recordSize = table.getUint32(0, true);
  if (recordSize < knownSize || recordSize % 4 !== 0) {
    throw new FormatError(SECTION, where(0), `records of ${recordSize} bytes instead of ${knownSize}`);
  }
  for (let at = 4; at < table.byteLength; ) {
    if (at + 8 > table.byteLength) throw new FormatError(SECTION, where(at), 'a table is cut off');
    const name = btf.name(table.getUint32(at, true));
    const count = table.getUint32(at + 4, true);
    at += 8;
    if (count * recordSize > table.byteLength - at) {
      throw new FormatError(SECTION, where(at - 4), `${count} records for ${name} do not fit`);
    }
    const records = bySection.get(name) ?? [];
    bySection.set(name, records);
    for (let i = 0; i < count; i++, at += recordSize) records.push(read(table, at));
  }
  return bySection;
}

/** Function records as BPF_PROG_LOAD takes them (`func_info`, 8 bytes each): offsets become instructions. */
export function encodeFuncInfo(records: readonly FuncInfo[]): Uint8Array {
  return toBytes(records.flatMap(({ insnOffset, type }) => [insnOffset / 8, type]));
}

/** Line records as BPF_PROG_LOAD takes them (`line_info`, 16 bytes each): offsets become instructions. */
export function encodeLineInfo(records: readonly LineInfo[], strings: StringSink): Uint8Array {
  return toBytes(records.flatMap((record) => lineWords(record, record.insnOffset / 8, strings)));
}

/** The bytes of a `.BTF.ext` section; strings go to the builder of the .BTF beside it, which is to be written after. */
export function writeBtfExt(ext: Partial<BtfExt>, strings: StringSink): Uint8Array {
  const tables = [
    tableWords(ext.funcInfo, 8, strings, ({ insnOffset, type }) => [insnOffset, type]),
    tableWords(ext.lineInfo, 16, strings, (record) => lineWords(record, record.insnOffset, strings)),
    tableWords(ext.coreRelos, 16, strings, ({ insnOffset, type, access, kind }) => [
      insnOffset,
      type,
      strings.string(access),
      CORE_RELO_KINDS.indexOf(kind),
    ]),
  ];
  const words = [BTF_MAGIC | (1 << 16), HEADER_SIZE];
  let offset = 0;
  for (const table of tables) {
    words.push(offset, table.length * 4);
    offset += table.length * 4;
  }
  return toBytes([...words, ...tables.flat()]);
}

function tableWords<T>(
  bySection: ReadonlyMap<string, readonly T[]> | undefined,
  recordSize: number,
  strings: StringSink,
  encode: (record: T) => number[],
): number[] {
  const words: number[] = [];
  for (const [section, records] of bySection ?? []) {
    if (records.length === 0) continue;
    words.push(strings.string(section), records.length);
    for (const record of records) words.push(...encode(record));
  }
  return words.length === 0 ? [] : [recordSize, ...words];
}

function lineWords(record: LineInfo, insn: number, strings: StringSink): number[] {
  const position = (record.line << 10) | Math.min(record.column, 0x3ff);
  return [insn, strings.string(record.fileName), strings.string(record.text), position];
}

function toBytes(words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setUint32(i * 4, word, true);
  return bytes;
}
