/**
 * Builds BTF: types get ids in the order they are added, strings are stored once. The assembler, the embedded kernel and
 * tests describe types with it; starting from existing BTF it re-encodes, so that a loader can give data sections the
 * sizes and offsets that compilers leave to the linker.
 */

import { BTF_MAGIC, Btf } from './btf.ts';
import type { StringSink } from './encode.ts';
import { encodeType } from './encode.ts';
import { Alignments, sizeOf, typeError } from './layout.ts';
import type { BtfArray, BtfFuncProto, BtfInt, BtfLinkage, BtfMember, BtfType, TypeSource } from './types.ts';
import { BTF_INT_BOOL, BTF_INT_SIGNED } from './types.ts';

const HEADER_SIZE = 24;
const VOID: BtfType = { kind: 'void', name: '' };

/** A member to be laid out: its offset follows from those before it. */
export interface BtfField {
  readonly name: string;
  readonly type: number;
  /** Of a bit field: bits. */
  readonly bits?: number;
}

export class BtfBuilder implements TypeSource, StringSink {
  readonly #base: Btf | undefined;
  readonly #startId: number;
  readonly #types: BtfType[] = [];
  /** Ids of types that `intern` gave, by their description. */
  readonly #interned = new Map<string, number>();
  readonly #strings = new Map<string, number>();
  readonly #parts: Uint8Array[] = [];
  #stringEnd: number;

