/**
 * The ground under all views: a place in a memory, the cache of views reached from it, and what each type must be able
 * to do. Nothing here depends on a type, so struct, array and pointer views share it without knowing each other.
 */

import type { Btf } from '../btf/index.ts';
import { BpfError } from '../errors.ts';
import type { ArrayView } from './array.ts';
import type { ViewMemory } from './memory.ts';
import type { Pointer } from './pointer.ts';

export { INSPECT } from '../shown.ts';

/** A view of a struct or union: its fields are its properties. Generated types say which; without them, any name. */
export type StructView = { [field: string]: Value };

/** What reading a field, element or variable gives. */
export type Value = number | bigint | boolean | string | null | StructView | ArrayView | Pointer;

export interface ViewOptions {
  /** 64-bit integers as `bigint` (the default), or as `number`: then one beyond ±(2^53 − 1) throws ERANGE when read. */
  readonly int64?: 'bigint' | 'number';
}

// Symbols, so that no field of a struct can have these names.
export const SPACE = Symbol('space');
export const OFFSET = Symbol('offset');
export const CACHE = Symbol('cache');
export const TYPE = Symbol('type');
export const KEEP = Symbol('keep');

/** How many views reached through pointers and array elements a memory keeps alive for reuse. */
const KEPT = 4096;

/**
 * A memory, and the views that are kept because a pointer or an element led to them. Without a bound, walking a list
 * would keep a view of every node for as long as its head has one: the oldest give way.
 */
export class Space {
  static readonly #spaces = new WeakMap<ViewMemory, Space>();

  readonly memory: ViewMemory;
  readonly #caches: unknown[][] = [];
  readonly #slots: number[] = [];
  #next = 0;

  private constructor(memory: ViewMemory) {
    this.memory = memory;
  }

  static of(memory: ViewMemory): Space {
    let space = Space.#spaces.get(memory);
    if (space === undefined) {
      space = new Space(memory);
      Space.#spaces.set(memory, space);
    }
    return space;
  }

  /** The space a pointer leads to, or undefined when it is for kernels only. */
  follow(low: number, high: number): Space | undefined {
    const memory = this.memory;
    const target = memory.pointerTarget(low, high);
    if (target === memory) return this;
    return target === undefined ? undefined : Space.of(target);
  }

  /** Puts a view into `cache[slot]` until {@link KEPT} others came after it. */
  keep(cache: unknown[], slot: number, view: unknown): void {
    const next = this.#next;
    if (next < this.#caches.length) {
      this.#caches[next][this.#slots[next]] = undefined;
      this.#caches[next] = cache;
      this.#slots[next] = slot;
    } else {
      this.#caches.push(cache);
      this.#slots.push(slot);
    }
    this.#next = next + 1 === KEPT ? 0 : next + 1;
    cache[slot] = view;
  }

  /** `length` bytes of the memory, touched before, to be read at once: the memory's own, or a copy. */
  bytes(offset: number, length: number): Uint8Array {
    const { remote, view } = this.memory;
    if (remote === undefined) return new Uint8Array(view.buffer, view.byteOffset + offset, length);
    const bytes = new Uint8Array(length);
    remote.read(offset, bytes);
    return bytes;
  }

  /** Writes bytes to where was touched before. */
  write(offset: number, bytes: Uint8Array): void {
    const { remote, view } = this.memory;
    if (remote !== undefined) remote.write(offset, bytes);
    else new Uint8Array(view.buffer, view.byteOffset + offset, bytes.length).set(bytes);
  }
}

/** A place in a memory. Structs, arrays and pointers are views; what they hold is read at an offset from their place. */
export class View {
  readonly [SPACE]: Space;
  /** Bytes from the start of the memory. */
  readonly [OFFSET]: number;
  /** Views reached from this one, at slots that its type deals out. */
  [CACHE]: unknown[] | undefined;

  constructor(space: Space, offset: number) {
    this[SPACE] = space;
    this[OFFSET] = offset;
    this[CACHE] = undefined;
  }

  /** Caches a view. Those with any number of slots, arrays and pointers, do it through {@link Space.keep}. */
  [KEEP](slot: number, view: unknown): void {
    this[CACHE] ??= [];
    this[CACHE][slot] = view;
  }
}

/** What views do with a type. One object for each BTF type, made by the type table. */
export interface ValueType {
  /** As C spells it: `struct node *`. */
  readonly name: string;
  /** Bytes; 0 for what has no size (void, functions, structs that are only declared). */
  readonly size: number;
  /** Cache elements that reading one needs in its owner. */
  readonly slots: number;
  /** Reads the value `delta` bytes after the owner's place. */
  read(owner: View, delta: number, slot: number): Value;
  /**
   * Writes the value there.
   * @param what names the place in errors: `struct node.value`
   * @throws BpfError EINVAL for a value of the wrong kind, ERANGE for one that does not fit
   */
  write(owner: View, delta: number, value: unknown, what: string): void;
}

/** Gives types by BTF id and by name. */
export interface TypeTable {
  readonly btf: Btf;
  of(id: number): ValueType;
  /** @throws BpfError ENOENT when no type has this name */
  named(name: string): ValueType;
}

/** The error for a value that a place cannot take. */
export function badValue(code: 'EINVAL' | 'ERANGE', what: string, value: unknown, problem: string): BpfError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : describe(value);
  return new BpfError(code, `${what}: ${shown} ${problem}`);
}

function describe(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
