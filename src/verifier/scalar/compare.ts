import type { JumpOp, Width } from '../../isa/opcodes.ts';
import { Bounds } from './bounds.ts';
import { add, compareSigned, compareUnsigned, high, sub } from './int64.ts';
import { boundsOf, constantHalves, Scalar } from './scalar.ts';
import {
  type Tnum,
  tnumAnd,
  tnumConst,
  tnumIntersect,
  tnumLow,
  tnumOr,
  tnumOverlap,
  tnumWithLow,
} from './tnum.ts';

/**
 * Comparisons: whether a jump is taken for all values two numbers may have, and what a jump, taken or not, tells of both
 * (Linux: is_scalar_branch_taken, regs_refine_cond_op).
 */

/** −1, 0, 1 for each pair of bounds that a comparison looks at. */
interface Order {
  /** a's least to b's greatest, a's greatest to b's least: unsigned. */
  readonly minToMax: number;
  readonly maxToMin: number;
}

function order(width: Width, signed: boolean, a: Scalar, b: Scalar): Order {
  if (width === 32) {
    if (signed) return { minToMax: Math.sign(a.s32min - b.s32max), maxToMin: Math.sign(a.s32max - b.s32min) };
    return {
      minToMax: Math.sign((a.u32min >>> 0) - (b.u32max >>> 0)),
      maxToMin: Math.sign((a.u32max >>> 0) - (b.u32min >>> 0)),
    };
  }
  if (signed) {
    return {
      minToMax: compareSigned(a.sminLo, a.sminHi, b.smaxLo, b.smaxHi),
      maxToMin: compareSigned(a.smaxLo, a.smaxHi, b.sminLo, b.sminHi),
    };
  }
  return {
    minToMax: compareUnsigned(a.uminLo, a.uminHi, b.umaxLo, b.umaxHi),
    maxToMin: compareUnsigned(a.umaxLo, a.umaxHi, b.uminLo, b.uminHi),
  };
}

const isKnown = (width: Width, s: Scalar) => (width === 32 ? s.t.maskLo === 0 : s.isConst());
const bits = (width: Width, s: Scalar): Tnum => (width === 32 ? tnumLow(s.t) : s.t);

/** Whether `if a op b` jumps: always, never, or undefined when it depends. */
export function branchTaken(op: JumpOp, width: Width, a: Scalar, b: Scalar): boolean | undefined {
  switch (op) {
    case 'jeq':
      return isEqual(width, a, b);
    case 'jne': {
      const same = isEqual(width, a, b);
      return same === undefined ? undefined : !same;
    }
    case 'jset': {
      const [left, right] = isKnown(width, b) ? [a, b] : [b, a];
      if (!isKnown(width, right)) return undefined;
      const t = bits(width, left);
      const mask = bits(width, right);
      if (((t.valueLo & mask.valueLo) | (t.valueHi & mask.valueHi)) !== 0) return true;
      const possible = ((t.valueLo | t.maskLo) & mask.valueLo) | ((t.valueHi | t.maskHi) & mask.valueHi);
      return possible === 0 ? false : undefined;
    }
    default: {
      const { minToMax, maxToMin } = order(width, op.startsWith('js'), a, b);
      switch (op) {
        case 'jgt':
        case 'jsgt':
          return minToMax > 0 ? true : maxToMin <= 0 ? false : undefined;
        case 'jge':
        case 'jsge':
          return minToMax >= 0 ? true : maxToMin < 0 ? false : undefined;
        case 'jlt':
        case 'jslt':
          return maxToMin < 0 ? true : minToMax >= 0 ? false : undefined;
        default:
          return maxToMin <= 0 ? true : minToMax > 0 ? false : undefined;
      }
    }
  }
}

function isEqual(width: Width, a: Scalar, b: Scalar): boolean | undefined {
  if (isKnown(width, a) && isKnown(width, b)) {
    return a.t.valueLo === b.t.valueLo && (width === 32 || a.t.valueHi === b.t.valueHi);
  }
  if (!tnumOverlap(bits(width, a), bits(width, b)) || apart(width, a, b)) return false;
  return width === 64 && apart(32, a, b) ? false : undefined;
}

