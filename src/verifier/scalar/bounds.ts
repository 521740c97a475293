import { compareSigned, compareUnsigned } from './int64.ts';
import {
  stepHigh,
  type Tnum,
  tnumConst,
  tnumIntersect,
  tnumLow,
  tnumRange,
  tnumStep,
  tnumWithLow,
  UNKNOWN_BITS,
} from './tnum.ts';

/**
 * Ranges of a value under construction: 64-bit ones unsigned and signed, 32-bit ones of its low half, and known bits. Each
 * says something about the others; {@link Bounds.sync} lets them learn from each other until nothing more comes of it
 * (Linux: reg_bounds_sync). Fields are 32-bit halves; `u32` ones are kept as signed integers.
 */
export class Bounds {
  t: Tnum = UNKNOWN_BITS;
  uminLo = 0;
  uminHi = 0;
  umaxLo = -1;
  umaxHi = -1;
  sminLo = 0;
  sminHi = INT_MIN;
  smaxLo = -1;
  smaxHi = INT_MAX;
  u32min = 0;
  u32max = -1;
  s32min = INT_MIN;
  s32max = INT_MAX;

  forget64(): void {
    this.forgetUnsigned();
    this.forgetSigned();
  }

  forgetUnsigned(): void {
    this.uminLo = 0;
    this.uminHi = 0;
    this.umaxLo = -1;
    this.umaxHi = -1;
  }

  forgetSigned(): void {
    this.sminLo = 0;
    this.sminHi = INT_MIN;
    this.smaxLo = -1;
    this.smaxHi = INT_MAX;
  }

  forget32(): void {
    this.forgetUnsigned32();
    this.forgetSigned32();
  }

  forgetUnsigned32(): void {
    this.u32min = 0;
    this.u32max = -1;
  }

  forgetSigned32(): void {
    this.s32min = INT_MIN;
    this.s32max = INT_MAX;
  }

  forgetAll(): void {
    this.forget64();
    this.forget32();
    this.t = UNKNOWN_BITS;
  }

  raiseUmin(lo: number, hi: number): void {
    if (compareUnsigned(lo, hi, this.uminLo, this.uminHi) > 0) {
      this.uminLo = lo;
      this.uminHi = hi;
    }
  }

  lowerUmax(lo: number, hi: number): void {
    if (compareUnsigned(lo, hi, this.umaxLo, this.umaxHi) < 0) {
      this.umaxLo = lo;
      this.umaxHi = hi;
    }
  }

  raiseSmin(lo: number, hi: number): void {
    if (compareSigned(lo, hi, this.sminLo, this.sminHi) > 0) {
      this.sminLo = lo;
      this.sminHi = hi;
    }
  }

  lowerSmax(lo: number, hi: number): void {
    if (compareSigned(lo, hi, this.smaxLo, this.smaxHi) < 0) {
      this.smaxLo = lo;
      this.smaxHi = hi;
    }
  }

  raiseU32(min: number): void {
    if (min >>> 0 > this.u32min >>> 0) this.u32min = min | 0;
  }

  lowerU32(max: number): void {
    if (max >>> 0 < this.u32max >>> 0) this.u32max = max | 0;
  }

  raiseS32(min: number): void {
    if (min > this.s32min) this.s32min = min;
  }

  lowerS32(max: number): void {
    if (max < this.s32max) this.s32max = max;
  }

  sync(): void {
    this.learnFromBits();
    this.deduce();
    this.deduce();
    this.deduce();
    this.learnBits();
    this.learnFromBits();
  }

  learnFromBits(): void {
    const { valueLo, valueHi, maskLo, maskHi } = this.t;
    this.learnFromBits32();
    this.raiseSmin(valueLo, valueHi | (maskHi & INT_MIN));
    this.lowerSmax(valueLo | maskLo, valueHi | (maskHi & INT_MAX));
    this.raiseUmin(valueLo, valueHi);
    this.lowerUmax(valueLo | maskLo, valueHi | maskHi);
    if ((maskLo | maskHi) !== 0) this.#learnOnly();
  }

