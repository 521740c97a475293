import type { AluOp, Width } from '../../isa/opcodes.ts';
import { Bounds, INT_MAX, INT_MIN } from './bounds.ts';
import { constantResult } from './fold.ts';
import { add, compareSigned, compareUnsigned, high, signedNumber, sub, unsignedNumber } from './int64.ts';
import { boundsOf, Scalar, UNKNOWN, ZERO } from './scalar.ts';
import { SHIFTS_32, SHIFTS_64, shiftOf } from './shifts.ts';
import { tnumAdd, tnumAnd, tnumMul, tnumOr, tnumSub, tnumXor } from './tnum.ts';

/**
 * Arithmetic on what is known of two numbers, as precise as Linux 6.18 (adjust_scalar_min_max_vals): the ranges of both
 * widths are computed each on its own, the bits too, and then they learn from each other.
 */

export type ScalarOp = Exclude<AluOp, 'mov'>;

/** dst = dst op src. A shift by an unknown or too large amount, a division and a modulo give a number of which nothing is known. */
export function alu(op: ScalarOp, width: Width, dst: Scalar, src: Scalar): Scalar {
  if (dst.isConst() && src.isConst()) return constantResult(op, width, dst, src);
  const bounds = boundsOf(dst, SCRATCH);
  switch (op) {
    case 'add':
      add32(bounds, src);
      add64(bounds, src);
      bounds.t = tnumAdd(dst.t, src.t);
      break;
    case 'sub':
      sub32(bounds, src);
      sub64(bounds, src);
      bounds.t = tnumSub(dst.t, src.t);
      break;
    case 'mul':
      bounds.t = tnumMul(dst.t, src.t);
      mul32(bounds, dst, src);
      mul64(bounds, dst, src);
      break;
    case 'and':
      bounds.t = tnumAnd(dst.t, src.t);
      bitwise(bounds, dst, src, 'and');
      break;
    case 'or':
      bounds.t = tnumOr(dst.t, src.t);
      bitwise(bounds, dst, src, 'or');
      break;
    case 'xor':
      bounds.t = tnumXor(dst.t, src.t);
      bitwise(bounds, dst, src, 'xor');
      break;
    case 'lsh':
    case 'rsh':
    case 'arsh': {
      const by = shiftOf(src, width);
      if (by === undefined) return UNKNOWN;
      if (width === 32) SHIFTS_32[op](bounds, by);
      else SHIFTS_64[op](bounds, by);
      break;
    }
    default:
      return UNKNOWN;
  }
  if (width === 32) bounds.zeroExtend();
  bounds.sync();
  return new Scalar(bounds);
}

/** Nothing of it is kept behind an operation. */
const SCRATCH = new Bounds();

/** dst = −dst. */
export function neg(width: Width, dst: Scalar): Scalar {
  return alu('sub', width, ZERO, dst);
}

function add32(b: Bounds, src: Scalar): void {
  const min = b.s32min + src.s32min;
  const max = b.s32max + src.s32max;
  if (min < INT_MIN || max > INT_MAX || min > INT_MAX || max < INT_MIN) b.forgetSigned32();
  else {
    b.s32min = min;
    b.s32max = max;
  }
  const low = (b.u32min >>> 0) + (src.u32min >>> 0);
  const top = (b.u32max >>> 0) + (src.u32max >>> 0);
  // All sums wrap, or none.
  if (low <= 0xffffffff && top > 0xffffffff) b.forgetUnsigned32();
  else {
    b.u32min = low | 0;
    b.u32max = top | 0;
  }
}

