/**
 * A set of integers below a fixed size that finds the nearest member of any number in constant time. It is a bitmap
 * with a summary bitmap over its words, and a summary over that one, up to a single word: four levels for a million
 * members. It lives in words that the caller gives it, so it can sit in shared memory; all zero is the empty set.
 */
export class IndexSet {
  /** Bitmaps from the finest to the coarsest; a bit of level n + 1 says that a word of level n is not zero. */
  readonly #levels: Int32Array[] = [];

  /** @param words at least {@link IndexSet.words}(size) words, zero when the set is new. */
  constructor(words: Int32Array, size: number) {
    let offset = 0;
    for (let bits = size; ; bits = wordsFor(bits)) {
      const length = wordsFor(bits);
      this.#levels.push(words.subarray(offset, offset + length));
      offset += length;
      if (length === 1) break;
    }
  }

  /** How many 32-bit words a set of integers below `size` takes. */
  static words(size: number): number {
    let total = 0;
    for (let bits = size; ; bits = wordsFor(bits)) {
      total += wordsFor(bits);
      if (bits <= 32) return total;
    }
  }

  has(index: number): boolean {
    return (this.#levels[0][index >>> 5] & (1 << (index & 31))) !== 0;
  }

  add(index: number): void {
    for (const level of this.#levels) {
      const word = index >>> 5;
      const was = level[word];
      level[word] = was | (1 << (index & 31));
      if (was !== 0) return;
      index = word;
    }
  }

  delete(index: number): void {
    for (const level of this.#levels) {
      const word = index >>> 5;
      const now = level[word] & ~(1 << (index & 31));
      level[word] = now;
      if (now !== 0) return;
      index = word;
    }
  }

  /** The smallest member that is `index` or more; −1 when there is none. */
  next(index: number): number {
    for (let depth = 0; depth < this.#levels.length; depth++) {
      const level = this.#levels[depth];
      const word = index >>> 5;
      if (word >= level.length) return -1;
      const above = level[word] & (-1 << (index & 31));
      if (above !== 0) {
        let found = (word << 5) | lowestBit(above);
        while (depth-- > 0) found = (found << 5) | lowestBit(this.#levels[depth][found]);
        return found;
      }
      index = word + 1;
    }
    return -1;
  }

  /** The largest member that is `index` or less; −1 when there is none. */
  previous(index: number): number {
    for (let depth = 0; depth < this.#levels.length && index >= 0; depth++) {
      const level = this.#levels[depth];
      const word = index >>> 5;
      const below = level[word] & (-1 >>> (31 - (index & 31)));
      if (below !== 0) {
        let found = (word << 5) | highestBit(below);
        while (depth-- > 0) found = (found << 5) | highestBit(this.#levels[depth][found]);
        return found;
      }
      index = word - 1;
    }
    return -1;
  }
}

const wordsFor = (bits: number) => (bits + 31) >>> 5;
const lowestBit = (word: number) => 31 - Math.clz32(word & -word);
const highestBit = (word: number) => 31 - Math.clz32(word);
