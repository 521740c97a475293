import { FormatError } from '../errors.ts';

/**
 * `.debug_info` as a list of entries: each with its tag, the attributes that describe types, and its children. Sections
 * of a relocatable BPF object need no relocation for that, since compilers leave the addends in place. Format: DWARF 4
 * and 5, chapter 7.
 */

/** The sections that entries are read from. */
export interface DwarfSections {
  info: Uint8Array;
  abbrev: Uint8Array;
  str?: Uint8Array;
  lineStr?: Uint8Array;
  strOffsets?: Uint8Array;
}

/** Tags that describe types. */
export const TAG = {
  array: 0x01,
  enumeration: 0x04,
  member: 0x0d,
  pointer: 0x0f,
  structure: 0x13,
  subroutine: 0x15,
  typedef: 0x16,
  union: 0x17,
  subrange: 0x21,
  base: 0x24,
  const: 0x26,
  enumerator: 0x28,
  volatile: 0x35,
  restrict: 0x37,
} as const;

/** Attributes that describe types; others are skipped. */
const ATTRIBUTES = {
  3: 'name',
  11: 'byteSize',
  13: 'bitSize',
  28: 'constValue',
  47: 'upperBound',
  55: 'count',
  56: 'memberLocation',
  60: 'declaration',
  62: 'encoding',
  73: 'type',
  107: 'dataBitOffset',
} as const satisfies Record<number, string>;

type AttributeName = (typeof ATTRIBUTES)[keyof typeof ATTRIBUTES];

/** One entry. Offsets into `.debug_info` name it; `type` is such an offset. */
export interface Entry {
  readonly offset: number;
  readonly tag: number;
  readonly name: string;
  readonly values: Readonly<Partial<Record<Exclude<AttributeName, 'name'>, number>>>;
  readonly children: Entry[];
}

interface Abbreviation {
  tag: number;
  hasChildren: boolean;
  attributes: { attribute: number; form: number; constant: number }[];
}

const DW_AT_STR_OFFSETS_BASE = 0x72;
/** Entries in all; a kernel's own debug information has far more, a BPF object's far fewer. */
const MAX_ENTRIES = 4_000_000;

/** All entries by offset. Throws FormatError when the sections are damaged or of a version before 4. */
export function readEntries(sections: DwarfSections): Map<number, Entry> {
  const entries = new Map<number, Entry>();
  const cursor = new Cursor(sections.info, '.debug_info');
  while (cursor.at < sections.info.length) {
    const start = cursor.at;
    const length = cursor.u32();
    const end = start + 4 + length;
    if (length >= 0xfffffff0 || end > sections.info.length)
      throw cursor.damaged('a unit ends beyond the section');
    const version = cursor.u16();
    if (version < 4 || version > 5) throw cursor.damaged(`DWARF version ${version}; 4 and 5 are known`);
    // Version 5 puts the unit's type first, and the address size before the abbreviations.
    const unitType = version === 5 ? cursor.u8() : 1;
    if (version === 5) cursor.u8();
    const abbreviations = readAbbreviations(sections.abbrev, cursor.u32());
    if (version === 4) cursor.u8();
    if (unitType === 1) readUnit(sections, cursor, { start, end, abbreviations }, entries);
    cursor.at = end;
  }
  return entries;
}

interface Unit {
  start: number;
  end: number;
  abbreviations: Map<number, Abbreviation>;
}

