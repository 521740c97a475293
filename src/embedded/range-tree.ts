import { IndexSet } from './index-set.ts';

/**
 * Which pages are free, as Linux's `range_tree` answers it: the smallest free range that is large enough, and among
 * ranges of one size the one that became free last. The arena and kernel memory both hand out pages with it. A range is
 * found by its start and by its size through two {@link IndexSet}s, so every operation takes constant time, whatever
 * the number of pages; a million ranges cost no more than one.
 *
 * All state is in words the caller gives (shared memory); all zero means that nothing is free. Nothing here locks.
 */
export class RangeTree {
  /** Number of pages governed: page indexes run from 0 to `pages` − 1. */
  readonly pages: number;
  /** Starts of the free ranges. */
  readonly #starts: IndexSet;
  /** Sizes that at least one free range has. */
  readonly #sizes: IndexSet;
  /** By start: the pages in the free range. */
  readonly #length: Int32Array;
  /** By size: the range that became free last, as start + 1; 0 is none. Ranges of a size form a list from here. */
  readonly #newest: Int32Array;
  /** By start: the neighbours in that list, as start + 1. */
  readonly #older: Int32Array;
  readonly #newer: Int32Array;
  readonly #counters: Int32Array;

  /** @param words {@link RangeTree.words}(pages) words. @param pages at most 2^20. */
  constructor(words: Int32Array, pages: number) {
    this.pages = pages;
    let offset = 0;
    const take = (length: number) => {
      offset += length;
      return words.subarray(offset - length, offset);
    };
    this.#counters = take(1);
    this.#starts = new IndexSet(take(IndexSet.words(pages)), pages);
    this.#sizes = new IndexSet(take(IndexSet.words(pages + 1)), pages + 1);
    this.#length = take(pages);
    this.#newest = take(pages + 1);
    this.#older = take(pages);
    this.#newer = take(pages);
  }

  /** How many 32-bit words the bookkeeping of so many pages takes. */
  static words(pages: number): number {
    return 1 + IndexSet.words(pages) + IndexSet.words(pages + 1) + 4 * pages + 1;
  }

  /** Number of free pages. */
  get free(): number {
    return this.#counters[0];
  }

  /** Where an allocation of `count` pages goes: the start of the range, or −1 when no free range is large enough. */
  find(count: number): number {
    const size = this.#sizes.next(count);
    return size < 0 ? -1 : this.#newest[size] - 1;
  }

  /** Whether all of these pages are free. */
  isFree(start: number, count: number): boolean {
    const range = this.#starts.previous(start);
    return range >= 0 && start + count <= range + this.#length[range];
  }

  /** Whether at least one of these pages is free. */
  hasFree(start: number, count: number): boolean {
    return this.#firstOverlapping(start, count) >= 0;
  }

  /** Makes these pages not free, whatever they were. Leftovers of a split count as newly freed, the upper one last. */
  clear(start: number, count: number): void {
    const end = start + count;
    for (;;) {
      const range = this.#firstOverlapping(start, count);
      if (range < 0) return;
      const rangeEnd = range + this.#length[range];
      this.#remove(range);
      if (range < start) this.#insert(range, start - range);
      if (rangeEnd > end) this.#insert(end, rangeEnd - end);
    }
  }

  /** Makes these pages free, whatever they were, joined with free neighbours to one newly freed range. */
  set(start: number, count: number): void {
    if (this.isFree(start, count)) return;
    this.clear(start, count);
    let end = start + count;
    const left = start > 0 ? this.#starts.previous(start - 1) : -1;
    if (left >= 0 && left + this.#length[left] === start) {
      this.#remove(left);
      start = left;
    }
    if (end < this.pages && this.#starts.has(end)) {
      const right = end;
      end += this.#length[right];
      this.#remove(right);
    }
    this.#insert(start, end - start);
  }

  /** The free ranges in address order, for tests and page maps. */
  *ranges(): Generator<{ start: number; count: number }> {
    for (let start = this.#starts.next(0); start >= 0; ) {
      const count = this.#length[start];
      yield { start, count };
      start = start + count < this.pages ? this.#starts.next(start + count) : -1;
    }
  }

  #firstOverlapping(start: number, count: number): number {
    const before = this.#starts.previous(start);
    if (before >= 0 && before + this.#length[before] > start) return before;
    const after = this.#starts.next(start);
    return after >= 0 && after < start + count ? after : -1;
  }

  #insert(start: number, length: number): void {
    const second = this.#newest[length];
    this.#length[start] = length;
    this.#older[start] = second;
    this.#newer[start] = 0;
    if (second !== 0) this.#newer[second - 1] = start + 1;
    else this.#sizes.add(length);
    this.#newest[length] = start + 1;
    this.#starts.add(start);
    this.#counters[0] += length;
  }

  #remove(start: number): void {
    const length = this.#length[start];
    const older = this.#older[start];
    const newer = this.#newer[start];
    if (older !== 0) this.#newer[older - 1] = newer;
    if (newer !== 0) this.#older[newer - 1] = older;
    else {
      this.#newest[length] = older;
      if (older === 0) this.#sizes.delete(length);
    }
    this.#starts.delete(start);
    this.#counters[0] -= length;
  }
}
