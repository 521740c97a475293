import { BpfError } from '../errors.ts';

/**
 * A lock in shared memory that any CPU can take; the holder keeps it for a few instructions, so the others spin. (The
 * main thread of a browser cannot do anything else; elsewhere a thread that has spun for a while sleeps between looks, in case
 * the holder waits for its core.) The word says which CPU holds it, for when that one died and will never let go.
 */

/** What the word of a lock holds that this thread has taken: the number of its CPU, plus one. */
let holder = 1;

/** Rounds before it sleeps. */
const SPINS = 200;
/** A sleep, in milliseconds. */
const SLEEP_MS = 0.1;
/** Milliseconds after which the holder is taken for dead: even zeroing an arena of 4 GiB takes less. */
const PATIENCE_MS = 10_000;

/** Says which CPU this thread is; it is CPU 0 unless told. */
export function lockAs(cpu: number): void {
  holder = cpu + 1;
}

/** Runs an action while holding the lock in a word that is 0 when nobody has it. Throws EDEADLK when its holder never lets go. */
export function locked<Result>(words: Int32Array, lock: number, action: () => Result): Result {
  if (Atomics.compareExchange(words, lock, 0, holder) !== 0) waitFor(words, lock);
  try {
    return action();
  } finally {
    Atomics.store(words, lock, 0);
  }
}

/** Takes the lock in a word, where an action in between would cost too much. Throws as {@link locked}. */
export function lock(words: Int32Array, index: number): void {
  if (Atomics.compareExchange(words, index, 0, holder) !== 0) waitFor(words, index);
}

/** Lets go of what {@link lock} took. */
export function unlock(words: Int32Array, index: number): void {
  Atomics.store(words, index, 0);
}

function waitFor(words: Int32Array, lock: number): void {
  let start = 0;
  for (let round = 1; ; round++) {
    const other = Atomics.compareExchange(words, lock, 0, holder);
    if (other === 0) return;
    if (round % SPINS !== 0) continue;
    const now = performance.now();
    start ||= now;
    if (now - start > PATIENCE_MS) throw stuck(other);
    if (canSleep) sleep(words, lock, other);
  }
}

function stuck(other: number): BpfError {
  const who = other === holder ? 'this CPU itself' : `CPU ${other - 1}`;
  const advice = 'if that CPU died, what the lock guards cannot be used any more: close the kernel';
  return new BpfError('EDEADLK', `a lock of the kernel is held by ${who} for ${PATIENCE_MS} ms: ${advice}`);
}

let canSleep = true;

function sleep(words: Int32Array, lock: number, value: number): void {
  try {
    Atomics.wait(words, lock, value, SLEEP_MS);
  } catch {
    // The main thread of a browser.
    canSleep = false;
  }
}