  /** @param options.base BTF that the new types continue (split BTF) */
  constructor(options: { base?: Btf } = {}) {
    this.#base = options.base;
    this.#startId = options.base?.count ?? 1;
    this.#stringEnd = options.base?.stringEnd ?? 0;
    if (this.#base === undefined) this.#append('');
    else this.#strings.set('', 0);
  }

  /** A builder that holds the own types of `btf` under their ids. */
  static from(btf: Btf): BtfBuilder {
    const builder = new BtfBuilder({ base: btf.base });
    for (let id = btf.startId; id < btf.count; id++) builder.add(btf.type(id));
    return builder;
  }

  get count(): number {
    return this.#startId + this.#types.length;
  }

  type(id: number): BtfType {
    if (id === 0) return VOID;
    if (id < this.#startId && this.#base !== undefined) return this.#base.type(id);
    const type = this.#types[id - this.#startId];
    if (type === undefined) throw typeError(this, id, `no such type; there are ${this.count}`);
    return type;
  }

  /** Records have no place before they are written. */
  offsetOf(_id: number): number {
    return 0;
  }

  /** The offset of a string, which is added if it is new: `.BTF.ext` refers to strings so. */
  string(text: string): number {
    return this.#strings.get(text) ?? this.#append(text);
  }

  /** Adds a type and gives its id. */
  add(type: BtfType): number {
    this.#types.push(type);
    return this.count - 1;
  }

  /** Replaces a type that is already there. */
  set(id: number, type: BtfType): void {
    this.type(id);
    if (id < this.#startId) throw typeError(this, id, 'belongs to the base');
    this.#types[id - this.#startId] = type;
  }

  /** An id for a type that is `set` later: types that refer to themselves need theirs first. */
  reserve(): number {
    return this.add(VOID);
  }

  /** As `add`, but the same description twice gives the same id: such a type is not to be `set`. */
  intern(type: Exclude<BtfType, { kind: 'enum64' }>): number {
    const key = JSON.stringify(type);
    const known = this.#interned.get(key);
    if (known !== undefined) return known;
    const id = this.add(type);
    this.#interned.set(key, id);
    return id;
  }

  /** An integer, named as in C: `int('unsigned int', 4)`. Encoding follows the name's meaning unless given. */
  int(name: string, size: number, encoding = defaultEncoding(name)): number {
    return this.intern(btfInt(name, size, encoding));
  }

  ptr(type: number): number {
    return this.intern({ kind: 'ptr', name: '', type });
  }

  array(type: number, nelems: number): number {
    const array: BtfArray = { kind: 'array', name: '', type, indexType: this.int('unsigned int', 4), nelems };
    return this.intern(array);
  }

  /** A typedef, or (without a name) const, volatile or restrict. */
  modifier(kind: 'typedef' | 'const' | 'volatile' | 'restrict', type: number, name = ''): number {
    return this.intern({ kind, name, type });
  }

  typeTag(name: string, type: number): number {
    return this.intern({ kind: 'type_tag', name, type, attribute: false });
  }

  /** @param componentIdx the member or parameter that is tagged, -1 for the type itself */
  declTag(name: string, type: number, componentIdx = -1): number {
    return this.add({ kind: 'decl_tag', name, type, componentIdx, attribute: false });
  }

  /** A struct or union whose members lie as C lays them out. @param id one that was reserved */
  composite(
    kind: 'struct' | 'union',
    name: string,
    fields: readonly BtfField[],
    id = this.reserve(),
  ): number {
    const alignments = new Alignments(this);
    const members: BtfMember[] = [];
    /** Bits that are taken: bit fields share bytes. */
    let end = 0;
    let alignment = 1;
    for (const { name: member, type, bits } of fields) {
      const needed = alignments.of(type);
      const size = sizeOf(this, type);
      const start =
        kind === 'union' ? 0 : bits === undefined ? alignUp(end, needed * 8) : placeBits(end, bits, size * 8);
      members.push({ name: member, type, bitOffset: start, bitfieldSize: bits ?? 0 });
      end = Math.max(end, start + (bits ?? size * 8));
      alignment = Math.max(alignment, needed);
    }
    this.set(id, { kind, name, size: alignUp(Math.ceil(end / 8), alignment), members });
    return id;
  }

  funcProto(type: number, params: BtfFuncProto['params']): number {
    return this.add({ kind: 'func_proto', name: '', type, params });
  }

  /** A function with its prototype. */
  func(
    name: string,
    returns: number,
    params: BtfFuncProto['params'],
    linkage: BtfLinkage = 'global',
  ): number {
    return this.add({ kind: 'func', name, type: this.funcProto(returns, params), linkage });
  }

  /** The bytes of a .BTF section. Whatever refers to strings of this builder must have asked for them before. */
  write(): Uint8Array {
    const records = this.#types.map((type) => encodeType(type, this));
    const words = records.reduce((sum, record) => sum + record.length, 0);
    const stringStart = this.#base?.stringEnd ?? 0;
    const bytes = new Uint8Array(HEADER_SIZE + words * 4 + this.#stringEnd - stringStart);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, BTF_MAGIC, true);
    view.setUint8(2, 1);
    view.setUint32(4, HEADER_SIZE, true);
    view.setUint32(12, words * 4, true);
    view.setUint32(16, words * 4, true);
    view.setUint32(20, this.#stringEnd - stringStart, true);
    let at = HEADER_SIZE;
    for (const record of records) {
      for (const word of record) {
        view.setUint32(at, word, true);
        at += 4;
      }
    }
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** What was built, to be read. */
  build(): Btf {
    return Btf.read(this.write(), { base: this.#base });
  }

  #append(text: string): number {
    const offset = this.#stringEnd;
    const part = new TextEncoder().encode(`${text}\0`);
    this.#strings.set(text, offset);
    this.#parts.push(part);
    this.#stringEnd += part.length;
    return offset;
  }
}

/** An int type without the fields that follow from others. */
export function btfInt(name: string, size: number, encoding = 0): BtfInt {
  return {
    kind: 'int',
    name,
    size,
    encoding,
    signed: (encoding & BTF_INT_SIGNED) !== 0,
    bool: (encoding & BTF_INT_BOOL) !== 0,
    bitOffset: 0,
    bits: size * 8,
  };
}

function defaultEncoding(name: string): number {
  if (name === '_Bool' || name === 'bool') return BTF_INT_BOOL;
  // clang describes plain char as a signed integer, not as BTF_INT_CHAR.
  return name.includes('unsigned') ? 0 : BTF_INT_SIGNED;
}

/** Where a bit field begins: behind the one before, unless it would lie in two units of its type. */
function placeBits(end: number, bits: number, unit: number): number {
  const fits = Math.floor(end / unit) === Math.floor((end + bits - 1) / unit);
  return fits ? end : alignUp(end, unit);
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
