import type { KernelMemory } from '../kernel-memory.ts';
import { lock, unlock } from '../spin-lock.ts';
import { CONTROL_WORDS, CPU_FREE, CPU_LOCK, CPU_SPARE, CPU_WORDS, HASH, USED } from './hash-layout.ts';

/**
 * The elements of a hash map that are in no bucket: a list for each CPU, with a lock; those that were never used; and one for each CPU
 * that stands ready to replace a value. Elements are numbered from 1.
 */
export class FreeElements {
  readonly #words: Int32Array;
  readonly #int32: Int32Array;
  readonly #entries: number;
  readonly #cpus: number;
  readonly #first: number;
  readonly #stride: number;

  /** @param words the map's control words. @param elements where element 0 would be. @param stride bytes of an element. */
  constructor(
    memory: KernelMemory,
    words: Int32Array,
    entries: number,
    cpus: number,
    elements: number,
    stride: number,
  ) {
    this.#words = words;
    this.#int32 = memory.int32;
    this.#entries = entries;
    this.#cpus = cpus;
    this.#first = elements;
    this.#stride = stride;
  }

  /** The element that replaces the next value on a CPU. */
  spare(cpu: number): number {
    return this.#words[CONTROL_WORDS + cpu * CPU_WORDS + CPU_SPARE] || this.#entries + 1 + cpu;
  }

  /** A free element: from the CPU's list, never used before, or from another CPU's list; 0 when there is none. */
  take(cpu: number): number {
    const own = this.#pop(cpu);
    if (own !== 0) return own;
    if (this.#words[USED] < this.#entries) {
      const element = Atomics.add(this.#words, USED, 1) + 1;
      if (element <= this.#entries) return element;
      Atomics.sub(this.#words, USED, 1);
    }
    for (let other = 0; other < this.#cpus; other++) {
      const element = other === cpu ? 0 : this.#pop(other);
      if (element !== 0) return element;
    }
    return 0;
  }

  #pop(cpu: number): number {
    const words = this.#words;
    const list = CONTROL_WORDS + cpu * CPU_WORDS;
    if (words[list + CPU_FREE] === 0) return 0;
    lock(words, list + CPU_LOCK);
    const element = words[list + CPU_FREE];
    if (element !== 0) words[list + CPU_FREE] = this.#int32[this.#link(element)];
    unlock(words, list + CPU_LOCK);
    return element;
  }

  /** The list runs through HASH: a reader may still follow NEXT, or note a use. */
  give(element: number, cpu: number): void {
    const words = this.#words;
    const list = CONTROL_WORDS + cpu * CPU_WORDS;
    lock(words, list + CPU_LOCK);
    this.#int32[this.#link(element)] = words[list + CPU_FREE];
    words[list + CPU_FREE] = element;
    unlock(words, list + CPU_LOCK);
  }

  /** An element becomes the one that replaces the next value on a CPU. */
  keepSpare(element: number, cpu: number): void {
    this.#words[CONTROL_WORDS + cpu * CPU_WORDS + CPU_SPARE] = element;
  }

  /** The word of an element through which lists run. */
  #link(element: number): number {
    return (this.#first + element * this.#stride + HASH) >>> 2;
  }
}
