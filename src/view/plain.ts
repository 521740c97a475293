/**
 * Views as plain objects, for printing and JSON. Memory may hold anything, so this must end for circular lists and
 * survive pointers that lead nowhere: such a pointer shows as its address.
 */

import { BpfError } from '../errors.ts';
import { ArrayView } from './array.ts';
import { Pointer, PointerType } from './pointer.ts';
import { Int64NumberType } from './scalars.ts';
import { isStructView, StructBase, StructType } from './struct.ts';
import { INSPECT, OFFSET, SPACE, TYPE, type ValueType, type View } from './view.ts';

/** What toPlain gives: data only, no view. */
export type Plain = number | bigint | boolean | string | null | Plain[] | { [field: string]: Plain };

export interface PlainOptions {
  /** Pointers to structs that are followed, one behind the other; the next is its address. Default 0. */
  readonly depth?: number;
  /** Elements of an array that are taken. Default: all. */
  readonly maxElements?: number;
}

/** Structs and arrays within each other: more is a circle in damaged BTF. */
const MAX_NESTING = 64;

/**
 * A copy of what a view shows: structs as objects, arrays as arrays, text as strings, 64-bit integers as the view gives
 * them. Pointers are followed to structs as far as `depth` says; other pointers, and one that leads back to a struct on
 * the way or to where nothing is, are `0x…` strings; NULL is null. What is no view is copied as it is.
 */
export function toPlain(
  value: unknown,
  { depth = 0, maxElements = Number.POSITIVE_INFINITY }: PlainOptions = {},
): Plain {
  return new Walk(maxElements).any(value, depth);
}

class Walk {
  readonly #maxElements: number;
  /** Structs that pointers led to on the way here. */
  readonly #path: StructBase[] = [];
  #nesting = 0;

  constructor(maxElements: number) {
    this.#maxElements = maxElements;
  }

  any(value: unknown, depth: number): Plain {
    if (isStructView(value)) return this.#struct(value, depth);
    if (value instanceof ArrayView) return this.#array(value, depth);
    if (value instanceof Pointer) return hex(value.address);
    if (typeof value !== 'object' || value === null) return value as Plain;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, this.any(part, depth)]));
  }

  #struct(view: StructBase, depth: number): Plain {
    const type = view[TYPE];
    this.#path.push(view);
    const fields: [string, Plain][] = [];
    for (const field of type.fields.values()) {
      fields.push([field.name, this.#value(field.type, view, field.offset, field.slot, depth)]);
    }
    this.#path.pop();
    return Object.fromEntries(fields);
  }

  #array(view: ArrayView, depth: number): Plain {
    const { element, text } = view[TYPE];
    if (text) return view.string;
    const length = Math.min(view.length, this.#maxElements);
    const elements: Plain[] = [];
    for (let index = 0; index < length; index++) {
      elements.push(this.#value(element, view, index * element.size, index * element.slots, depth));
    }
    if (length < view.length) elements.push(`… ${view.length - length} more`);
    return elements;
  }

  #value(type: ValueType, owner: View, delta: number, slot: number, depth: number): Plain {
    if (type instanceof PointerType) return this.#pointer(type, owner, delta, slot, depth);
    if (type.size === 0 && type.slots === 0) return '(no value)';
    if (type instanceof Int64NumberType) return type.exact(owner, delta);
    if (this.#nesting === MAX_NESTING) return '…';
    this.#nesting++;
    const plain = this.any(type.read(owner, delta, slot), depth);
    this.#nesting--;
    return plain;
  }

  #pointer(type: PointerType, owner: View, delta: number, slot: number, depth: number): Plain {
    const address = type.address(owner, delta);
    if (address === 0n) return null;
    if (depth === 0 || !(type.target instanceof StructType)) return hex(address);
    const [path, nesting] = [this.#path.length, this.#nesting];
    try {
      const target = type.read(owner, delta, slot);
      if (!isStructView(target) || this.#isOnPath(target)) return hex(address);
      return this.#struct(target, depth - 1);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      this.#path.length = path;
      this.#nesting = nesting;
      return hex(address);
    }
  }

  #isOnPath(target: StructBase): boolean {
    const type = target[TYPE];
    return this.#path.some(
      (view) => view[SPACE] === target[SPACE] && view[OFFSET] === target[OFFSET] && view[TYPE] === type,
    );
  }
}

/** More elements than util.inspect shows, so that it says how many there are. */
const INSPECTED_ELEMENTS = 101;

type Inspect = (value: unknown, options: object) => string;

/** What `console.log` and `util.inspect` of Node print: the plain form behind the type's name. Never throws. */
export function inspectView(this: unknown, _depth: number, options: object, inspect: Inspect): string {
  const name = isStructView(this) ? this[TYPE].name : this instanceof ArrayView ? this[TYPE].name : '';
  try {
    const text = inspect(toPlain(this, { maxElements: INSPECTED_ELEMENTS }), options);
    return name === '' ? text : `${name} ${text}`;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return `${name || 'globals'} [${error.code}: ${error.message}]`;
  }
}

for (const { prototype } of [StructBase, ArrayView]) {
  Object.defineProperty(prototype, INSPECT, { value: inspectView });
  Object.defineProperty(prototype, 'toJSON', { value: viewToJson });
}
Object.defineProperty(Pointer.prototype, 'toJSON', { value: viewToJson });

/**
 * What JSON.stringify writes of a view, without which it gives `{}`: its plain form, pointers as text, 64-bit integers as JSON
 * integers with all their digits. An engine that cannot write those (JSON.rawJSON) gets text where a number would not be exact.
 */
export function viewToJson(this: unknown): unknown {
  return exact(toPlain(this));
}

const { rawJSON } = JSON as unknown as { rawJSON?: (text: string) => unknown };

function exact(value: Plain): unknown {
  if (typeof value === 'bigint') {
    if (rawJSON !== undefined) return rawJSON(String(value));
    return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  }
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(exact);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, exact(part)]));
}

function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}
