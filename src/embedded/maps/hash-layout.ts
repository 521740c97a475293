/**
 * How hash maps lie in kernel memory. Control words: USED, HAND; then for each CPU 16 words CPU_LOCK, CPU_FREE, CPU_SPARE; then the
 * locks; then the buckets. An element: NEXT, HASH, STATE, REFERENCED (4 bytes each), the value (of per-CPU maps: elsewhere), the
 * key. WebAssembly works on the same bytes (routines/hash.ts).
 */

/** How many elements were ever handed out. */
export const USED = 0;
/** Where the hand of the clock is (LRU). */
export const HAND = 1;
export const CONTROL_WORDS = 16;

export const CPU_LOCK = 0;
/** The first free element of the CPU's list. */
export const CPU_FREE = 1;
/** The element that replaces the next value on this CPU; 0: the one it had at first. */
export const CPU_SPARE = 2;
export const CPU_WORDS = 16;

export const NEXT = 0;
export const HASH = 4;
/** 1 while it is in a bucket. */
export const STATE = 8;
/** LRU: 1 when it was used since the hand came by. */
export const REFERENCED = 12;
export const VALUE = 16;

/** All of it: numbers of words, bytes within an element. */
export const HASH_LAYOUT = {
  USED,
  CONTROL_WORDS,
  CPU_LOCK,
  CPU_FREE,
  CPU_SPARE,
  CPU_WORDS,
  NEXT,
  HASH,
  STATE,
  REFERENCED,
  VALUE,
} as const;
