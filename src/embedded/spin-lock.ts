/**
 * A lock in shared memory that any CPU can take; the holder keeps it for a few instructions, so the others spin. (The
 * main thread of a browser cannot do anything else.)
 */

/** Runs an action while holding the lock in a word that is 0 when nobody has it. */
export function locked<Result>(words: Int32Array, lock: number, action: () => Result): Result {
  while (Atomics.compareExchange(words, lock, 0, 1) !== 0);
  try {
    return action();
  } finally {
    Atomics.store(words, lock, 0);
  }
}
