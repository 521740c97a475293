/**
 * Where answers are put together: one buffer that grows, used for one socket after the other. Whoever writes asks for room first.
 * The buffer goes with the write when the socket could not take all of it at once, and a new one takes its place.
 */
import { LINE_BYTES } from './lines.ts';

/** Bytes of a fresh buffer. */
const SIZE = 128 << 10;

/** Below this, a loop copies faster than the engine's own copying starts. */
const SHORT = 48;

/** Copies bytes. @returns the offset behind them. */
export function copy(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  const length = end - start;
  if (length < SHORT) for (let i = 0; i < length; i++) to[at + i] = from[start + i];
  else to.set(from.subarray(start, end), at);
  return at + length;
}

export class Output {
  bytes: Buffer = Buffer.allocUnsafeSlow(SIZE);
  used = 0;

  /** Makes sure of so many bytes behind {@link used}. */
  room(bytes: number): void {
    if (this.used + bytes <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.used + bytes));
    this.bytes.copy(larger, 0, 0, this.used);
    this.bytes = larger;
  }

  /** Adds a line by its number; none for a negative one. */
  line(number: number): void {
    if (number < 0) return;
    const line = LINE_BYTES[number];
    this.room(line.length);
    this.used = copy(line, 0, line.length, this.bytes, this.used);
  }

  text(text: string): void {
    this.room(text.length * 3);
    this.used += this.bytes.write(text, this.used, 'latin1');
  }

  /** What is in it. Valid until something is added. */
  get content(): Buffer {
    return this.bytes.subarray(0, this.used);
  }

  /** Empties it. @param taken whether somebody still reads the bytes. */
  clear(taken = false): void {
    this.used = 0;
    if (taken || this.bytes.length > SIZE * 16) this.bytes = Buffer.allocUnsafeSlow(SIZE);
  }
}
