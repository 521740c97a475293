/**
 * Values that views copy out of memory: integers, bools, floats, enums, and any of them as a bit field. One table has
 * how each width is loaded and stored; the rest is about which JavaScript values may go in.
 */

import { BpfError } from '../errors.ts';
import { readBits, readBits64, writeBits, writeBits64 } from './bits.ts';
import { badValue, OFFSET, SPACE, type Value, type ValueType, type View } from './view.ts';

type TypedArrayOf = new (buffer: ArrayBufferLike, offset: number, length: number) => ArrayBufferView;

/** A value in memory as the machine has it: loaded and stored whole, no rule about what it means. */
interface Word {
  readonly size: number;
  load(view: DataView, at: number): number | bigint;
  store(view: DataView, at: number, value: number | bigint): void;
  /** The typed array with such elements, where there is one. */
  readonly array?: TypedArrayOf;
}

const U8: Word = {
  size: 1,
  load: (view, at) => view.getUint8(at),
  store: (view, at, value) => view.setUint8(at, Number(value)),
  array: Uint8Array,
};
const I8: Word = {
  size: 1,
  load: (view, at) => view.getInt8(at),
  store: (view, at, value) => view.setInt8(at, Number(value)),
  array: Int8Array,
};
const U16: Word = {
  size: 2,
  load: (view, at) => view.getUint16(at, true),
  store: (view, at, value) => view.setUint16(at, Number(value), true),
  array: Uint16Array,
};
const I16: Word = {
  size: 2,
  load: (view, at) => view.getInt16(at, true),
  store: (view, at, value) => view.setInt16(at, Number(value), true),
  array: Int16Array,
};
const U32: Word = {
  size: 4,
  load: (view, at) => view.getUint32(at, true),
  store: (view, at, value) => view.setUint32(at, Number(value), true),
  array: Uint32Array,
};
const I32: Word = {
  size: 4,
  load: (view, at) => view.getInt32(at, true),
  store: (view, at, value) => view.setInt32(at, Number(value), true),
  array: Int32Array,
};
const U64: Word = {
  size: 8,
  load: (view, at) => view.getBigUint64(at, true),
  store: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
  array: BigUint64Array,
};
const I64: Word = {
  size: 8,
  load: (view, at) => view.getBigInt64(at, true),
  store: (view, at, value) => view.setBigInt64(at, BigInt(value), true),
  array: BigInt64Array,
};
const U128: Word = {
  size: 16,
  load: (view, at) => (view.getBigUint64(at + 8, true) << 64n) | view.getBigUint64(at, true),
  store: (view, at, value) => {
    view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    view.setBigUint64(at + 8, BigInt.asUintN(64, BigInt(value) >> 64n), true);
  },
};
const I128: Word = { ...U128, load: (view, at) => BigInt.asIntN(128, U128.load(view, at) as bigint) };
const F32: Word = {
  size: 4,
  load: (view, at) => view.getFloat32(at, true),
  store: (view, at, value) => view.setFloat32(at, Number(value), true),
  array: Float32Array,
};
const F64: Word = {
  size: 8,
  load: (view, at) => view.getFloat64(at, true),
  store: (view, at, value) => view.setFloat64(at, Number(value), true),
  array: Float64Array,
};

/** 64-bit integers without a BigInt. Exact up to 2^53; what lies beyond is refused by {@link Int64Number}. */
const U64_NUMBER: Word = {
  ...U64,
  load: (view, at) => view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true),
};
const I64_NUMBER: Word = {
  ...I64,
  load: (view, at) => view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true),
};

const UNSIGNED: Readonly<Record<number, Word>> = { 1: U8, 2: U16, 4: U32, 8: U64, 16: U128 };
const SIGNED: Readonly<Record<number, Word>> = { 1: I8, 2: I16, 4: I32, 8: I64, 16: I128 };
const FLOATS: Readonly<Record<number, Word>> = { 4: F32, 8: F64 };

/** Bits within the bytes from `delta` on; see `bits.ts`. */
function bitWord(shift: number, bits: number, signed: boolean, wide: boolean): Word {
  const size = Math.ceil((shift + bits) / 8);
  return wide
    ? {
        size,
        load: (view, at) => readBits64(view, at, shift, bits, signed),
        store: (view, at, value) => writeBits64(view, at, shift, bits, BigInt(value)),
      }
    : {
        size,
        load: (view, at) => readBits(view, at, shift, bits, signed),
        store: (view, at, value) => writeBits(view, at, shift, bits, Number(value)),
      };
}

/** The integers of some width, and the word that holds them. */
export class Integer {
  readonly word: Word;
  /** Whether they are BigInts in JavaScript. */
  readonly wide: boolean;
  readonly lowest: bigint;
  readonly highest: bigint;

  private constructor(word: Word, bits: number, signed: boolean, wide: boolean) {
    this.word = word;
    this.wide = wide;
    this.lowest = signed ? -(1n << BigInt(bits - 1)) : 0n;
    this.highest = (1n << BigInt(signed ? bits - 1 : bits)) - 1n;
  }

  /** @param size bytes. Undefined for a size that no C integer has. */
  static ofSize(size: number, signed: boolean): Integer | undefined {
    const word = (signed ? SIGNED : UNSIGNED)[size];
    return word === undefined ? undefined : new Integer(word, size * 8, signed, size > 4);
  }

  /**
   * A bit field.
   * @param size bytes of its declared type, which decides whether JavaScript sees a number or a bigint
   * @param shift bits before it in its first byte, 0 to 7
   */
  static ofBits(size: number, shift: number, bits: number, signed: boolean): Integer {
    return new Integer(bitWord(shift, bits, signed, size > 4), bits, signed, size > 4);
  }

