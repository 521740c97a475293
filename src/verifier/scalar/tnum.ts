import { add, bitLength, compareUnsigned, high, sar, shl, shr, sub } from './int64.ts';

/**
 * Known bits of a 64-bit value (Linux: `struct tnum`, a "tristate number"): where `mask` has a 1 the bit is unknown, and
 * `value` has 0; elsewhere `value` has the bit. Immutable, as halves.
 */
export class Tnum {
  readonly valueLo: number;
  readonly valueHi: number;
  readonly maskLo: number;
  readonly maskHi: number;

  constructor(valueLo: number, valueHi: number, maskLo: number, maskHi: number) {
    this.valueLo = valueLo;
    this.valueHi = valueHi;
    this.maskLo = maskLo;
    this.maskHi = maskHi;
  }

  get isConst(): boolean {
    return (this.maskLo | this.maskHi) === 0;
  }
}

export const UNKNOWN_BITS = new Tnum(0, 0, -1, -1);

export function tnumConst(lo: number, hi: number): Tnum {
  return new Tnum(lo, hi, 0, 0);
}

/** The bits that all numbers from min to max (unsigned) have in common. */
export function tnumRange(minLo: number, minHi: number, maxLo: number, maxHi: number): Tnum {
  const bits = bitLength(minLo ^ maxLo, minHi ^ maxHi);
  if (bits > 63) return UNKNOWN_BITS;
  const lo = bits >= 32 ? -1 : (1 << bits) - 1;
  const hi = bits <= 32 ? 0 : (1 << (bits - 32)) - 1;
  return new Tnum(minLo & ~lo, minHi & ~hi, lo, hi);
}

export function tnumAdd(a: Tnum, b: Tnum): Tnum {
  const smLo = add(a.maskLo, a.maskHi, b.maskLo, b.maskHi);
  const smHi = high;
  const svLo = add(a.valueLo, a.valueHi, b.valueLo, b.valueHi);
  const svHi = high;
  const sigmaLo = add(smLo, smHi, svLo, svHi);
  const muLo = (sigmaLo ^ svLo) | a.maskLo | b.maskLo;
  const muHi = (high ^ svHi) | a.maskHi | b.maskHi;
  return new Tnum(svLo & ~muLo, svHi & ~muHi, muLo, muHi);
}

export function tnumSub(a: Tnum, b: Tnum): Tnum {
  const dvLo = sub(a.valueLo, a.valueHi, b.valueLo, b.valueHi);
  const dvHi = high;
  const alphaLo = add(dvLo, dvHi, a.maskLo, a.maskHi);
  const alphaHi = high;
  const betaLo = sub(dvLo, dvHi, b.maskLo, b.maskHi);
  const muLo = (alphaLo ^ betaLo) | a.maskLo | b.maskLo;
  const muHi = (alphaHi ^ high) | a.maskHi | b.maskHi;
  return new Tnum(dvLo & ~muLo, dvHi & ~muHi, muLo, muHi);
}

export function tnumAnd(a: Tnum, b: Tnum): Tnum {
  const vLo = a.valueLo & b.valueLo;
  const vHi = a.valueHi & b.valueHi;
  const mLo = (a.valueLo | a.maskLo) & (b.valueLo | b.maskLo) & ~vLo;
  const mHi = (a.valueHi | a.maskHi) & (b.valueHi | b.maskHi) & ~vHi;
  return new Tnum(vLo, vHi, mLo, mHi);
}

export function tnumOr(a: Tnum, b: Tnum): Tnum {
  const vLo = a.valueLo | b.valueLo;
  const vHi = a.valueHi | b.valueHi;
  return new Tnum(vLo, vHi, (a.maskLo | b.maskLo) & ~vLo, (a.maskHi | b.maskHi) & ~vHi);
}

export function tnumXor(a: Tnum, b: Tnum): Tnum {
  const muLo = a.maskLo | b.maskLo;
  const muHi = a.maskHi | b.maskHi;
  return new Tnum((a.valueLo ^ b.valueLo) & ~muLo, (a.valueHi ^ b.valueHi) & ~muHi, muLo, muHi);
}

/** What holds for both. */
export function tnumUnion(a: Tnum, b: Tnum): Tnum {
  const muLo = (a.valueLo ^ b.valueLo) | a.maskLo | b.maskLo;
  const muHi = (a.valueHi ^ b.valueHi) | a.maskHi | b.maskHi;
  return new Tnum(a.valueLo & b.valueLo & ~muLo, a.valueHi & b.valueHi & ~muHi, muLo, muHi);
}

/** A value that both describe. */
export function tnumIntersect(a: Tnum, b: Tnum): Tnum {
  const muLo = a.maskLo & b.maskLo;
  const muHi = a.maskHi & b.maskHi;
  return new Tnum((a.valueLo | b.valueLo) & ~muLo, (a.valueHi | b.valueHi) & ~muHi, muLo, muHi);
}

/** Long multiplication, one bit of `a` after the other. */
export function tnumMul(a: Tnum, b: Tnum): Tnum {
  let sum = tnumConst(0, 0);
  let left = a;
  let right = b;
  while ((left.valueLo | left.valueHi | left.maskLo | left.maskHi) !== 0) {
    if ((left.valueLo & 1) !== 0) sum = tnumAdd(sum, right);
    else if ((left.maskLo & 1) !== 0) sum = tnumUnion(sum, tnumAdd(sum, right));
    left = tnumShr(left, 1);
    right = tnumShl(right, 1);
  }
  return sum;
}