function add64(b: Bounds, src: Scalar): void {
  const minLo = add(b.sminLo, b.sminHi, src.sminLo, src.sminHi);
  const minHi = high;
  const maxLo = add(b.smaxLo, b.smaxHi, src.smaxLo, src.smaxHi);
  const maxHi = high;
  if (overflows(b.sminHi, src.sminHi, minHi) || overflows(b.smaxHi, src.smaxHi, maxHi)) b.forgetSigned();
  else {
    b.sminLo = minLo;
    b.sminHi = minHi;
    b.smaxLo = maxLo;
    b.smaxHi = maxHi;
  }
  const lowLo = add(b.uminLo, b.uminHi, src.uminLo, src.uminHi);
  const lowHi = high;
  const topLo = add(b.umaxLo, b.umaxHi, src.umaxLo, src.umaxHi);
  const topHi = high;
  const lowWraps = compareUnsigned(lowLo, lowHi, b.uminLo, b.uminHi) < 0;
  const topWraps = compareUnsigned(topLo, topHi, b.umaxLo, b.umaxHi) < 0;
  if (!lowWraps && topWraps) b.forgetUnsigned();
  else setUnsigned(b, lowLo, lowHi, topLo, topHi);
}

/** Whether the sum of two signed numbers, given by their upper halves, left the range. */
function overflows(a: number, b: number, sum: number): boolean {
  return ((a ^ sum) & (b ^ sum)) < 0;
}

function setUnsigned(b: Bounds, minLo: number, minHi: number, maxLo: number, maxHi: number): void {
  b.uminLo = minLo;
  b.uminHi = minHi;
  b.umaxLo = maxLo;
  b.umaxHi = maxHi;
}

function sub32(b: Bounds, src: Scalar): void {
  const min = b.s32min - src.s32max;
  const max = b.s32max - src.s32min;
  if (min < INT_MIN || max > INT_MAX || min > INT_MAX || max < INT_MIN) b.forgetSigned32();
  else {
    b.s32min = min;
    b.s32max = max;
  }
  const low = (b.u32min >>> 0) - (src.u32max >>> 0);
  const top = (b.u32max >>> 0) - (src.u32min >>> 0);
  if (low < 0 && top >= 0) b.forgetUnsigned32();
  else {
    b.u32min = low | 0;
    b.u32max = top | 0;
  }
}

function sub64(b: Bounds, src: Scalar): void {
  const minLo = sub(b.sminLo, b.sminHi, src.smaxLo, src.smaxHi);
  const minHi = high;
  const maxLo = sub(b.smaxLo, b.smaxHi, src.sminLo, src.sminHi);
  const maxHi = high;
  const left = ((b.sminHi ^ src.smaxHi) & (b.sminHi ^ minHi)) < 0;
  const right = ((b.smaxHi ^ src.sminHi) & (b.smaxHi ^ maxHi)) < 0;
  if (left || right) b.forgetSigned();
  else {
    b.sminLo = minLo;
    b.sminHi = minHi;
    b.smaxLo = maxLo;
    b.smaxHi = maxHi;
  }
  const lowWraps = compareUnsigned(b.uminLo, b.uminHi, src.umaxLo, src.umaxHi) < 0;
  const topWraps = compareUnsigned(b.umaxLo, b.umaxHi, src.uminLo, src.uminHi) < 0;
  const lowLo = sub(b.uminLo, b.uminHi, src.umaxLo, src.umaxHi);
  const lowHi = high;
  const topLo = sub(b.umaxLo, b.umaxHi, src.uminLo, src.uminHi);
  if (lowWraps && !topWraps) b.forgetUnsigned();
  else setUnsigned(b, lowLo, lowHi, topLo, high);
}

/** Beyond this a product of doubles is not exact, and it is left to BigInt: rarely. */
const EXACT = 2 ** 53;

function mul32(b: Bounds, dst: Scalar, src: Scalar): void {
  const top = (dst.u32max >>> 0) * (src.u32max >>> 0);
  if (top > 0xffffffff) b.forgetUnsigned32();
  else {
    b.u32min = ((dst.u32min >>> 0) * (src.u32min >>> 0)) | 0;
    b.u32max = top | 0;
  }
  const products = [
    dst.s32min * src.s32min,
    dst.s32min * src.s32max,
    dst.s32max * src.s32min,
    dst.s32max * src.s32max,
  ];
  const min = Math.min(...products);
  const max = Math.max(...products);
  if (min < INT_MIN || max > INT_MAX) b.forgetSigned32();
  else {
    b.s32min = min;
    b.s32max = max;
  }
}