  /** Where range and bits have one number in common, that is it (Linux: __update_reg64_bounds). */
  #learnOnly(): void {
    const { t, uminLo, uminHi, umaxLo, umaxHi } = this;
    const { valueLo, valueHi } = t;
    const topLo = valueLo | t.maskLo;
    const topHi = valueHi | t.maskHi;
    const starts = (uminLo & ~t.maskLo) === valueLo && (uminHi & ~t.maskHi) === valueHi;
    // Most ranges are all that the bits allow.
    if (starts && umaxLo === topLo && umaxHi === topHi) return;
    const nextLo = tnumStep(t, uminLo, uminHi);
    const nextHi = stepHigh;
    const beyond = compareUnsigned(nextLo, nextHi, umaxLo, umaxHi) > 0;
    if (starts) {
      if (beyond) this.#know(uminLo, uminHi);
    } else if (nextLo === topLo && nextHi === topHi) {
      this.#know(topLo, topHi);
    } else if (!beyond) {
      const afterLo = tnumStep(t, nextLo, nextHi);
      if (compareUnsigned(afterLo, stepHigh, umaxLo, umaxHi) > 0) this.#know(nextLo, nextHi);
    }
  }

  #know(lo: number, hi: number): void {
    this.t = tnumConst(lo, hi);
    this.uminLo = this.umaxLo = this.sminLo = this.smaxLo = lo;
    this.uminHi = this.umaxHi = this.sminHi = this.smaxHi = hi;
    this.u32min = this.u32max = this.s32min = this.s32max = lo;
  }

  learnFromBits32(): void {
    const { valueLo, maskLo } = this.t;
    this.raiseS32(valueLo | (maskLo & INT_MIN));
    this.lowerS32(valueLo | (maskLo & INT_MAX));
    this.raiseU32(valueLo);
    this.lowerU32(valueLo | maskLo);
  }

  deduce(): void {
    this.#deduce32();
    this.#deduce64();
    this.#deduceMixed();
  }

  /** What the 64-bit ranges say of the low half. */
  #deduce32(): void {
    if (this.uminHi === this.umaxHi) {
      this.raiseU32(this.uminLo);
      this.lowerU32(this.umaxLo);
      if (this.uminLo <= this.umaxLo) {
        this.raiseS32(this.uminLo);
        this.lowerS32(this.umaxLo);
      }
    }
    if (this.sminHi === this.smaxHi) {
      if (this.sminLo >>> 0 <= this.smaxLo >>> 0) {
        this.raiseU32(this.sminLo);
        this.lowerU32(this.smaxLo);
      }
      if (this.sminLo <= this.smaxLo) {
        this.raiseS32(this.sminLo);
        this.lowerS32(this.smaxLo);
      }
    }
    // Upper halves that follow each other, with lower halves from negative to positive.
    if (((this.uminHi + 1) | 0) === this.umaxHi && this.uminLo < 0 && this.umaxLo >= 0) {
      this.raiseS32(this.uminLo);
      this.lowerS32(this.umaxLo);
    }
    if (((this.sminHi + 1) | 0) === this.smaxHi && this.sminLo < 0 && this.smaxLo >= 0) {
      this.raiseS32(this.sminLo);
      this.lowerS32(this.smaxLo);
    }
    if (this.u32min <= this.u32max) {
      this.raiseS32(this.u32min);
      this.lowerS32(this.u32max);
    }
    if (this.s32min >>> 0 <= this.s32max >>> 0) {
      this.raiseU32(this.s32min);
      this.lowerU32(this.s32max);
    } else if (this.u32max >>> 0 < this.s32min >>> 0) {
      // The signed range has a part at each end of the unsigned one, and only the lower is left.
      this.s32min = this.u32min;
      this.lowerU32(this.s32max);
    } else if (this.s32max >>> 0 < this.u32min >>> 0) {
      this.s32max = this.u32max;
      this.raiseU32(this.s32min);
    }
  }

  #deduce64(): void {
    if (compareSigned(this.uminLo, this.uminHi, this.umaxLo, this.umaxHi) <= 0) {
      this.raiseSmin(this.uminLo, this.uminHi);
      this.lowerSmax(this.umaxLo, this.umaxHi);
    }
    if (compareUnsigned(this.sminLo, this.sminHi, this.smaxLo, this.smaxHi) <= 0) {
      this.raiseUmin(this.sminLo, this.sminHi);
      this.lowerUmax(this.smaxLo, this.smaxHi);
    } else if (compareUnsigned(this.umaxLo, this.umaxHi, this.sminLo, this.sminHi) < 0) {
      // As above.
      this.sminLo = this.uminLo;
      this.sminHi = this.uminHi;
      this.lowerUmax(this.smaxLo, this.smaxHi);
    } else if (compareUnsigned(this.smaxLo, this.smaxHi, this.uminLo, this.uminHi) < 0) {
      this.smaxLo = this.umaxLo;
      this.smaxHi = this.umaxHi;
      this.raiseUmin(this.sminLo, this.sminHi);
    }
  }

  /** What the low half's ranges say of the whole: the upper half of a bound stays, its lower half moves. */
  #deduceMixed(): void {
    this.#narrowLow(this.u32min, this.u32max);
    if (this.s32min >>> 0 <= this.s32max >>> 0) this.#narrowLow(this.s32min, this.s32max);
    // Sign-extended from a non-negative half.
    const extended =
      compareSigned(this.sminLo, this.sminHi, INT_MIN, -1) >= 0 &&
      compareSigned(this.smaxLo, this.smaxHi, INT_MAX, 0) <= 0;
    if (this.s32min >= 0 && extended) {
      this.sminLo = this.uminLo = this.s32min;
      this.smaxLo = this.umaxLo = this.s32max;
      this.sminHi = this.uminHi = this.smaxHi = this.umaxHi = 0;
      this.t = tnumIntersect(this.t, tnumRange(this.sminLo, 0, this.smaxLo, 0));
    }
  }

  #narrowLow(min: number, max: number): void {
    this.raiseUmin(min, this.uminHi);
    this.lowerUmax(max, this.umaxHi);
    this.raiseSmin(min, this.sminHi);
    this.lowerSmax(max, this.smaxHi);
  }

  learnBits(): void {
    const whole = tnumIntersect(this.t, tnumRange(this.uminLo, this.uminHi, this.umaxLo, this.umaxHi));
    const low = tnumIntersect(tnumLow(whole), tnumRange(this.u32min, 0, this.u32max, 0));
    this.t = tnumWithLow(whole, low);
  }

  /** The upper half is zero (Linux: zext_32_to_64). */
  zeroExtend(): void {
    this.t = tnumLow(this.t);
    this.uminLo = this.u32min;
    this.umaxLo = this.u32max;
    this.uminHi = this.umaxHi = this.sminHi = this.smaxHi = 0;
    const positive = this.s32min >= 0 && this.s32max >= 0;
    this.sminLo = positive ? this.s32min : 0;
    this.smaxLo = positive ? this.s32max : -1;
  }

  /** Whether some range is empty: the path cannot be taken, or a rule is wrong. */
  get contradicts(): boolean {
    return (
      compareUnsigned(this.uminLo, this.uminHi, this.umaxLo, this.umaxHi) > 0 ||
      compareSigned(this.sminLo, this.sminHi, this.smaxLo, this.smaxHi) > 0 ||
      this.u32min >>> 0 > this.u32max >>> 0 ||
      this.s32min > this.s32max
    );
  }
}

export const INT_MIN = -0x80000000;
export const INT_MAX = 0x7fffffff;
