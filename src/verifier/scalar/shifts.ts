import type { Width } from '../../isa/opcodes.ts';
import type { Bounds } from './bounds.ts';
import { compareUnsigned, high, sar, shl, shr } from './int64.ts';
import type { Scalar } from './scalar.ts';
import { tnumLow, tnumSar, tnumShl, tnumShr } from './tnum.ts';

/** Shifts of what is known of a number, by a known amount (Linux: scalar_min_max_lsh and its like). */

/** The known amount of a shift, when it is below the width. */
export function shiftOf(src: Scalar, width: Width): number | undefined {
  const known = width === 32 ? src.t.maskLo === 0 : src.isConst();
  const by = src.uminLo >>> 0;
  if (!known || src.umaxHi !== 0 || src.umaxLo >>> 0 !== by || by >= width) return undefined;
  return by;
}

function shiftLeft32(b: Bounds, by: number): void {
  b.forgetSigned32();
  // A bit that may leave at the top leaves nothing known.
  if (b.u32max >>> 0 > 2 ** (31 - by)) b.forgetUnsigned32();
  else {
    b.u32min <<= by;
    b.u32max <<= by;
  }
}

export const SHIFTS_32 = {
  lsh(b: Bounds, by: number): void {
    shiftLeft32(b, by);
    b.t = tnumLow(tnumShl(tnumLow(b.t), by));
    b.forget64();
    b.learnFromBits32();
  },
  rsh(b: Bounds, by: number): void {
    b.forgetSigned32();
    b.t = tnumShr(tnumLow(b.t), by);
    b.u32min = (b.u32min >>> by) | 0;
    b.u32max = (b.u32max >>> by) | 0;
    b.forget64();
    b.learnFromBits32();
  },
  arsh(b: Bounds, by: number): void {
    b.s32min >>= by;
    b.s32max >>= by;
    b.t = tnumSar(tnumLow(b.t), by, 32);
    b.forgetUnsigned32();
    b.forget64();
    b.learnFromBits32();
  },
} as const;

export const SHIFTS_64 = {
  lsh(b: Bounds, by: number): void {
    b.forgetSigned();
    if (by === 32) {
      // Compilers extend the sign by << 32 and s>> 32: the low half's sign becomes that of the whole.
      b.smaxLo = b.sminLo = 0;
      b.smaxHi = b.s32max;
      b.sminHi = b.s32min;
    }
    const limitLo = shl(1, 0, 63 - by);
    if (compareUnsigned(b.umaxLo, b.umaxHi, limitLo, high) > 0) b.forgetUnsigned();
    else {
      b.uminLo = shl(b.uminLo, b.uminHi, by);
      b.uminHi = high;
      b.umaxLo = shl(b.umaxLo, b.umaxHi, by);
      b.umaxHi = high;
    }
    if (by > 31) b.forget32();
    else shiftLeft32(b, by);
    b.t = tnumShl(b.t, by);
    b.learnFromBits();
  },
  rsh(b: Bounds, by: number): void {
    b.forgetSigned();
    b.t = tnumShr(b.t, by);
    b.uminLo = shr(b.uminLo, b.uminHi, by);
    b.uminHi = high;
    b.umaxLo = shr(b.umaxLo, b.umaxHi, by);
    b.umaxHi = high;
    b.forget32();
    b.learnFromBits();
  },
  arsh(b: Bounds, by: number): void {
    b.sminLo = sar(b.sminLo, b.sminHi, by);
    b.sminHi = high;
    b.smaxLo = sar(b.smaxLo, b.smaxHi, by);
    b.smaxHi = high;
    b.t = tnumSar(b.t, by, 64);
    b.forgetUnsigned();
    b.forget32();
    b.learnFromBits();
  },
} as const;
