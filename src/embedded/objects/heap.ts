import type { KernelMemory } from '../kernel-memory.ts';
import { type KernelOffset, PAGE_SIZE } from '../layout.ts';
import { lock, unlock } from '../spin-lock.ts';

/**
 * Small pieces of kernel memory, for what programs allocate themselves (Linux: bpf_mem_alloc). Free pieces of one size are a list,
 * whose head stands in kernel memory behind a lock: any CPU allocates, another may free.
 *
 * Its words: for each size a lock, and the first free piece, whose first word is the next one.
 */

/** Bytes of the smallest and the largest piece, powers of two. */
const SMALLEST = 16;
export const LARGEST = 4096;
const SIZES = Math.log2(LARGEST / SMALLEST) + 1;
/** Bytes that are taken from kernel memory at once. */
const CHUNK = 16 * PAGE_SIZE;

const LOCK = 0;
const FREE = 1;
const WORDS = 2;

export class Heap {
  /** Bytes that it keeps in kernel memory. */
  static readonly BYTES = 4 * WORDS * SIZES;
  readonly #kernel: KernelMemory;
  readonly #words: Int32Array;
  #chunks: number[] = [];

  /** @param place its {@link Heap.BYTES}, zero when it is new. */
  constructor(kernel: KernelMemory, place: KernelOffset) {
    this.#kernel = kernel;
    this.#words = kernel.words(place, WORDS * SIZES);
  }

  /** All pieces are gone with the memory that they were in. */
  clear(): void {
    this.#words.fill(0);
    this.#chunks = [];
  }

  /** @returns zeroed memory, aligned to 8 bytes at least; 0 when it is larger than {@link LARGEST}, or nothing is left. */
  allocate(bytes: number): KernelOffset {
    if (bytes > LARGEST) return 0 as KernelOffset;
    const size = sizeOf(bytes);
    const words = this.#words;
    lock(words, WORDS * size + LOCK);
    try {
      if (words[WORDS * size + FREE] === 0) this.#refill(size);
      const piece = words[WORDS * size + FREE] >>> 0;
      if (piece === 0) return 0 as KernelOffset;
      words[WORDS * size + FREE] = this.#kernel.int32[piece >>> 2];
      this.#kernel.bytes.fill(0, piece, piece + (SMALLEST << size));
      return piece as KernelOffset;
    } finally {
      unlock(words, WORDS * size + LOCK);
    }
  }

  /** Takes back what {@link allocate} gave for so many bytes. */
  free(piece: KernelOffset, bytes: number): void {
    const size = sizeOf(bytes);
    const words = this.#words;
    lock(words, WORDS * size + LOCK);
    this.#kernel.int32[piece >>> 2] = words[WORDS * size + FREE];
    words[WORDS * size + FREE] = piece;
    unlock(words, WORDS * size + LOCK);
  }

  /** Whether this thread has taken the memory for objects: for the checked mode, which runs on one. */
  holds(offset: number, bytes: number): boolean {
    return this.#chunks.some((chunk) => offset >= chunk && offset + bytes <= chunk + CHUNK);
  }

  #refill(size: number): void {
    let chunk: number;
    try {
      chunk = this.#kernel.allocate(CHUNK);
    } catch {
      return;
    }
    this.#chunks.push(chunk);
    const bytes = SMALLEST << size;
    for (let piece = chunk + CHUNK - bytes; piece >= chunk; piece -= bytes) {
      this.#kernel.int32[piece >>> 2] = this.#words[WORDS * size + FREE];
      this.#words[WORDS * size + FREE] = piece;
    }
  }
}

/** The number of the smallest size that will do. */
function sizeOf(bytes: number): number {
  return bytes <= SMALLEST ? 0 : 32 - Math.clz32((bytes - 1) / SMALLEST);
}
