import { FIELD_KINDS, type FieldKind } from '../../verifier/field-kinds.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { holdsObjects, releaseFields } from '../objects/object.ts';
import type { ObjectField } from '../objects/types.ts';
import { lock, unlock } from '../spin-lock.ts';

/**
 * Copying values. What the kernel looks after in a value (locks, timers, pointers to its objects) is not part of the copy, as with
 * Linux's copy_map_value; where such fields are stands behind the map's header, so that every CPU finds it.
 */

/** A field of values that the kernel looks after. */
export interface ValueField extends ObjectField {
  /** Bytes. */
  readonly size: number;
}

/** Linux: BTF_FIELDS_MAX. */
const MAX_FIELDS = 11;
/** Offset, size, kind, the record of what it holds, and where in that the node is: a word each. */
const FIELD_BYTES = 20;
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
  /** Bytes that a map's header has for them: their number, then {@link FIELD_BYTES} of each. */
  static readonly BYTES = 8 + FIELD_BYTES * MAX_FIELDS + 4;

  /** Notes fields behind a map's header. */
  static write({ view }: KernelMemory, place: KernelOffset, fields: readonly ValueField[]): void {
    view.setUint32(place, fields.length, true);
    fields.slice(0, MAX_FIELDS).forEach(({ off, size, kind, type, nodeOff }, i) => {
      const field = place + 8 + FIELD_BYTES * i;
      [off, size, KINDS.indexOf(kind), type, nodeOff].forEach((word, at) => {
        view.setUint32(field + 4 * at, word, true);
      });
    });
  }

  readonly fields: readonly ValueField[];
  /** Bytes from the value's start to its bpf_spin_lock; −1: it has none. */
  readonly lock: number;
  /** Likewise to the lock that guards lists and trees in it, of either kind. */
  readonly #guard: number;
  readonly #kernel: KernelMemory;
  /** What is copied: offset and size of each run of plain bytes. */
  readonly #plain: readonly (readonly [off: number, size: number])[];

  /** Reads what {@link write} noted. @param valueSize bytes. */
  constructor(kernel: KernelMemory, place: KernelOffset, valueSize: number) {
    this.#kernel = kernel;
    const { view } = kernel;
    this.fields = Array.from({ length: view.getUint32(place, true) }, (_, i) => {
      const [off, size, kind, type, nodeOff] = Array.from({ length: FIELD_BYTES / 4 }, (__, word) =>
        view.getUint32(place + 8 + FIELD_BYTES * i + 4 * word, true),
      );
      return { off, size, kind: KINDS[kind], type: type as KernelOffset, nodeOff };
    });
    this.lock = this.fields.find(({ kind }) => kind === 'spin_lock')?.off ?? -1;
    this.#guard = this.fields.find(({ kind }) => kind.endsWith('spin_lock'))?.off ?? -1;
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
    releaseFields(
      this.#kernel,
      value,
      this.fields,
      this.#guard < 0 ? undefined : (value + this.#guard) >>> 2,
    );
    for (const field of this.fields) {
      const { off, size, kind, type } = field;
      // What held objects is empty: another CPU may have put one in since.
      const isEmptied = holdsObjects(field) && (type !== 0 || kind === 'kptr_percpu');
      if (!isEmptied && !kind.endsWith('spin_lock'))
        this.#kernel.bytes.fill(0, value + off, value + off + size);
    }
  }

  /** Zeroes the special fields. */
  clear(value: number): void {
    for (const { off, size } of this.fields) this.#kernel.bytes.fill(0, value + off, value + off + size);
  }
}
