/** How user space waits, without blocking its thread, for a word of kernel memory that programs change. */

/** Resolves when a word may no longer be `seen`; rejects with the signal's reason. @param index in `words`. */
export async function change(
  words: Int32Array,
  index: number,
  seen: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const changed = waitFor(words, index, seen);
  if (signal === undefined) return changed;
  let stop = () => {};
  const aborted = new Promise<void>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop);
  });
  try {
    await Promise.race([changed, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

interface WaitAsync {
  waitAsync?(
    words: Int32Array,
    index: number,
    value: number,
  ): { async: false } | { async: true; value: Promise<string> };
}

/** Milliseconds between looks where the platform cannot tell when a word changes. */
const LOOK_MS = 5;

async function waitFor(words: Int32Array, index: number, value: number): Promise<void> {
  const { waitAsync } = Atomics as WaitAsync;
  if (waitAsync === undefined) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    return;
  }
  const waiting = waitAsync(words, index, value);
  if (waiting.async) await waiting.value;
}
