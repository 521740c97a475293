/**
 * Decimal numbers in bytes, read as C's strtoul family reads them, since memcached does: white space and a sign in front, anything
 * behind a white space, what is too large cut to the width that is wanted. 64-bit numbers are two halves here, never a BigInt: what
 * was read last stands in {@link read}.
 */

/** The number that was read last: 64 bits, in two's complement. */
export const read = { low: 0, high: 0 };

const TWO_32 = 2 ** 32;

/** C's isspace(). */
const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);

/** What {@link scan} found. */
const scanned = { negative: false, overflow: false };

/** Reads digits into {@link read}, as a magnitude. @returns whether there is a number, and nothing but white space behind it. */
function scan(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && isSpace(bytes[at])) at++;
  let negative = false;
  if (at < end && (bytes[at] === 45 || bytes[at] === 43)) negative = bytes[at++] === 45;
  const first = at;
  const short = Math.min(end, first + 9);
  let value = 0;
  while (at < short) {
    const digit = bytes[at] - 48;
    if (digit < 0 || digit > 9) break;
    value = (value * 10 + digit) | 0;
    at++;
  }
  let low = value;
  let high = 0;
  let overflow = false;
  if (at === short && at < end) {
    for (; at < end; at++) {
      const digit = bytes[at] - 48;
      if (digit < 0 || digit > 9) break;
      low = low * 10 + digit;
      high = high * 10 + Math.floor(low / TWO_32);
      low %= TWO_32;
      if (high >= TWO_32) {
        overflow = true;
        high %= TWO_32;
      }
    }
  }
  scanned.negative = negative;
  scanned.overflow = overflow;
  read.low = low >>> 0;
  read.high = high >>> 0;
  return at > first && (at === end || isSpace(bytes[at]));
}

function negate(): void {
  read.low = -read.low >>> 0;
  read.high = (~read.high + (read.low === 0 ? 1 : 0)) >>> 0;
}

/** An unsigned 64-bit number into {@link read}. @returns whether it is one. */
export function readU64(bytes: Uint8Array, start: number, end: number): boolean {
  if (!scan(bytes, start, end) || scanned.overflow) return false;
  if (scanned.negative) {
    negate();
    if (read.high >= 0x8000_0000) return false;
  }
  return true;
}

/** A signed 64-bit number into {@link read}. @returns whether it is one. */
export function readI64(bytes: Uint8Array, start: number, end: number): boolean {
  if (!scan(bytes, start, end) || scanned.overflow) return false;
  const least = scanned.negative && read.high === 0x8000_0000 && read.low === 0;
  if (read.high >= 0x8000_0000 && !least) return false;
  if (scanned.negative) negate();
  return true;
}

/** Bytes of the longest number, 64 bits. */
export const NUMBER_BYTES = 20;

/** Writes a number below 2^32 in decimal. @returns the offset behind it. */
export function writeU32(out: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    out[at] = 48 + value;
    return at + 1;
  }
  let digits = value < 100 ? 2 : value < 1000 ? 3 : value < 10_000 ? 4 : 5;
  if (digits === 5) for (let rest = 100_000; rest <= value; rest *= 10) digits++;
  const end = at + digits;
  let rest = value;
  for (let place = end - 1; place >= at; place--) {
    const tenth = Math.floor(rest / 10);
    out[place] = 48 + rest - tenth * 10;
    rest = tenth;
  }
  return end;
}

/** Writes a 64-bit number in decimal. @returns the offset behind it. */
export function writeU64(out: Uint8Array, at: number, low: number, high: number): number {
  if (high === 0) return writeU32(out, at, low);
  // Divided by 10^9, 16 bits at a time: every remainder then fits a double.
  const first = Math.floor(high / 1e9);
  const second = (high - first * 1e9) * 65_536 + (low >>> 16);
  const middle = Math.floor(second / 1e9);
  const third = (second - middle * 1e9) * 65_536 + (low & 0xffff);
  const last = Math.floor(third / 1e9);
  const quotient = first * TWO_32 + middle * 65_536 + last;
  const end = quotient < TWO_32 ? writeU32(out, at, quotient) : writePair(out, at, quotient);
  return writePadded(out, end, third - last * 1e9);
}

/** A number from 2^32 to 2^53. */
function writePair(out: Uint8Array, at: number, value: number): number {
  const upper = Math.floor(value / 1e9);
  return writePadded(out, writeU32(out, at, upper), value - upper * 1e9);
}

/** Nine digits. */
function writePadded(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  for (let place = at + 8; place >= at; place--) {
    const tenth = Math.floor(rest / 10);
    out[place] = 48 + rest - tenth * 10;
    rest = tenth;
  }
  return at + 9;
}
