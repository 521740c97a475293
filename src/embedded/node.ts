import { createRequire } from 'node:module';

/**
 * The Node half of the embedded kernel: giving pages of a shared memory back to the operating system. It needs FFI
 * (koffi, optional); without it memory is zeroed in place, which is slower and keeps it resident.
 */

/** madvise(2) advice of Linux: anonymous pages are dropped and read zero. */
const MADV_DONTNEED = 4;

type Madvise = (address: Uint8Array, length: number, advice: number) => number;

let madvise: Madvise | undefined | 'unknown' = 'unknown';

/** Drops the pages under a view of a WebAssembly memory. @returns whether that was possible. */
export function discardPages(bytes: Uint8Array): boolean {
  if (madvise === 'unknown') madvise = loadMadvise();
  return madvise?.(bytes, bytes.byteLength, MADV_DONTNEED) === 0;
}

/** Only on Linux does MADV_DONTNEED promise zeroes. */
function loadMadvise(): Madvise | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const libc = koffi.load(null);
    return libc.func('int madvise(void *address, size_t length, int advice)') as unknown as Madvise;
  } catch {
    return undefined;
  }
}
