/**
 * Pointers. One to a struct reads as the struct's view, so that `n.next.value` walks a list; any other reads as a
 * {@link Pointer}. What a pointer led to is kept beside its 64 bits and given again while they are unchanged: a second
 * walk makes no objects, and following needs no BigInt.
 */

import { BpfError } from '../errors.ts';
import type { ArrayView } from './array.ts';
import { isStructView, StructType } from './struct.ts';
import { decodeText, textLength } from './text.ts';
import {
  badValue,
  CACHE,
  INSPECT,
  KEEP,
  OFFSET,
  SPACE,
  type Space,
  TYPE,
  type TypeTable,
  type Value,
  type ValueType,
  View,
} from './view.ts';

/** Makes an array of `length` elements at a place: given by the type table, since arrays know pointers, too. */
export type ArrayMaker = (element: ValueType, length: number, space: Space, offset: number) => ArrayView;

export class PointerType implements ValueType {
  readonly name: string;
  readonly size = 8;
  /** The halves, and where they led. */
  readonly slots = 3;
  readonly types: TypeTable;
  readonly arrayOf: ArrayMaker;
  readonly #targetId: number;
  #target: ValueType | undefined;

  constructor(types: TypeTable, name: string, targetId: number, arrayOf: ArrayMaker) {
    this.name = name;
    this.types = types;
    this.arrayOf = arrayOf;
    this.#targetId = targetId;
  }

  /** What it points to; resolved late, since types may refer to themselves. */
  get target(): ValueType {
    this.#target ??= this.types.of(this.#targetId);
    return this.#target;
  }

  read(owner: View, delta: number, slot: number): Value {
    const memory = owner[SPACE].memory;
    const at = owner[OFFSET] + delta;
    memory.touch(at, 8, false);
    const view = memory.view;
    let low = view.getInt32(at, true);
    let high = view.getInt32(at + 4, true);
    // Programs store pointers whole while we read halves: only a pair that stays the same is one pointer.
    while (view.getInt32(at, true) !== low || view.getInt32(at + 4, true) !== high) {
      low = view.getInt32(at, true);
      high = view.getInt32(at + 4, true);
    }
    if ((low | high) === 0) return null;
    const cache = owner[CACHE];
    if (cache !== undefined && cache[slot + 2] === low && cache[slot + 1] === high) {
      const known = cache[slot];
      if (known !== undefined) return known as Value;
    }
    return this.#follow(owner, slot, low, high);
  }

  #follow(owner: View, slot: number, low: number, high: number): Value {
    const from = owner[SPACE];
    const space = from.follow(low, high);
    const offset = space === undefined ? 0 : from.memory.pointerOffset(low, high);
    const target = this.target;
    const found =
      space !== undefined && target instanceof StructType
        ? target.create(space, offset)
        : new Pointer(this, space ?? from, space === undefined ? undefined : offset, low, high);
    owner[CACHE] ??= [];
    const cache = owner[CACHE];
    // In this order: storing the first slot first lets a small array grow without holes in it.
    from.keep(cache, slot, found);
    cache[slot + 1] = high;
    cache[slot + 2] = low;
    return found;
  }

  /** The pointer itself, without following it. */
  address(owner: View, delta: number): bigint {
    const memory = owner[SPACE].memory;
    const at = owner[OFFSET] + delta;
    memory.touch(at, 8, false);
    return memory.view.getBigUint64(at, true);
  }

  write(owner: View, delta: number, value: unknown, what: string): void {
    const address = this.#addressFor(value, what);
    const memory = owner[SPACE].memory;
    const at = owner[OFFSET] + delta;
    memory.touch(at, 8, true);
    memory.view.setBigUint64(at, address, true);
  }

  #addressFor(value: unknown, what: string): bigint {
    if (value === null) return 0n;
    if (value instanceof Pointer) return value.address;
    if (isStructView(value)) {
      const type = value[TYPE];
      const target = this.target;
      if (target.size !== 0 && type !== target && type.name !== target.name) {
        throw badValue('EINVAL', what, value, `of type ${type.name} is not what a ${this.name} points to`);
      }
    }
    if (value instanceof View) return value[SPACE].memory.addressOf(value[OFFSET]);
    if (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))) {
      const address = BigInt(value);
      if (address >= 0n && address < 1n << 64n) return address;
      throw badValue('ERANGE', what, value, 'is no 64-bit address');
    }
    throw badValue('EINVAL', what, value, 'is no view, pointer, address or null');
  }
}