export function tnumShl(a: Tnum, by: number): Tnum {
  const vLo = shl(a.valueLo, a.valueHi, by);
  const vHi = high;
  const mLo = shl(a.maskLo, a.maskHi, by);
  return new Tnum(vLo, vHi, mLo, high);
}

export function tnumShr(a: Tnum, by: number): Tnum {
  const vLo = shr(a.valueLo, a.valueHi, by);
  const vHi = high;
  const mLo = shr(a.maskLo, a.maskHi, by);
  return new Tnum(vLo, vHi, mLo, high);
}

export function tnumSar(a: Tnum, by: number, width: 32 | 64): Tnum {
  if (width === 32) return new Tnum(a.valueLo >> by, 0, a.maskLo >> by, 0);
  const vLo = sar(a.valueLo, a.valueHi, by);
  const vHi = high;
  const mLo = sar(a.maskLo, a.maskHi, by);
  return new Tnum(vLo, vHi, mLo, high);
}

/** The low `bits` bits (16, 32, 64) in the reverse order of their bytes, zeroes above. */
export function tnumBswap(a: Tnum, bits: number): Tnum {
  if (bits === 64)
    return new Tnum(reverse(a.valueHi), reverse(a.valueLo), reverse(a.maskHi), reverse(a.maskLo));
  const by = 32 - bits;
  return new Tnum((reverse(a.valueLo) >>> by) | 0, 0, (reverse(a.maskLo) >>> by) | 0, 0);
}

/** The four bytes of a word reversed. */
function reverse(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** The low 32 bits, zero-extended. */
export function tnumLow(a: Tnum): Tnum {
  return new Tnum(a.valueLo, 0, a.maskLo, 0);
}

/** `a` with its low half from `low`. */
export function tnumWithLow(a: Tnum, low: Tnum): Tnum {
  return new Tnum(low.valueLo, a.valueHi, low.maskLo, a.maskHi);
}

/** The low `bytes` bytes. */
export function tnumCast(a: Tnum, bytes: number): Tnum {
  if (bytes === 8) return a;
  const keep = bytes === 4 ? -1 : (1 << (8 * bytes)) - 1;
  return new Tnum(a.valueLo & keep, 0, a.maskLo & keep, 0);
}

/** Whether every value that `b` describes is one that `a` describes. */
export function tnumIn(a: Tnum, b: Tnum): boolean {
  if ((b.maskLo & ~a.maskLo) !== 0 || (b.maskHi & ~a.maskHi) !== 0) return false;
  return (b.valueLo & ~a.maskLo) === a.valueLo && (b.valueHi & ~a.maskHi) === a.valueHi;
}

/** Whether a value can be described by both. */
export function tnumOverlap(a: Tnum, b: Tnum): boolean {
  const lo = ~(a.maskLo | b.maskLo);
  const hi = ~(a.maskHi | b.maskHi);
  return ((a.valueLo ^ b.valueLo) & lo) === 0 && ((a.valueHi ^ b.valueHi) & hi) === 0;
}

/** The high half of what {@link tnumStep} gave last. */
export let stepHigh = 0;

/**
 * The smallest number of a tnum that is above z; its greatest where none is, its smallest where z is below all (Linux:
 * tnum_step).
 *
 * @returns the low half; the high one is in {@link stepHigh}.
 */
export function tnumStep(t: Tnum, zLo: number, zHi: number): number {
  const { valueLo, valueHi, maskLo, maskHi } = t;
  if (compareUnsigned(zLo, zHi, valueLo, valueHi) < 0) {
    stepHigh = valueHi;
    return valueLo;
  }
  if (compareUnsigned(zLo, zHi, valueLo | maskLo, valueHi | maskHi) >= 0) {
    stepHigh = valueHi | maskHi;
    return valueLo | maskLo;
  }
  const lo = add(zLo, zHi, 1, 0);
  const hi = high;
  // The highest known bit in which the next number is not one of the tnum's.
  const wrong = bitLength((lo ^ valueLo) & ~maskLo, (hi ^ valueHi) & ~maskHi) - 1;
  if (wrong < 0) {
    stepHigh = hi;
    return lo;
  }
  let from = wrong;
  let oneLo = 0;
  let oneHi = 0;
  if (!hasBit(valueLo, valueHi, wrong)) {
    // It is too large there: an unknown bit above must become 1.
    from = wrong + 1;
    while (!hasBit(maskLo & ~lo, maskHi & ~hi, from)) from++;
    oneLo = from < 32 ? 1 << from : 0;
    oneHi = from < 32 ? 0 : 1 << (from - 32);
  }
  // Above that bit as it is, from there on as small as can be.
  const aboveLo = from >= 31 ? 0 : -1 << (from + 1);
  const aboveHi = from < 32 ? -1 : from === 63 ? 0 : -1 << (from - 31);
  stepHigh = (hi & aboveHi) | oneHi | (valueHi & ~aboveHi);
  return (lo & aboveLo) | oneLo | (valueLo & ~aboveLo);
}

function hasBit(lo: number, hi: number, bit: number): boolean {
  return ((bit < 32 ? lo >>> bit : hi >>> (bit - 32)) & 1) === 1;
}
