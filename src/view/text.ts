/** NUL-terminated text in memory, as UTF-8. */

import type { Space } from './view.ts';

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The text before the first NUL, or all. Bytes that are no UTF-8 become U+FFFD. */
export function decodeText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  // Browsers do not decode shared memory: slice copies.
  return decoder.decode(bytes.slice(0, end < 0 ? bytes.length : end));
}

export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}

/**
 * Bytes before the first NUL, at most `maxBytes`. Each byte is touched by itself: the next page may not be there, and the
 * memory may end behind the text.
 */
export function textLength(space: Space, offset: number, maxBytes: number): number {
  const { memory } = space;
  for (let length = 0; length < maxBytes; length++) {
    memory.touch(offset + length, 1, false);
    if (memory.view.getUint8(offset + length) === 0) return length;
  }
  return maxBytes;
}
