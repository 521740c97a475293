import { FIELD_KINDS, type FieldKind } from '../../verifier/field-kinds.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { lock, unlock } from '../spin-lock.ts';

/**
 * Copying values. What the kernel looks after in a value (locks, timers, pointers to its objects) is not part of the copy, as with
 * Linux's copy_map_value; where such fields are stands behind the map's header, so that every CPU finds it.
 */

/** A field of values that the kernel looks after. */
export interface ValueField {
  readonly kind: FieldKind;
  /** Bytes from the value's start. */
  readonly off: number;
  /** Bytes. */
  readonly size: number;
}

/** Linux: BTF_FIELDS_MAX. */
const MAX_FIELDS = 11;
const KINDS = Object.keys(FIELD_KINDS) as FieldKind[];
/** Up to here a loop over words is faster than copyWithin (bytes). */
const LOOP_BYTES = 64;

/** Copies bytes within kernel memory, words as wholes where both sides are aligned. */
export function copyBytes({ view, bytes }: KernelMemory, to: number, from: number, size: number): void {
  if (size > LOOP_BYTES) {
    bytes.copyWithin(to, from, from + size);
    return;
  }
  let at = 0;
  for (; at + 4 <= size; at += 4) view.setInt32(to + at, view.getInt32(from + at, true), true);
  for (; at < size; at++) bytes[to + at] = bytes[from + at];
}

export class ValueFields {
  /** Bytes that a map's header has for them: their number, then offset, size and kind of each. */
  static readonly BYTES = 8 + 12 * MAX_FIELDS + 4;

  /** Notes fields behind a map's header. */
  static write({ view }: KernelMemory, place: KernelOffset, fields: readonly ValueField[]): void {
    view.setUint32(place, fields.length, true);
    fields.slice(0, MAX_FIELDS).forEach(({ off, size, kind }, i) => {
      view.setUint32(place + 8 + 12 * i, off, true);
      view.setUint32(place + 12 + 12 * i, size, true);
      view.setUint32(place + 16 + 12 * i, KINDS.indexOf(kind), true);
    });
  }

  readonly fields: readonly ValueField[];
  /** Bytes from the value's start to its bpf_spin_lock; −1: it has none. */
  readonly lock: number;
  readonly #kernel: KernelMemory;
  /** What is copied: offset and size of each run of plain bytes. */
  readonly #plain: readonly (readonly [off: number, size: number])[];

  /** Reads what {@link write} noted. @param valueSize bytes. */
  constructor(kernel: KernelMemory, place: KernelOffset, valueSize: number) {
    this.#kernel = kernel;
    const { view } = kernel;
    this.fields = Array.from({ length: view.getUint32(place, true) }, (_, i) => ({
      off: view.getUint32(place + 8 + 12 * i, true),
      size: view.getUint32(place + 12 + 12 * i, true),
      kind: KINDS[view.getUint32(place + 16 + 12 * i, true)],
    }));
    this.lock = this.fields.find(({ kind }) => kind === 'spin_lock')?.off ?? -1;
    const plain: [number, number][] = [];
    let at = 0;
    for (const { off, size } of this.fields) {
      if (off > at) plain.push([at, off - at]);
      at = off + size;
    }
    if (valueSize > at) plain.push([at, valueSize - at]);
    this.#plain = plain;
  }

  /** Copies a value without its special fields. */
  copy(to: number, from: number): void {
    for (const [off, size] of this.#plain) copyBytes(this.#kernel, to + off, from + off, size);
  }

  /** Likewise, while holding the lock in the value at `locked`. */
  copyLocked(to: number, from: number, locked: number): void {
    const word = (locked + this.lock) >>> 2;
    const { int32 } = this.#kernel;
    lock(int32, word);
    this.copy(to, from);
    unlock(int32, word);
  }

  /** An element is deleted: what the kernel held for it is forgotten. Locks stay: who holds one will let go of it. */
  release(value: number): void {
    for (const { off, size, kind } of this.fields)
      if (!kind.endsWith('spin_lock')) this.#kernel.bytes.fill(0, value + off, value + off + size);
  }

  /** Zeroes the special fields. */
  clear(value: number): void {
    for (const { off, size } of this.fields) this.#kernel.bytes.fill(0, value + off, value + off + size);
  }
}
