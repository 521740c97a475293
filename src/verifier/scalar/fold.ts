import type { Width } from '../../isa/opcodes.ts';
import type { ScalarOp } from './alu.ts';
import { add, high, mul, sar, shl, shr, sub } from './int64.ts';
import { constantHalves, type Scalar, UNKNOWN } from './scalar.ts';
import { shiftOf } from './shifts.ts';

/** Two known numbers need no ranges; what is not computed here leaves nothing known either. */
export function constantResult(op: ScalarOp, width: Width, { t: a }: Scalar, src: Scalar): Scalar {
  const { t: b } = src;
  let lo: number;
  let hi: number;
  switch (op) {
    case 'add':
      lo = add(a.valueLo, a.valueHi, b.valueLo, b.valueHi);
      hi = high;
      break;
    case 'sub':
      lo = sub(a.valueLo, a.valueHi, b.valueLo, b.valueHi);
      hi = high;
      break;
    case 'mul':
      lo = mul(a.valueLo, a.valueHi, b.valueLo, b.valueHi);
      hi = high;
      break;
    case 'and':
      lo = a.valueLo & b.valueLo;
      hi = a.valueHi & b.valueHi;
      break;
    case 'or':
      lo = a.valueLo | b.valueLo;
      hi = a.valueHi | b.valueHi;
      break;
    case 'xor':
      lo = a.valueLo ^ b.valueLo;
      hi = a.valueHi ^ b.valueHi;
      break;
    case 'lsh':
    case 'rsh':
    case 'arsh': {
      const by = shiftOf(src, width);
      if (by === undefined) return UNKNOWN;
      if (width === 32) {
        lo = op === 'lsh' ? a.valueLo << by : op === 'rsh' ? (a.valueLo >>> by) | 0 : a.valueLo >> by;
        hi = 0;
      } else {
        const shift = op === 'lsh' ? shl : op === 'rsh' ? shr : sar;
        lo = shift(a.valueLo, a.valueHi, by);
        hi = high;
      }
      break;
    }
    default:
      return UNKNOWN;
  }
  return constantHalves(lo, width === 32 ? 0 : hi);
}
