import type { KernelOffset } from '../layout.ts';
import type { ElementCursor } from './kernel-map.ts';

/**
 * Where an iterator stands in a hash map: a bucket, how many of its elements are behind, and the element itself for as long as the
 * program was called just now (Linux: bpf_hash_map_seq_find_next). New elements come first in their bucket, so a program that replaces
 * what it is shown meets nothing twice; who reads on later counts again, and may miss one that moved meanwhile, or meet it again.
 */

/** Buckets and elements by their numbers; an element is more than 0. */
export interface Buckets {
  readonly buckets: number;
  /** No bucket has more elements: else others insert faster than this goes on. */
  readonly mostInBucket: number;
  /** The first element, or what {@link next} gives at the end, or 0. */
  first(bucket: number): number;
  /** The next element, or the end of the list of some bucket. */
  next(element: number): number;
  /** Whether a list's end is that of a bucket. */
  isEnd(end: number, bucket: number): boolean;
  /** Whether an element is in a bucket. */
  isIn(element: number, bucket: number): boolean;
  key(element: number): KernelOffset;
  value(element: number, cpu: number): KernelOffset;
}

const END = 0;
/** The element before was taken out, and has another's place by now. */
const LOST = -1;

export class HashCursor implements ElementCursor {
  readonly #table: Buckets;
  #bucket = 0;
  /** Elements of the bucket that are behind. */
  #skip = 0;
  #element = 0;

  constructor(table: Buckets) {
    this.#table = table;
  }

  get key(): KernelOffset {
    return this.#table.key(this.#element);
  }

  value(cpu: number): KernelOffset {
    return this.#table.value(this.#element, cpu);
  }

  start(): boolean {
    const table = this.#table;
    for (; this.#bucket < table.buckets; this.#bucket++) {
      let element = Math.max(END, table.first(this.#bucket));
      for (let count = 0; element > 0 && count < this.#skip; count++) element = this.#after(element);
      this.#element = element;
      if (element > 0) return true;
      this.#skip = 0;
    }
    return false;
  }

  next(): boolean {
    const element = this.#skip + 1 < this.#table.mostInBucket ? this.#after(this.#element) : END;
    // The one that is gone was counted.
    if (element === LOST) return this.start();
    if (element === END) {
      this.#bucket++;
      this.#skip = 0;
      return this.start();
    }
    this.#skip++;
    this.#element = element;
    return true;
  }

  /** The next in this bucket, {@link END} or {@link LOST}. */
  #after(element: number): number {
    const table = this.#table;
    const next = table.next(element);
    if (next > 0) return table.isIn(next, this.#bucket) ? next : LOST;
    return table.isEnd(next, this.#bucket) ? END : LOST;
  }
}