function readUnit(sections: DwarfSections, cursor: Cursor, unit: Unit, entries: Map<number, Entry>): void {
  const forms = new Forms(sections, cursor, unit.start);
  const parents: Entry[] = [];
  while (cursor.at < unit.end) {
    const offset = cursor.at;
    const code = cursor.uleb();
    if (code === 0) {
      parents.pop();
      if (parents.length === 0) return;
      continue;
    }
    const abbreviation = unit.abbreviations.get(code);
    if (abbreviation === undefined) throw cursor.damaged(`abbreviation ${code} does not exist`);
    const values: Partial<Record<AttributeName, number>> = {};
    let name = '';
    for (const { attribute, form, constant } of abbreviation.attributes) {
      const value = forms.read(form, constant);
      const known = ATTRIBUTES[attribute as keyof typeof ATTRIBUTES];
      if (attribute === DW_AT_STR_OFFSETS_BASE) forms.stringOffsetsBase = Number(value);
      else if (known === 'name') name = typeof value === 'function' ? value() : '';
      else if (known !== undefined && typeof value === 'number') values[known] = value;
    }
    const entry: Entry = { offset, tag: abbreviation.tag, name, values, children: [] };
    if (entries.size === MAX_ENTRIES) throw cursor.damaged('there are too many entries');
    entries.set(offset, entry);
    parents.at(-1)?.children.push(entry);
    if (abbreviation.hasChildren) parents.push(entry);
    else if (parents.length === 0) return;
  }
}

const tables = new WeakMap<Uint8Array, Map<number, Map<number, Abbreviation>>>();

function readAbbreviations(bytes: Uint8Array, offset: number): Map<number, Abbreviation> {
  const known = tables.get(bytes) ?? new Map<number, Map<number, Abbreviation>>();
  tables.set(bytes, known);
  const found = known.get(offset);
  if (found !== undefined) return found;
  const table = new Map<number, Abbreviation>();
  known.set(offset, table);
  const cursor = new Cursor(bytes, '.debug_abbrev', offset);
  for (let code = cursor.uleb(); code !== 0; code = cursor.uleb()) {
    const abbreviation: Abbreviation = { tag: cursor.uleb(), hasChildren: cursor.u8() === 1, attributes: [] };
    for (;;) {
      const attribute = cursor.uleb();
      const form = cursor.uleb();
      const constant = form === DW_FORM_IMPLICIT_CONST ? cursor.sleb() : 0;
      if (attribute === 0 && form === 0) break;
      abbreviation.attributes.push({ attribute, form, constant });
    }
    table.set(code, abbreviation);
  }
  return table;
}

const DW_FORM_IMPLICIT_CONST = 0x21;
const DW_FORM_INDIRECT = 0x16;

/** Reads attribute values; strings only when somebody asks. */
class Forms {
  readonly #sections: DwarfSections;
  readonly #cursor: Cursor;
  readonly #unitStart: number;
  stringOffsetsBase = 8;

  constructor(sections: DwarfSections, cursor: Cursor, unitStart: number) {
    this.#sections = sections;
    this.#cursor = cursor;
    this.#unitStart = unitStart;
  }

