import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { lock, unlock } from '../spin-lock.ts';
import { releaseCpumask } from './cpumask.ts';
import { pop } from './list.ts';
import { Tree } from './tree.ts';
import { CPUMASK, type ObjectField, readObjectType } from './types.ts';

/**
 * Objects that programs allocate: making one, and giving one up with all that it holds. Both are told the record of its type.
 */

/** A zeroed object; 0 when there is no memory. */
export function newObject(memory: KernelMemory, type: KernelOffset): KernelOffset {
  const { size, fields } = readObjectType(memory, type);
  const object = memory.heap.allocate(size);
  const refcount = fields.find(({ kind }) => kind === 'refcount');
  if (object !== 0 && refcount !== undefined) memory.int32[(object + refcount.off) >>> 2] = 1;
  return object;
}

/** One reference more. @returns false when the object has none left: somebody gives it up now. */
export function acquireObject(memory: KernelMemory, object: KernelOffset, type: KernelOffset): boolean {
  const refcount = readObjectType(memory, type).fields.find(({ kind }) => kind === 'refcount');
  if (refcount === undefined) return false;
  const word = (object + refcount.off) >>> 2;
  for (;;) {
    const count = Atomics.load(memory.int32, word);
    if (count === 0) return false;
    if (Atomics.compareExchange(memory.int32, word, count, count + 1) === count) return true;
  }
}

/** One reference less; the last one frees the object and what it holds. */
export function dropObject(memory: KernelMemory, object: KernelOffset, type: KernelOffset): void {
  const { size, isSeen, fields } = readObjectType(memory, type);
  const refcount = fields.find(({ kind }) => kind === 'refcount');
  if (refcount !== undefined && Atomics.sub(memory.int32, (object + refcount.off) >>> 2, 1) !== 1) return;
  releaseFields(memory, object, fields);
  if (!isSeen) memory.heap.free(object, size);
  else
    memory.grace.afterwards(() => {
      // Who still saw it may have put something in.
      releaseFields(memory, object, fields);
      memory.heap.free(object, size);
    });
}

/** Whether a field holds objects that are given up with it. */
export const holdsObjects = ({ kind }: ObjectField) =>
  kind === 'kptr_ref' || kind === 'kptr_percpu' || kind === 'list_head' || kind === 'rb_root';

/**
 * Gives up what an object's or value's fields hold.
 * @param guard the word of the lock that programs change the lists and trees under; undefined where nobody else is there.
 */
export function releaseFields(
  memory: KernelMemory,
  at: number,
  fields: readonly ObjectField[],
  guard?: number,
): void {
  const guarded = (take: () => number): number => {
    if (guard === undefined) return take();
    lock(memory.int32, guard);
    try {
      return take();
    } finally {
      unlock(memory.int32, guard);
    }
  };
  for (const { kind, off, type, nodeOff } of fields) {
    const field = at + off;
    if (kind === 'kptr_percpu') {
      const objects = exchangePointer(memory, field as KernelOffset, 0n);
      if (objects !== 0) memory.grace.afterwards(() => memory.free(objects));
    }
    if (type === 0) continue;
    if (type === CPUMASK) {
      const mask = exchangePointer(memory, field as KernelOffset, 0n);
      if (mask !== 0) releaseCpumask(memory, mask);
      continue;
    }
    if (kind === 'list_head') {
      const take = () => pop(memory, field, true);
      for (let node = guarded(take); node !== 0; node = guarded(take))
        dropObject(memory, (node - nodeOff) as KernelOffset, type);
    } else if (kind === 'rb_root') {
      const tree = new Tree(memory, field);
      const take = () => {
        const { first } = tree;
        if (first !== 0) tree.remove(first);
        return first;
      };
      for (let node = guarded(take); node !== 0; node = guarded(take))
        dropObject(memory, (node - nodeOff) as KernelOffset, type);
    } else if (kind === 'kptr_ref') {
      const object = exchangePointer(memory, field as KernelOffset, 0n);
      if (object !== 0) dropObject(memory, object, type);
    }
  }
}

/** Puts a pointer into a field. @returns where the old one led. */
export function exchangePointer(memory: KernelMemory, field: KernelOffset, pointer: bigint): KernelOffset {
  const words = new BigInt64Array(memory.memory.buffer, field, 1);
  return Number(Atomics.exchange(words, 0, BigInt.asIntN(64, pointer)) & 0xffffffffn) as KernelOffset;
}