/** Ranges that have no number in common. */
function apart(width: Width, a: Scalar, b: Scalar): boolean {
  const unsigned = order(width, false, a, b);
  const signed = order(width, true, a, b);
  return unsigned.minToMax > 0 || unsigned.maxToMin < 0 || signed.minToMax > 0 || signed.maxToMin < 0;
}

/** What both numbers are on one side of a jump. */
export interface Refined {
  readonly a: Scalar;
  readonly b: Scalar;
}

const NEGATED: Record<JumpOp, JumpOp | 'jclear'> = {
  jeq: 'jne',
  jne: 'jeq',
  jset: 'jclear',
  jgt: 'jle',
  jge: 'jlt',
  jlt: 'jge',
  jle: 'jgt',
  jsgt: 'jsle',
  jsge: 'jslt',
  jslt: 'jsge',
  jsle: 'jsgt',
};

/** Comparisons that are others with both sides exchanged. */
const FLIPPED: Partial<Record<JumpOp | 'jclear', JumpOp>> = {
  jgt: 'jlt',
  jge: 'jle',
  jsgt: 'jslt',
  jsge: 'jsle',
};

/**
 * What `a` and `b` are when `if a op b` jumps, or when it does not.
 * @param same whether both are one register.
 */
export function refine(
  op: JumpOp,
  width: Width,
  a: Scalar,
  b: Scalar,
  taken: boolean,
  same = false,
): Refined {
  const holds = taken ? op : NEGATED[op];
  const flipped = FLIPPED[holds];
  if (flipped !== undefined) {
    const { a: right, b: left } = refineHolding(flipped, width, b, a, same);
    return { a: left, b: right };
  }
  return refineHolding(holds, width, a, b, same);
}

/** Nothing of them is kept behind a comparison. */
const LEFT = new Bounds();
const RIGHT = new Bounds();

function refineHolding(op: JumpOp | 'jclear', width: Width, a: Scalar, b: Scalar, same: boolean): Refined {
  const x = boundsOf(a, LEFT);
  const y = same ? x : boundsOf(b, RIGHT);
  switch (op) {
    case 'jeq':
      meet(width, x, y);
      break;
    case 'jne':
      if (isKnown(width, b)) exclude(width, x, b);
      else if (isKnown(width, a)) exclude(width, y, a);
      break;
    case 'jset':
    case 'jclear':
      if (isKnown(width, b)) test(op, width, x, b);
      else if (isKnown(width, a)) test(op, width, y, a);
      break;
    default:
      lower(op, width, x, y, a, b);
  }
  const first = finish(a, x);
  return { a: first, b: same ? first : finish(b, y) };
}

/** Ranges that contradict each other belong to a path that is never taken: like Linux, go on with the bits alone. */
function finish(old: Scalar, bounds: Bounds): Scalar {
  bounds.sync();
  if (bounds.contradicts) {
    const { t } = bounds;
    if (t.isConst) return constantHalves(t.valueLo, t.valueHi);
    bounds.forget64();
    bounds.forget32();
  }
  return unchanged(old, bounds) ? old : new Scalar(bounds);
}

function unchanged(old: Scalar, b: Bounds): boolean {
  return (
    old.uminLo === b.uminLo &&
    old.uminHi === b.uminHi &&
    old.umaxLo === b.umaxLo &&
    old.umaxHi === b.umaxHi &&
    old.sminLo === b.sminLo &&
    old.sminHi === b.sminHi &&
    old.smaxLo === b.smaxLo &&
    old.smaxHi === b.smaxHi &&
    old.u32min === b.u32min &&
    old.u32max === b.u32max &&
    old.s32min === b.s32min &&
    old.s32max === b.s32max &&
    old.t.valueLo === b.t.valueLo &&
    old.t.valueHi === b.t.valueHi &&
    old.t.maskLo === b.t.maskLo &&
    old.t.maskHi === b.t.maskHi
  );
}

