import { Bounds, INT_MAX, INT_MIN } from './bounds.ts';
import { compareSigned, compareUnsigned, signedNumber, unsignedNumber } from './int64.ts';
import {
  type Tnum,
  tnumAdd,
  tnumBswap,
  tnumCast,
  tnumConst,
  tnumIn,
  tnumRange,
  tnumWithLow,
} from './tnum.ts';

/**
 * What is known of a 64-bit number: its bits and its ranges (Linux: var_off and the bounds of `struct bpf_reg_state`). A
 * Scalar never changes; operations make new ones, and give back the same object when nothing was learnt, so equality
 * mostly needs no look inside. Fields are signed 32-bit halves.
 */
export class Scalar {
  readonly t: Tnum;
  readonly uminLo: number;
  readonly uminHi: number;
  readonly umaxLo: number;
  readonly umaxHi: number;
  readonly sminLo: number;
  readonly sminHi: number;
  readonly smaxLo: number;
  readonly smaxHi: number;
  readonly u32min: number;
  readonly u32max: number;
  readonly s32min: number;
  readonly s32max: number;

  constructor(bounds: Bounds) {
    this.t = bounds.t;
    this.uminLo = bounds.uminLo;
    this.uminHi = bounds.uminHi;
    this.umaxLo = bounds.umaxLo;
    this.umaxHi = bounds.umaxHi;
    this.sminLo = bounds.sminLo;
    this.sminHi = bounds.sminHi;
    this.smaxLo = bounds.smaxLo;
    this.smaxHi = bounds.smaxHi;
    this.u32min = bounds.u32min;
    this.u32max = bounds.u32max;
    this.s32min = bounds.s32min;
    this.s32max = bounds.s32max;
  }

  isConst(): boolean {
    return (this.t.maskLo | this.t.maskHi) === 0;
  }

  umin(): bigint {
    return BigInt.asUintN(64, wide(this.uminLo, this.uminHi));
  }

  umax(): bigint {
    return BigInt.asUintN(64, wide(this.umaxLo, this.umaxHi));
  }

  smin(): bigint {
    return wide(this.sminLo, this.sminHi);
  }

  smax(): bigint {
    return wide(this.smaxLo, this.smaxHi);
  }

  tnum(): { value: bigint; mask: bigint } {
    const { valueLo, valueHi, maskLo, maskHi } = this.t;
    return {
      value: BigInt.asUintN(64, wide(valueLo, valueHi)),
      mask: BigInt.asUintN(64, wide(maskLo, maskHi)),
    };
  }

  /** Bounds as JavaScript numbers: exact within ±2^53. */
  uminNumber(): number {
    return unsignedNumber(this.uminLo, this.uminHi);
  }

  umaxNumber(): number {
    return unsignedNumber(this.umaxLo, this.umaxHi);
  }

  sminNumber(): number {
    return signedNumber(this.sminLo, this.sminHi);
  }

  smaxNumber(): number {
    return signedNumber(this.smaxLo, this.smaxHi);
  }
}

function wide(lo: number, hi: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo >>> 0);
}

/** A mutable copy. @param bounds where it goes: callers that keep nothing of it bring their own. */
export function boundsOf(scalar: Scalar, bounds = new Bounds()): Bounds {
  bounds.t = scalar.t;
  bounds.uminLo = scalar.uminLo;
  bounds.uminHi = scalar.uminHi;
  bounds.umaxLo = scalar.umaxLo;
  bounds.umaxHi = scalar.umaxHi;
  bounds.sminLo = scalar.sminLo;
  bounds.sminHi = scalar.sminHi;
  bounds.smaxLo = scalar.smaxLo;
  bounds.smaxHi = scalar.smaxHi;
  bounds.u32min = scalar.u32min;
  bounds.u32max = scalar.u32max;
  bounds.s32min = scalar.s32min;
  bounds.s32max = scalar.s32max;
  return bounds;
}

export const UNKNOWN = new Scalar(new Bounds());

/** Where scalars are made. Scalars copy what they need of it, so that it serves again. */
const SCRATCH = new Bounds();

