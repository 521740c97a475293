import type { KernelOffset } from '../layout.ts';
import type { ElementCursor } from './kernel-map.ts';

/**
 * Where an iterator stands in a hash map: a bucket, and which of its elements were shown (Linux counts them). It follows the bucket's
 * list as long as that leads on, and else looks through it again for one that was not shown. So elements that nobody touches are shown
 * once, however much others write. New ones come first in their bucket: a program that replaces what it is shown does not meet it
 * again, unless it is read in pieces and the bucket was left in the middle.
 */

/** Buckets and elements by their numbers; an element is more than 0. */
export interface Buckets {
  readonly buckets: number;
  /** The first element, or what {@link next} gives at the end, or 0. */
  first(bucket: number): number;
  /** The next element, or the end of the list of some bucket. */
  next(element: number): number;
  /** Whether a list's end is that of a bucket. */
  isEnd(end: number, bucket: number): boolean;
  /** Whether an element belongs to a bucket, or did so last. */
  isOf(element: number, bucket: number): boolean;
  /** Whether it is in one; one that is being taken out still leads on. */
  isThere(element: number): boolean;
  key(element: number): KernelOffset;
  value(element: number, cpu: number): KernelOffset;
}

const END = 0;
/** The element before was taken out, and has another's place by now. */
const LOST = -1;
/** Looks through one bucket while others change it all the time; then it is given up. */
const MOST_LOOKS = 1_000;

export class HashCursor implements ElementCursor {
  readonly #table: Buckets;
  #bucket = 0;
  /** Elements of the bucket that are behind. */
  readonly #seen = new Set<number>();
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
    for (; this.#bucket < this.#table.buckets; this.#bucket++) {
      this.#element = this.#look();
      if (this.#element !== END) return true;
      if (this.#seen.size > 0) this.#seen.clear();
    }
    return false;
  }

  next(): boolean {
    this.#seen.add(this.#element);
    const element = this.#after(this.#element);
    if (element > 0 && !this.#seen.has(element)) {
      this.#element = element;
      return true;
    }
    if (element === END) {
      this.#bucket++;
      this.#seen.clear();
    }
    return this.start();
  }

  /** The first element of the bucket that was not shown, or {@link END}. */
  #look(): number {
    for (let looks = 0; looks < MOST_LOOKS; looks++) {
      let element = this.#there(this.#table.first(this.#bucket));
      while (element > 0 && this.#seen.has(element)) element = this.#after(element);
      if (element !== LOST) return element;
    }
    return END;
  }

  /** The next in this bucket, {@link END} or {@link LOST}. */
  #after(element: number): number {
    return this.#there(this.#table.next(element));
  }

  /** The first element from one on that is there, in this bucket. */
  #there(from: number): number {
    const table = this.#table;
    let element = from;
    for (let steps = 0; element > 0 && steps < MOST_LOOKS; steps++) {
      if (!table.isOf(element, this.#bucket)) return LOST;
      if (table.isThere(element)) return element;
      element = table.next(element);
    }
    return element <= 0 && table.isEnd(element, this.#bucket) ? END : LOST;
  }
}