function mul64(b: Bounds, dst: Scalar, src: Scalar): void {
  const a = unsignedNumber(dst.umaxLo, dst.umaxHi);
  const c = unsignedNumber(src.umaxLo, src.umaxHi);
  if (a * c < EXACT) {
    const min = unsignedNumber(dst.uminLo, dst.uminHi) * unsignedNumber(src.uminLo, src.uminHi);
    setUnsigned(b, min | 0, (min / 2 ** 32) | 0, (a * c) | 0, ((a * c) / 2 ** 32) | 0);
  } else if (a * c > 2 ** 65) b.forgetUnsigned();
  else {
    const max = dst.umax() * src.umax();
    if (max > 2n ** 64n - 1n) b.forgetUnsigned();
    else {
      const min = dst.umin() * src.umin();
      setUnsigned(b, lowOf(min), highOf(min), lowOf(max), highOf(max));
    }
  }
  const limit = Math.max(
    Math.abs(signedNumber(dst.sminLo, dst.sminHi)),
    Math.abs(signedNumber(dst.smaxLo, dst.smaxHi)),
  );
  const other = Math.max(
    Math.abs(signedNumber(src.sminLo, src.sminHi)),
    Math.abs(signedNumber(src.smaxLo, src.smaxHi)),
  );
  if (limit * other > 2 ** 65) {
    b.forgetSigned();
    return;
  }
  const products = [
    dst.smin() * src.smin(),
    dst.smin() * src.smax(),
    dst.smax() * src.smin(),
    dst.smax() * src.smax(),
  ];
  let [min, max] = [products[0], products[0]];
  for (const product of products) {
    if (product < min) min = product;
    if (product > max) max = product;
  }
  if (min < -(2n ** 63n) || max > 2n ** 63n - 1n) b.forgetSigned();
  else {
    b.sminLo = lowOf(min);
    b.sminHi = highOf(min);
    b.smaxLo = lowOf(max);
    b.smaxHi = highOf(max);
  }
}

const lowOf = (value: bigint) => Number(BigInt.asIntN(32, value));
const highOf = (value: bigint) => Number(BigInt.asIntN(32, value >> 32n));

/** `b.t` already holds the result's bits: they give one bound, the operands the other. */
function bitwise(b: Bounds, dst: Scalar, src: Scalar, op: 'and' | 'or' | 'xor'): void {
  const { valueLo, valueHi, maskLo, maskHi } = b.t;
  if (dst.t.maskLo === 0 && src.t.maskLo === 0) {
    b.u32min = b.u32max = b.s32min = b.s32max = valueLo;
  } else {
    b.u32min = valueLo;
    b.u32max = valueLo | maskLo;
    if (op === 'and') b.u32max = least32(dst.u32max, src.u32max);
    if (op === 'or') b.u32min = most32(dst.u32min, src.u32min);
    // As signed numbers they are a range when the sign does not change within it.
    if (b.u32min <= b.u32max) {
      b.s32min = b.u32min;
      b.s32max = b.u32max;
    } else b.forgetSigned32();
  }
  setUnsigned(b, valueLo, valueHi, valueLo | maskLo, valueHi | maskHi);
  if (op === 'and') {
    const first = compareUnsigned(dst.umaxLo, dst.umaxHi, src.umaxLo, src.umaxHi) < 0;
    b.umaxLo = first ? dst.umaxLo : src.umaxLo;
    b.umaxHi = first ? dst.umaxHi : src.umaxHi;
  } else if (op === 'or') {
    const first = compareUnsigned(dst.uminLo, dst.uminHi, src.uminLo, src.uminHi) > 0;
    b.uminLo = first ? dst.uminLo : src.uminLo;
    b.uminHi = first ? dst.uminHi : src.uminHi;
  }
  if (compareSigned(b.uminLo, b.uminHi, b.umaxLo, b.umaxHi) <= 0) {
    b.sminLo = b.uminLo;
    b.sminHi = b.uminHi;
    b.smaxLo = b.umaxLo;
    b.smaxHi = b.umaxHi;
  } else b.forgetSigned();
}

const least32 = (a: number, b: number) => (a >>> 0 < b >>> 0 ? a : b);
const most32 = (a: number, b: number) => (a >>> 0 > b >>> 0 ? a : b);
