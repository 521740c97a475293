/**
 * 64-bit integers as two signed 32-bit halves, so that no BigInt is made. A function returns the low half and leaves the
 * high half in {@link high}: read it before the next call.
 */

/** The high half of the last result. */
export let high = 0;

export function add(aLo: number, aHi: number, bLo: number, bHi: number): number {
  const low = (aLo >>> 0) + (bLo >>> 0);
  high = (aHi + bHi + (low > 0xffffffff ? 1 : 0)) | 0;
  return low | 0;
}

export function sub(aLo: number, aHi: number, bLo: number, bHi: number): number {
  high = (aHi - bHi - (aLo >>> 0 < bLo >>> 0 ? 1 : 0)) | 0;
  return (aLo - bLo) | 0;
}

/** The low 64 bits of a product. */
export function mul(aLo: number, aHi: number, bLo: number, bHi: number): number {
  const a0 = aLo & 0xffff;
  const a1 = aLo >>> 16;
  const b0 = bLo & 0xffff;
  const b1 = bLo >>> 16;
  const low = a0 * b0;
  const middle = a1 * b0 + (low >>> 16);
  const other = a0 * b1 + (middle % 0x10000);
  const carry = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(other / 0x10000);
  high = (carry + Math.imul(aHi, bLo) + Math.imul(aLo, bHi)) | 0;
  return Math.imul(aLo, bLo);
}

/** Shifts left by 0 to 63. */
export function shl(lo: number, hi: number, by: number): number {
  if (by === 0) {
    high = hi;
    return lo;
  }
  if (by >= 32) {
    high = lo << (by - 32);
    return 0;
  }
  high = (hi << by) | (lo >>> (32 - by));
  return lo << by;
}

/** Shifts right by 0 to 63, filling with zeroes. */
export function shr(lo: number, hi: number, by: number): number {
  if (by === 0) {
    high = hi;
    return lo;
  }
  if (by >= 32) {
    high = 0;
    return by === 32 ? hi : (hi >>> (by - 32)) | 0;
  }
  high = (hi >>> by) | 0;
  return (lo >>> by) | (hi << (32 - by));
}

/** Shifts right by 0 to 63, filling with the sign. */
export function sar(lo: number, hi: number, by: number): number {
  if (by === 0) {
    high = hi;
    return lo;
  }
  if (by >= 32) {
    high = hi >> 31;
    return by === 32 ? hi : hi >> (by - 32);
  }
  high = hi >> by;
  return (lo >>> by) | (hi << (32 - by));
}

/** −1, 0 or 1: both unsigned. */
export function compareUnsigned(aLo: number, aHi: number, bLo: number, bHi: number): number {
  if (aHi !== bHi) return aHi >>> 0 < bHi >>> 0 ? -1 : 1;
  return aLo === bLo ? 0 : aLo >>> 0 < bLo >>> 0 ? -1 : 1;
}

/** −1, 0 or 1: both signed. */
export function compareSigned(aLo: number, aHi: number, bLo: number, bHi: number): number {
  if (aHi !== bHi) return aHi < bHi ? -1 : 1;
  return aLo === bLo ? 0 : aLo >>> 0 < bLo >>> 0 ? -1 : 1;
}

/** The number of bits up to the highest set one: 0 to 64. */
export function bitLength(lo: number, hi: number): number {
  return hi !== 0 ? 64 - Math.clz32(hi) : 32 - Math.clz32(lo);
}

/** As an unsigned JavaScript number; exact below 2^53. */
export function unsignedNumber(lo: number, hi: number): number {
  return (hi >>> 0) * 2 ** 32 + (lo >>> 0);
}

/** As a signed JavaScript number; exact between ±2^53. */
export function signedNumber(lo: number, hi: number): number {
  return hi * 2 ** 32 + (lo >>> 0);
}