  /** The value to store for what the user gave. */
  check(value: unknown, what: string): number | bigint {
    if (typeof value !== 'number' && typeof value !== 'bigint') {
      throw badValue('EINVAL', what, value, 'is no integer');
    }
    if (typeof value === 'number' && !Number.isInteger(value)) {
      throw badValue('EINVAL', what, value, 'is no integer');
    }
    if (value < this.lowest || value > this.highest) {
      throw badValue('ERANGE', what, value, `is not between ${this.lowest} and ${this.highest}`);
    }
    return value;
  }
}

/** A type whose values are copied out: what its word means to the user. */
export abstract class Scalar implements ValueType {
  readonly name: string;
  readonly size: number;
  readonly slots = 0;
  readonly word: Word;

  constructor(name: string, word: Word) {
    this.name = name;
    this.word = word;
    this.size = word.size;
  }

  read(owner: View, delta: number): Value {
    const memory = owner[SPACE].memory;
    const at = owner[OFFSET] + delta;
    memory.touch(at, this.size, false);
    return this.decode(this.word.load(memory.view, at));
  }

  write(owner: View, delta: number, value: unknown, what: string): void {
    const stored = this.encode(value, what);
    const memory = owner[SPACE].memory;
    const at = owner[OFFSET] + delta;
    memory.touch(at, this.size, true);
    this.word.store(memory.view, at, stored);
  }

  /** What the user sees. */
  abstract decode(stored: number | bigint): Value;
  /** What memory holds for it. */
  abstract encode(value: unknown, what: string): number | bigint;
}

export class IntType extends Scalar {
  readonly #integer: Integer;

  constructor(name: string, integer: Integer) {
    super(name, integer.word);
    this.#integer = integer;
  }

  decode(stored: number | bigint): Value {
    return stored;
  }

  encode(value: unknown, what: string): number | bigint {
    return this.#integer.check(value, what);
  }
}

/** A 64-bit integer for users who asked for numbers. Bit fields of 64-bit types go the long way. */
export class Int64NumberType extends Scalar {
  readonly #integer: Integer;

  constructor(name: string, integer: Integer) {
    const direct = integer.word === U64 ? U64_NUMBER : integer.word === I64 ? I64_NUMBER : integer.word;
    super(name, direct);
    this.#integer = integer;
  }

  decode(stored: number | bigint): Value {
    const value = Number(stored);
    if (!Number.isSafeInteger(value)) {
      throw new BpfError('ERANGE', `${this.name}: about ${value} is no exact number; read it as bigint`);
    }
    return value;
  }

  /** The value, also where it is no exact number: then as bigint. */
  exact(owner: View, delta: number): number | bigint {
    const memory = owner[SPACE].memory;
    memory.touch(owner[OFFSET] + delta, this.size, false);
    const stored = BigInt(this.#integer.word.load(memory.view, owner[OFFSET] + delta));
    return Number.isSafeInteger(Number(stored)) ? Number(stored) : stored;
  }

  encode(value: unknown, what: string): number | bigint {
    return this.#integer.check(value, what);
  }
}

export class BoolType extends Scalar {
  constructor(name: string, integer: Integer) {
    super(name, integer.word);
  }

  decode(stored: number | bigint): Value {
    return Number(stored) !== 0;
  }

  encode(value: unknown, what: string): number {
    if (value === true || value === 1) return 1;
    if (value === false || value === 0) return 0;
    throw badValue('EINVAL', what, value, 'is no bool');
  }
}

export class FloatType extends Scalar {
  /** @param size bytes. Undefined for one that JavaScript lacks, as long double. */
  static ofSize(name: string, size: number): FloatType | undefined {
    const word = FLOATS[size];
    return word === undefined ? undefined : new FloatType(name, word);
  }

  decode(stored: number | bigint): Value {
    return stored;
  }

  encode(value: unknown, what: string): number {
    if (typeof value !== 'number') throw badValue('EINVAL', what, value, 'is no number');
    return value;
  }
}

/** An enum: values go by name; one without a name is its number. */
export class EnumType extends Scalar {
  readonly #integer: Integer;
  readonly #values = new Map<string, number | bigint>();
  readonly #names = new Map<number | bigint, string>();

  constructor(
    name: string,
    integer: Integer,
    values: readonly { readonly name: string; readonly value: number | bigint }[],
  ) {
    super(name, integer.word);
    this.#integer = integer;
    for (const entry of values) {
      const value = integer.wide ? BigInt(entry.value) : Number(entry.value);
      this.#values.set(entry.name, value);
      // Of two names for one value, C's first is the usual one: the second is a FIRST or LAST marker.
      if (!this.#names.has(value)) this.#names.set(value, entry.name);
    }
  }

  decode(stored: number | bigint): Value {
    return this.#names.get(stored) ?? stored;
  }

  encode(value: unknown, what: string): number | bigint {
    if (typeof value !== 'string') return this.#integer.check(value, what);
    const known = this.#values.get(value);
    if (known === undefined) {
      const some = [...this.#values.keys()].slice(0, 8).join(', ');
      throw badValue('EINVAL', what, value, `is no name of ${this.name}, which has ${some}`);
    }
    return this.#integer.check(known, what);
  }
}

/** Whether the type is a scalar with values in memory one behind the other, as a typed array has them. */
export function typedArrayOf(type: ValueType): TypedArrayOf | undefined {
  return type instanceof Scalar ? type.word.array : undefined;
}
