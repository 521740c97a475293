/**
 * Arrays. {@link ArrayView} reads an element with `at`, which is fast, or with `[index]`, which is what people write: the
 * index goes to the proxy at the end of the prototype chain (`chain.ts`), about 0.15 µs, so a hot loop uses `at`,
 * iteration or `typed`.
 */

import { BpfError } from '../errors.ts';
import { typedArrayOf } from './scalars.ts';
import { decodeText, encodeText } from './text.ts';
import {
  badValue,
  CACHE,
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

export class ArrayType implements ValueType {
  readonly name: string;
  readonly slots = 1;
  readonly types: TypeTable;
  readonly element: ValueType;
  /** Elements; 0 for a flexible array. */
  readonly length: number;
  /** Its elements are `char`: reads as text where text is wanted. */
  readonly text: boolean;

  constructor(types: TypeTable, name: string, element: ValueType, length: number, text: boolean) {
    this.types = types;
    this.name = name;
    this.element = element;
    this.length = length;
    this.text = text;
  }

  get size(): number {
    return this.element.size * this.length;
  }

  create(space: Space, offset: number): ArrayView {
    return new ArrayView(space, offset, this, this.length) as ArrayView;
  }

  read(owner: View, delta: number, slot: number): ArrayView {
    const known = owner[CACHE]?.[slot];
    if (known !== undefined) return known as ArrayView;
    const view = this.create(owner[SPACE], owner[OFFSET] + delta);
    owner[KEEP](slot, view);
    return view;
  }

  write(owner: View, delta: number, value: unknown, what: string): void {
    this.fill(this.create(owner[SPACE], owner[OFFSET] + delta), value, what);
  }

  /**
   * Assigns to the elements of `array`: a string to bytes (with its NUL, zeroes up to the end), or the elements of
   * anything iterable, in order; those it does not have stay.
   */
  fill(array: View & { readonly length: number }, value: unknown, what: string): void {
    const { element } = this;
    if (typeof value === 'string') {
      this.#fillText(array, value, what);
      return;
    }
    if (typeof value !== 'object' || value === null || !(Symbol.iterator in value)) {
      throw badValue('EINVAL', what, value, `is neither iterable nor text; ${this.name} takes its elements`);
    }
    const values = [...(value as Iterable<unknown>)];
    if (values.length > array.length) {
      throw badValue('ERANGE', what, value, `of ${values.length} elements does not fit ${this.name}`);
    }
    for (let index = 0; index < values.length; index++) {
      element.write(array, index * element.size, values[index], what);
    }
  }

  #fillText(array: View & { readonly length: number }, text: string, what: string): void {
    if (this.element.size !== 1) throw badValue('EINVAL', what, text, `is no value for ${this.name}`);
    const bytes = encodeText(text);
    if (bytes.length >= array.length) {
      throw badValue('ERANGE', what, text, `and its NUL need ${bytes.length + 1} of ${array.length} bytes`);
    }
    const space = array[SPACE];
    space.memory.touch(array[OFFSET], array.length, true);
    const filled = new Uint8Array(array.length);
    filled.set(bytes);
    space.write(array[OFFSET], filled);
  }
}

/** A view of an array: its elements by `[index]`, `at` and iteration. Elements that are structs are views. */
export class ArrayView<T = Value> extends View implements Iterable<T> {
  readonly [TYPE]: ArrayType;
  /** Elements. 0 for a flexible array, whose `at` and `set` reach as far as the memory does. */
  readonly length: number;
  /** As {@link at} and {@link set}; slower. */
  [index: number]: T;

  constructor(space: Space, offset: number, type: ArrayType, length: number) {
    super(space, offset);
    this[TYPE] = type;
    this.length = length;
  }

  /** An element. @throws BpfError ERANGE beyond the end */
  at(index: number): T {
    const element = this[TYPE].element;
    this.#checkIndex(index);
    return element.read(this, index * element.size, index * element.slots) as T;
  }

  /** Writes an element. @throws BpfError ERANGE beyond the end, or for a value that does not fit */
  set(index: number, value: T): void {
    const element = this[TYPE].element;
    this.#checkIndex(index);
    element.write(this, index * element.size, value, `element ${index} of ${this[TYPE].name}`);
  }

  /**
   * The elements from `begin` up to, not including, `end`, as an array over the same memory. Of a flexible array, `end`
   * says how many there are.
   */
  subarray(begin = 0, end = this.length): ArrayView<T> {
    const flexible = this[TYPE].length === 0 && this.length === 0;
    if (!Number.isInteger(begin) || begin < 0 || end < begin || (end > this.length && !flexible)) {
      throw new BpfError('ERANGE', `${begin} to ${end} is not within ${this.length} elements`);
    }
    const type = this[TYPE];
    return new ArrayView<T>(this[SPACE], this[OFFSET] + begin * type.element.size, type, end - begin);
  }

  /**
   * The same memory as a typed array. Reading and writing through it does not fault pages in, goes on after the memory is
   * closed, and, for 64-bit elements, gives bigints.
   *
   * @throws BpfError EINVAL for elements that no typed array has, or that are not aligned in memory; EOPNOTSUPP for
   * memory that is not reached by address
   */
  get typed(): ArrayBufferView {
    const { element, name } = this[TYPE];
    const Typed = typedArrayOf(element);
    const { remote, view } = this[SPACE].memory;
    if (Typed === undefined) throw new BpfError('EINVAL', `${name} has no typed array`);
    if (remote !== undefined)
      throw new BpfError('EOPNOTSUPP', `${name}: this memory is reached by calls alone`);
    this[SPACE].memory.touch(this[OFFSET], this.length * element.size, false);
    const { buffer, byteOffset } = view;
    const start = byteOffset + this[OFFSET];
    if (start % element.size !== 0) {
      throw new BpfError('EINVAL', `${name} is not aligned in memory; a typed array must be`);
    }
    return new Typed(buffer, start, this.length);
  }

  /** The text up to the first NUL, of an array of bytes. Assigning writes text, NUL, and zeroes up to the end. */
  get string(): string {
    const { element, name } = this[TYPE];
    if (element.size !== 1) throw new BpfError('EINVAL', `${name} holds no text`);
    this[SPACE].memory.touch(this[OFFSET], this.length, false);
    return decodeText(this[SPACE].bytes(this[OFFSET], this.length));
  }

  set string(text: string) {
    this[TYPE].fill(this, text, this[TYPE].name);
  }

  /** The text of a `char` array; of others the elements, as arrays in JavaScript have it. */
  override toString(): string {
    return this[TYPE].text ? this.string : [...this].join();
  }

  *[Symbol.iterator](): Generator<T> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }

  /** Indexes and elements, as arrays in JavaScript give them. */
  *entries(): Generator<[number, T]> {
    for (let index = 0; index < this.length; index++) yield [index, this.at(index)];
  }

  override [KEEP](slot: number, view: unknown): void {
    this[CACHE] ??= [];
    this[SPACE].keep(this[CACHE], slot, view);
  }

  #checkIndex(index: number): void {
    const length = this[TYPE].length === 0 && this.length === 0 ? Number.MAX_SAFE_INTEGER : this.length;
    if (Number.isInteger(index) && index >= 0 && index < length) return;
    throw new BpfError('ERANGE', `element ${index} of ${this.length} in ${this[TYPE].name}`);
  }
}