export function constantHalves(lo: number, hi: number): Scalar {
  const bounds = SCRATCH;
  bounds.t = tnumConst(lo, hi);
  bounds.uminLo = bounds.umaxLo = bounds.sminLo = bounds.smaxLo = lo;
  bounds.uminHi = bounds.umaxHi = bounds.sminHi = bounds.smaxHi = hi;
  bounds.u32min = bounds.u32max = bounds.s32min = bounds.s32max = lo;
  return new Scalar(bounds);
}

const SMALL: (Scalar | undefined)[] = [];

/** @param value any bigint, modulo 2^64; or a safe integer. */
export function constant(value: bigint | number): Scalar {
  if (typeof value === 'bigint')
    return constantHalves(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  if (value >= 0 && value < 64) {
    let small = SMALL[value];
    if (small === undefined) {
      small = constantHalves(value, 0);
      SMALL[value] = small;
    }
    return small;
  }
  return constantHalves(value | 0, Math.floor(value / 2 ** 32) | 0);
}

export const ZERO = constant(0);

/** All numbers from min to max, which are safe integers; at least min is negative or both are not. */
export function fromSignedRange(min: number, max: number): Scalar {
  const bounds = new Bounds();
  bounds.sminLo = min | 0;
  bounds.sminHi = Math.floor(min / 2 ** 32) | 0;
  bounds.smaxLo = max | 0;
  bounds.smaxHi = Math.floor(max / 2 ** 32) | 0;
  bounds.sync();
  return new Scalar(bounds);
}

/** The number with a low half that is known; what is known of the whole stays (Linux: __mark_reg32_known). */
export function withLowHalf(scalar: Scalar, low: number): Scalar {
  const bounds = boundsOf(scalar);
  bounds.t = tnumWithLow(scalar.t, tnumConst(low, 0));
  bounds.u32min = bounds.u32max = bounds.s32min = bounds.s32max = low;
  return new Scalar(bounds);
}

/** The low half, zero-extended. */
export function zext32(scalar: Scalar): Scalar {
  if (scalar.umaxHi === 0) return scalar;
  const bounds = boundsOf(scalar, SCRATCH);
  bounds.zeroExtend();
  bounds.sync();
  return new Scalar(bounds);
}

/** The low `bytes` bytes, zero-extended (Linux: coerce_reg_to_size). */
export function truncate(scalar: Scalar, bytes: number): Scalar {
  if (bytes === 8) return scalar;
  const bounds = boundsOf(scalar, SCRATCH);
  const mask = bytes === 4 ? -1 : (1 << (8 * bytes)) - 1;
  bounds.t = tnumCast(scalar.t, bytes);
  const sameAbove = scalar.uminHi === scalar.umaxHi && (scalar.uminLo & ~mask) === (scalar.umaxLo & ~mask);
  bounds.uminLo = sameAbove ? scalar.uminLo & mask : 0;
  bounds.umaxLo = sameAbove ? scalar.umaxLo & mask : mask;
  bounds.uminHi = bounds.umaxHi = bounds.sminHi = bounds.smaxHi = 0;
  bounds.sminLo = bounds.uminLo;
  bounds.smaxLo = bounds.umaxLo;
  if (bytes < 4) bounds.forget32();
  bounds.sync();
  return new Scalar(bounds);
}

/** The low `bits` bits (16, 32, 64) in the reverse order of their bytes: bits are followed, ranges are not (Linux: scalar_byte_swap). */
export function bswap(scalar: Scalar, bits: number): Scalar {
  const bounds = new Bounds();
  bounds.t = tnumBswap(scalar.t, bits);
  bounds.sync();
  return new Scalar(bounds);
}

/** The low `bits` bits (8, 16, 32), sign-extended to 64 (Linux: coerce_reg_to_size_sx). */
export function sext(scalar: Scalar, bits: number): Scalar {
  const shift = 32 - bits;
  const { t } = scalar;
  if (scalar.isConst()) {
    const lo = (t.valueLo << shift) >> shift;
    return constantHalves(lo, lo >> 31);
  }
  const sameAbove =
    scalar.sminHi === scalar.smaxHi && (bits === 32 || scalar.sminLo >> bits === scalar.smaxLo >> bits);
  if (sameAbove) {
    const one = (scalar.smaxLo << shift) >> shift;
    const other = (scalar.sminLo << shift) >> shift;
    if (one >= 0 === other >= 0) return extendedRange(Math.min(one, other), Math.max(one, other));
  }
  const bounds = new Bounds();
  bounds.sminLo = bounds.s32min = INT_MIN >> shift;
  bounds.sminHi = -1;
  bounds.smaxLo = bounds.s32max = INT_MAX >> shift;
  bounds.smaxHi = 0;
  return new Scalar(bounds);
}

/** The low `bits` bits (8, 16), sign-extended to 32, and zeroes above (Linux: coerce_subreg_to_size_sx). */
export function sext32(scalar: Scalar, bits: number): Scalar {
  const shift = 32 - bits;
  const low = zext32(scalar);
  if (low.isConst()) return constantHalves((low.t.valueLo << shift) >> shift, 0);
  if (scalar.s32min >> bits === scalar.s32max >> bits) {
    const one = (scalar.s32max << shift) >> shift;
    const other = (scalar.s32min << shift) >> shift;
    if (one >= 0 === other >= 0) return zext32(extendedRange(Math.min(one, other), Math.max(one, other)));
  }
  const bounds = new Bounds();
  bounds.s32min = INT_MIN >> shift;
  bounds.s32max = INT_MAX >> shift;
  bounds.zeroExtend();
  bounds.sync();
  return new Scalar(bounds);
}

function extendedRange(min: number, max: number): Scalar {
  const bounds = new Bounds();
  const hi = min >> 31;
  bounds.sminLo = bounds.uminLo = bounds.s32min = bounds.u32min = min;
  bounds.smaxLo = bounds.umaxLo = bounds.s32max = bounds.u32max = max;
  bounds.sminHi = bounds.uminHi = bounds.smaxHi = bounds.umaxHi = hi;
  bounds.t = tnumRange(min, hi, max, hi);
  return new Scalar(bounds);
}

/** Whether `cur` lies inside `old` (Linux: range_within and tnum_in). */
export function within(old: Scalar, cur: Scalar): boolean {
  return (
    old === cur ||
    (compareUnsigned(old.uminLo, old.uminHi, cur.uminLo, cur.uminHi) <= 0 &&
      compareUnsigned(old.umaxLo, old.umaxHi, cur.umaxLo, cur.umaxHi) >= 0 &&
      compareSigned(old.sminLo, old.sminHi, cur.sminLo, cur.sminHi) <= 0 &&
      compareSigned(old.smaxLo, old.smaxHi, cur.smaxLo, cur.smaxHi) >= 0 &&
      old.u32min >>> 0 <= cur.u32min >>> 0 &&
      old.u32max >>> 0 >= cur.u32max >>> 0 &&
      old.s32min <= cur.s32min &&
      old.s32max >= cur.s32max &&
      tnumIn(old.t, cur.t))
  );
}

export function equal(a: Scalar, b: Scalar): boolean {
  return a === b || (within(a, b) && within(b, a));
}

/** Whether value + off is a multiple of `size`, a power of two (Linux: tnum_is_aligned). */
export function alignedTo(scalar: Scalar, off: number, size: number): boolean {
  const sum = tnumAdd(scalar.t, tnumConst(off | 0, off >> 31));
  return ((sum.valueLo | sum.maskLo) & (size - 1)) === 0;
}

/** Whether a number, as halves, is one of those described. */
export function contains(scalar: Scalar, lo: number, hi: number): boolean {
  const { t } = scalar;
  return (
    (lo & ~t.maskLo) === t.valueLo &&
    (hi & ~t.maskHi) === t.valueHi &&
    compareUnsigned(scalar.uminLo, scalar.uminHi, lo, hi) <= 0 &&
    compareUnsigned(scalar.umaxLo, scalar.umaxHi, lo, hi) >= 0 &&
    compareSigned(scalar.sminLo, scalar.sminHi, lo, hi) <= 0 &&
    compareSigned(scalar.smaxLo, scalar.smaxHi, lo, hi) >= 0 &&
    scalar.u32min >>> 0 <= lo >>> 0 &&
    scalar.u32max >>> 0 >= lo >>> 0 &&
    scalar.s32min <= lo &&
    scalar.s32max >= lo
  );
}