  /** A number, the offset of an entry, a string's reader, or undefined for what no type needs. */
  read(form: number, constant: number): number | (() => string) | undefined {
    const cursor = this.#cursor;
    switch (form) {
      case 0x01: // addr
      case 0x20: // ref_sig8
        return cursor.skip(8);
      case 0x03: // block2
        return cursor.skip(cursor.u16());
      case 0x04: // block4
        return cursor.skip(cursor.u32());
      case 0x05: // data2
        return cursor.u16();
      case 0x06: // data4
      case 0x17: // sec_offset
      case 0x10: // ref_addr
        return cursor.u32();
      case 0x07: // data8
        return cursor.u64();
      case 0x08: // string
        return this.#text(cursor.text());
      case 0x09: // block
      case 0x18: // exprloc
        return cursor.skip(cursor.uleb());
      case 0x0a: // block1
        return cursor.skip(cursor.u8());
      case 0x0b: // data1
      case 0x0c: // flag
        return cursor.u8();
      case 0x0d: // sdata
        return cursor.sleb();
      case 0x0e: // strp
        return this.#stringAt(this.#sections.str, cursor.u32());
      case 0x0f: // udata
      case 0x1b: // addrx
      case 0x22: // loclistx
      case 0x23: // rnglistx
        return cursor.uleb();
      case 0x11: // ref1
        return this.#unitStart + cursor.u8();
      case 0x12: // ref2
        return this.#unitStart + cursor.u16();
      case 0x13: // ref4
        return this.#unitStart + cursor.u32();
      case 0x14: // ref8
        return this.#unitStart + cursor.u64();
      case 0x15: // ref_udata
        return this.#unitStart + cursor.uleb();
      case DW_FORM_INDIRECT:
        return this.read(this.#direct(), 0);
      case 0x19: // flag_present
        return 1;
      case 0x1a: // strx
        return this.#stringNumber(cursor.uleb());
      case 0x1e: // data16
        return cursor.skip(16);
      case 0x1f: // line_strp
        return this.#stringAt(this.#sections.lineStr, cursor.u32());
      case DW_FORM_IMPLICIT_CONST:
        return constant;
      case 0x25: // strx1
        return this.#stringNumber(cursor.u8());
      case 0x26: // strx2
        return this.#stringNumber(cursor.u16());
      case 0x27: // strx3
        return this.#stringNumber(cursor.u8() | (cursor.u16() << 8));
      case 0x28: // strx4
        return this.#stringNumber(cursor.u32());
      case 0x29: // addrx1
        return cursor.skip(1);
      case 0x2a: // addrx2
        return cursor.skip(2);
      case 0x2c: // addrx4
        return cursor.skip(4);
      default:
        throw cursor.damaged(`form 0x${form.toString(16)} is unknown`);
    }
  }

  #direct(): number {
    const form = this.#cursor.uleb();
    if (form === DW_FORM_INDIRECT) throw this.#cursor.damaged('a form that is indirect twice');
    return form;
  }

  #text(text: string): () => string {
    return () => text;
  }

  #stringNumber(index: number): () => string {
    const base = this.stringOffsetsBase;
    return () => {
      const offsets = new Cursor(
        this.#sections.strOffsets ?? new Uint8Array(),
        '.debug_str_offsets',
        base + 4 * index,
      );
      return this.#stringAt(this.#sections.str, offsets.u32())();
    };
  }

  #stringAt(bytes: Uint8Array | undefined, offset: number): () => string {
    return () => new Cursor(bytes ?? new Uint8Array(), '.debug_str', offset).text();
  }
}

/** Reads numbers and text from bytes, never beyond their end. */
class Cursor {
  at: number;
  readonly #bytes: Uint8Array;
  readonly #section: string;

  constructor(bytes: Uint8Array, section: string, at = 0) {
    this.#bytes = bytes;
    this.#section = section;
    this.at = at;
  }

  u8(): number {
    if (this.at >= this.#bytes.length) throw this.damaged('it ends in the middle of a value');
    return this.#bytes[this.at++];
  }

  u16(): number {
    return this.u8() | (this.u8() << 8);
  }

  u32(): number {
    return this.u16() + this.u16() * 0x10000;
  }

  /** Rounded above 2^53. */
  u64(): number {
    return this.u32() + this.u32() * 2 ** 32;
  }

  uleb(): number {
    return this.#leb(false);
  }

  sleb(): number {
    return this.#leb(true);
  }

  skip(bytes: number): undefined {
    this.at += bytes;
    if (this.at > this.#bytes.length) throw this.damaged('a value ends beyond the section');
  }

  text(): string {
    const end = this.#bytes.indexOf(0, this.at);
    if (end < 0 || this.at >= this.#bytes.length) throw this.damaged('a string does not end');
    const text = new TextDecoder().decode(this.#bytes.slice(this.at, end));
    this.at = end + 1;
    return text;
  }

  damaged(problem: string): FormatError {
    return new FormatError(this.#section, this.at, problem);
  }

  #leb(signed: boolean): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return signed && byte >= 0x40 ? value - scale : value;
    }
    throw this.damaged('a number is too long');
  }
}
