/**
 * One clock for all CPUs of a kernel: milliseconds since the kernel's process or page started, monotonic. `performance.now()`
 * counts from the start of each thread, so a worker adds what lies between its start and the other's.
 */

interface Process {
  hrtime?: () => [seconds: number, nanoseconds: number];
}

/** Milliseconds on a clock that all threads share; its origin differs by platform. */
function shared(): number {
  const { hrtime } = (globalThis as { process?: Process }).process ?? {};
  if (hrtime === undefined) return performance.timeOrigin + performance.now();
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** Where {@link clock} is on the shared clock when it is 0; what another thread needs to count like this one. */
export function clockOrigin(): number {
  // The second clock is read later than the first, so each reading is too small; of some the largest is nearest.
  return Math.max(...Array.from({ length: 8 }, () => shared() - performance.now())) - offset;
}

let offset = 0;

/** Makes this thread count from another thread's origin. */
export function setClockOrigin(origin: number): void {
  offset = 0;
  offset = clockOrigin() - origin;
}

/** Milliseconds, with fractions. */
export function clock(): number {
  return performance.now() + offset;
}