/**
 * A pointer to anything but a struct, or one that user space cannot follow: then it has an address and nothing else.
 * The target type `T` is what {@link value} gives.
 */
export class Pointer<T = Value> extends View {
  readonly [TYPE]: PointerType;
  readonly #followable: boolean;
  readonly #low: number;
  readonly #high: number;

  constructor(type: PointerType, space: Space, offset: number | undefined, low: number, high: number) {
    super(space, offset ?? 0);
    this[TYPE] = type;
    this.#followable = offset !== undefined;
    this.#low = low;
    this.#high = high;
  }

  /** The pointer as stored. */
  get address(): bigint {
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0);
  }

  /** What it points to. @throws BpfError EFAULT for a kernel address, EINVAL for void and functions */
  get value(): T {
    return this.at(0);
  }

  set value(value: T) {
    this.set(0, value);
  }

  /** The element `index` places on (it may be negative), as `p[index]` in C. */
  at(index: number): T {
    const type = this.#element();
    return type.read(this, index * type.size, index * type.slots) as T;
  }

  /** Writes the element `index` places on. */
  set(index: number, value: T): void {
    const type = this.#element();
    type.write(this, index * type.size, value, `*(${this[TYPE].name})`);
  }

  /** The `length` elements from here on. */
  array(length: number): ArrayView<T> {
    const type = this.#element();
    return this[TYPE].arrayOf(type, length, this[SPACE], this[OFFSET]) as ArrayView<T>;
  }

  /** The text up to the next NUL, as UTF-8. @param maxBytes where to stop when there is none */
  string(maxBytes = 65_536): string {
    const type = this[TYPE].target;
    if (type.size > 1) throw new BpfError('EINVAL', `a ${this[TYPE].name} points to no text`);
    this.#checkFollowable();
    const length = textLength(this[SPACE], this[OFFSET], maxBytes);
    return decodeText(this[SPACE].bytes(this[OFFSET], length));
  }

  /** The pointer `index` elements on: `p + index`. */
  plus(index: number): Pointer<T> {
    const type = this.#element();
    const address = this.address + BigInt(index * type.size);
    const low = Number(BigInt.asIntN(32, address));
    const high = Number(BigInt.asIntN(32, address >> 32n));
    const offset = this[OFFSET] + index * type.size;
    if (offset < 0) throw new BpfError('EFAULT', `0x${address.toString(16)} is before the memory's start`);
    return new Pointer<T>(this[TYPE], this[SPACE], offset, low, high);
  }

  /** Whether user space can look at what it points to. */
  get followable(): boolean {
    return this.#followable;
  }

  [INSPECT](): string {
    return `(${this[TYPE].name}) 0x${this.address.toString(16)}`;
  }

  override [KEEP](slot: number, view: unknown): void {
    this[CACHE] ??= [];
    this[SPACE].keep(this[CACHE], slot, view);
  }

  #element(): ValueType {
    this.#checkFollowable();
    const type = this[TYPE].target;
    if (type.size === 0) throw new BpfError('EINVAL', `a ${this[TYPE].name} needs castView to be followed`);
    return type;
  }

  #checkFollowable(): void {
    if (this.#followable) return;
    throw new BpfError(
      'EFAULT',
      `0x${this.address.toString(16)} is a kernel address; user space cannot look`,
    );
  }
}