/** Both are equal: each is what both may be. */
function meet(width: Width, x: Bounds, y: Bounds): void {
  x.raiseU32(y.u32min);
  x.lowerU32(y.u32max);
  x.raiseS32(y.s32min);
  x.lowerS32(y.s32max);
  if (width === 32) {
    const low = tnumIntersect(tnumLow(x.t), tnumLow(y.t));
    x.t = tnumWithLow(x.t, low);
    y.t = tnumWithLow(y.t, low);
  } else {
    x.raiseUmin(y.uminLo, y.uminHi);
    x.lowerUmax(y.umaxLo, y.umaxHi);
    x.raiseSmin(y.sminLo, y.sminHi);
    x.lowerSmax(y.smaxLo, y.smaxHi);
    y.uminLo = x.uminLo;
    y.uminHi = x.uminHi;
    y.umaxLo = x.umaxLo;
    y.umaxHi = x.umaxHi;
    y.sminLo = x.sminLo;
    y.sminHi = x.sminHi;
    y.smaxLo = x.smaxLo;
    y.smaxHi = x.smaxHi;
    x.t = y.t = tnumIntersect(x.t, y.t);
  }
  y.u32min = x.u32min;
  y.u32max = x.u32max;
  y.s32min = x.s32min;
  y.s32max = x.s32max;
}

/** Not this number: a bound that equals it moves by one. */
function exclude(width: Width, x: Bounds, known: Scalar): void {
  const { valueLo: lo, valueHi: hi } = known.t;
  if (width === 32) {
    if (x.u32min === lo) x.u32min = (x.u32min + 1) | 0;
    if (x.u32max === lo) x.u32max = (x.u32max - 1) | 0;
    if (x.s32min === lo) x.s32min = (x.s32min + 1) | 0;
    if (x.s32max === lo) x.s32max = (x.s32max - 1) | 0;
    return;
  }
  if (x.uminLo === lo && x.uminHi === hi) {
    x.uminLo = add(lo, hi, 1, 0);
    x.uminHi = high;
  }
  if (x.umaxLo === lo && x.umaxHi === hi) {
    x.umaxLo = sub(lo, hi, 1, 0);
    x.umaxHi = high;
  }
  if (x.sminLo === lo && x.sminHi === hi) {
    x.sminLo = add(lo, hi, 1, 0);
    x.sminHi = high;
  }
  if (x.smaxLo === lo && x.smaxHi === hi) {
    x.smaxLo = sub(lo, hi, 1, 0);
    x.smaxHi = high;
  }
}

/** A bit of a mask is set, or none is. */
function test(op: 'jset' | 'jclear', width: Width, x: Bounds, known: Scalar): void {
  const lo = known.t.valueLo;
  const hi = width === 32 ? 0 : known.t.valueHi;
  if (op === 'jset') {
    // Which of several bits is set stays open.
    const one = hi === 0 ? (lo & (lo - 1)) === 0 && lo !== 0 : lo === 0 && (hi & (hi - 1)) === 0;
    if (!one) return;
    x.t = tnumOr(x.t, tnumConst(lo, hi));
    return;
  }
  x.forget64();
  x.forget32();
  x.t = tnumAnd(x.t, tnumConst(~lo, width === 32 ? -1 : ~hi));
}

/** a below b, or not above it. */
function lower(op: JumpOp, width: Width, x: Bounds, y: Bounds, a: Scalar, b: Scalar): void {
  const strict = op === 'jlt' || op === 'jslt' ? 1 : 0;
  const signed = op === 'jslt' || op === 'jsle';
  if (width === 32) {
    if (signed) {
      x.s32max = Math.min(a.s32max, (b.s32max - strict) | 0);
      y.s32min = Math.max((a.s32min + strict) | 0, b.s32min);
    } else {
      x.lowerU32((b.u32max - strict) | 0);
      y.raiseU32((a.u32min + strict) | 0);
    }
    return;
  }
  if (signed) {
    const topLo = sub(b.smaxLo, b.smaxHi, strict, 0);
    x.lowerSmax(topLo, high);
    const lowLo = add(a.sminLo, a.sminHi, strict, 0);
    y.raiseSmin(lowLo, high);
  } else {
    const topLo = sub(b.umaxLo, b.umaxHi, strict, 0);
    x.lowerUmax(topLo, high);
    const lowLo = add(a.uminLo, a.uminHi, strict, 0);
    y.raiseUmin(lowLo, high);
  }
}
