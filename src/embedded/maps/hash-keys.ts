import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';

/** Keys of hash maps, wherever they lie in kernel memory. */

/** Whether two keys of `size` bytes are the same. */
export function sameKey({ bytes, view }: KernelMemory, a: number, b: number, size: number): boolean {
  let i = 0;
  for (; i + 4 <= size; i += 4) if (view.getInt32(a + i, true) !== view.getInt32(b + i, true)) return false;
  for (; i < size; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

/** A multiplication for each word, and a final mix, so that the low bits, which choose the bucket, depend on all bytes. */
export function hashOf({ bytes, view }: KernelMemory, key: KernelOffset, size: number): number {
  let hash = 0x811c9dc5;
  let i = 0;
  for (; i + 4 <= size; i += 4) {
    hash = Math.imul(hash ^ view.getInt32(key + i, true), 0x01000193);
    hash ^= hash >>> 15;
  }
  for (; i < size; i++) hash = Math.imul(hash ^ bytes[key + i], 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 12);
}
