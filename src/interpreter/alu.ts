import { type AluOp, opcode } from '../isa/opcodes.ts';
import type { Machine } from './machine.ts';

/**
 * Arithmetic (RFC 9669, section 4.1 and 4.2) over the register file. Each operation is written twice, for 64 and for 32
 * bits; division, modulo and wide shifts take the short way when both operands fit 32 bits and BigInt otherwise.
 *
 * Linux executes 64-bit arithmetic with an arena pointer on either side as 32-bit arithmetic; which that is, the verifier
 * found out. Moves, negation and byte order are what they always are.
 */

/** Executes the instruction at a slot. @returns the slot to go on at. */
export type Handler = (machine: Machine, pc: number) => number;

type Operation = (regs: Int32Array, d: number, s: number) => void;

/** Indexes `d` and `s` are those of the low halves. */
const WIDE: Record<Exclude<AluOp, 'div' | 'mod'>, Operation> = {
  add(regs, d, s) {
    const low = (regs[d] >>> 0) + (regs[s] >>> 0);
    regs[d + 1] += regs[s + 1] + (low > 0xffffffff ? 1 : 0);
    regs[d] = low;
  },
  sub(regs, d, s) {
    const borrow = regs[d] >>> 0 < regs[s] >>> 0 ? 1 : 0;
    regs[d + 1] -= regs[s + 1] + borrow;
    regs[d] -= regs[s];
  },
  mul(regs, d, s) {
    const a = regs[d];
    const b = regs[s];
    regs[d + 1] = Math.imul(a, regs[s + 1]) + Math.imul(regs[d + 1], b) + upperProduct(a, b);
    regs[d] = Math.imul(a, b);
  },
  or(regs, d, s) {
    regs[d + 1] |= regs[s + 1];
    regs[d] |= regs[s];
  },
  and(regs, d, s) {
    regs[d + 1] &= regs[s + 1];
    regs[d] &= regs[s];
  },
  xor(regs, d, s) {
    regs[d + 1] ^= regs[s + 1];
    regs[d] ^= regs[s];
  },
  mov(regs, d, s) {
    regs[d + 1] = regs[s + 1];
    regs[d] = regs[s];
  },
  lsh(regs, d, s) {
    const count = regs[s] & 63;
    if (count >= 32) {
      regs[d + 1] = regs[d] << count;
      regs[d] = 0;
    } else if (count > 0) {
      regs[d + 1] = (regs[d + 1] << count) | (regs[d] >>> (32 - count));
      regs[d] <<= count;
    }
  },
  rsh(regs, d, s) {
    const count = regs[s] & 63;
    if (count >= 32) {
      regs[d] = regs[d + 1] >>> count;
      regs[d + 1] = 0;
    } else if (count > 0) {
      regs[d] = (regs[d] >>> count) | (regs[d + 1] << (32 - count));
      regs[d + 1] = regs[d + 1] >>> count;
    }
  },
  arsh(regs, d, s) {
    const count = regs[s] & 63;
    if (count >= 32) {
      regs[d] = regs[d + 1] >> count;
      regs[d + 1] >>= 31;
    } else if (count > 0) {
      regs[d] = (regs[d] >>> count) | (regs[d + 1] << (32 - count));
      regs[d + 1] >>= count;
    }
  },
};

/** The same for the low half; the upper half becomes 0. Division by zero gives 0, modulo by zero the dividend. */
const NARROW: Record<AluOp, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => Math.imul(a, b),
  div: (a, b) => (b === 0 ? 0 : (a >>> 0) / (b >>> 0)),
  mod: (a, b) => (b === 0 ? a : (a >>> 0) % (b >>> 0)),
  or: (a, b) => a | b,
  and: (a, b) => a & b,
  xor: (a, b) => a ^ b,
  mov: (_, b) => b,
  lsh: (a, b) => a << b,
  rsh: (a, b) => a >>> b,
  arsh: (a, b) => a >> b,
};

/** Bits 32 to 63 of the product of two unsigned 32-bit integers. */
function upperProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = aHigh * bLow + ((aLow * bLow) >>> 16);
  const other = aLow * bHigh + (cross & 0xffff);
  return aHigh * bHigh + Math.floor(cross / 0x10000) + Math.floor(other / 0x10000);
}

function divide(op: 'div' | 'mod', signed: boolean, machine: Machine, d: number, s: number): void {
  const { regs, wide } = machine;
  if (regs[s] === 0 && regs[s + 1] === 0) {
    if (op === 'div') wide[d >> 1] = 0n;
    return;
  }
  if (regs[s + 1] === 0 && regs[d + 1] === 0) {
    regs[d] = NARROW[op](regs[d], regs[s]);
    return;
  }
  const bits = signed ? BigInt.asIntN : BigInt.asUintN;
  const a = bits(64, wide[d >> 1]);
  const b = bits(64, wide[s >> 1]);
  // A typed array wraps: the smallest integer divided by −1 gives itself, as Linux does.
  wide[d >> 1] = op === 'div' ? a / b : a % b;
}

function divideNarrow(op: 'div' | 'mod', signed: boolean, a: number, b: number): number {
  if (!signed || b === 0) return NARROW[op](a, b);
  return op === 'div' ? (a / b) | 0 : (a % b) | 0;
}

/** The 32-bit form of an operation: the low half is computed, the upper half cleared. */
function alu32(op: Exclude<AluOp, 'mov'>): Handler {
  const compute = NARROW[op];
  const divides = op === 'div' || op === 'mod';
  return ({ regs, code }, pc) => {
    const d = 2 * code.dst[pc];
    const a = regs[d];
    const b = regs[2 * code.src[pc]];
    regs[d] = divides ? divideNarrow(op, code.off[pc] === 1, a, b) : compute(a, b);
    regs[d + 1] = 0;
    return pc + 1;
  };
}

function alu64(op: Exclude<AluOp, 'mov'>): Handler {
  if (op === 'div' || op === 'mod')
    return (machine, pc) => {
      const { code } = machine;
      divide(op, code.off[pc] === 1, machine, 2 * code.dst[pc], 2 * code.src[pc]);
      return pc + 1;
    };
  const operate: Operation = WIDE[op];
  return ({ regs, code }, pc) => {
    operate(regs, 2 * code.dst[pc], 2 * code.src[pc]);
    return pc + 1;
  };
}

/** Sign-extends the low `bits` of a 32-bit integer. */
function extend(value: number, bits: number): number {
  return bits === 0 || bits === 32 ? value : (value << (32 - bits)) >> (32 - bits);
}

function move32(machine: Machine, pc: number): number {
  const { regs, code } = machine;
  const dst = code.dst[pc];
  regs[2 * dst] = extend(regs[2 * code.src[pc]], code.off[pc]);
  regs[2 * dst + 1] = 0;
  return pc + 1;
}

const CAST = 1;
const CAST_KERN = 1;

function move64(machine: Machine, pc: number): number {
  const { regs, code } = machine;
  const dst = code.dst[pc];
  const src = code.src[pc];
  const off = code.off[pc];
  if (off === 0) {
    regs[2 * dst] = regs[2 * src];
    regs[2 * dst + 1] = regs[2 * src + 1];
  } else if (off === CAST) {
    castAddressSpace(machine, dst, src, code.imm[pc]);
  } else {
    const value = extend(regs[2 * src], off);
    regs[2 * dst] = value;
    regs[2 * dst + 1] = value >> 31;
  }
  return pc + 1;
}

/** cast_kern keeps the low half; cast_user adds the upper half of user_vm_start, but NULL stays NULL. */
function castAddressSpace(machine: Machine, dst: number, src: number, spaces: number): void {
  const { regs, environment } = machine;
  const low = regs[2 * src];
  const arena = environment.arena;
  const toUser = spaces !== CAST_KERN && low !== 0 && arena !== undefined && !arena.noUserConv;
  regs[2 * dst] = low;
  regs[2 * dst + 1] = toUser ? arena.userHigh : 0;
}

function negate(width: 32 | 64): Handler {
  return (machine, pc) => {
    const { regs } = machine;
    const d = 2 * machine.code.dst[pc];
    regs[d + 1] = width === 64 ? ~regs[d + 1] + (regs[d] === 0 ? 1 : 0) : 0;
    regs[d] = -regs[d];
    return pc + 1;
  };
}

/** Reverses the four bytes of a 32-bit integer. */
function reverse(value: number): number {
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
}

/** The machine is little-endian: `le` truncates, `be` and `bswap` reverse the bytes; both zero-extend. */
function changeEndian(swap: boolean): Handler {
  return (machine, pc) => {
    const { regs, code } = machine;
    const d = 2 * code.dst[pc];
    const bits = code.imm[pc];
    const low = swap ? reverse(regs[d]) : regs[d];
    if (bits === 64) {
      if (swap) {
        regs[d] = reverse(regs[d + 1]);
        regs[d + 1] = low;
      }
    } else {
      regs[d] = bits === 32 ? low : swap ? low >>> 16 : low & 0xffff;
      regs[d + 1] = 0;
    }
    return pc + 1;
  };
}

/**
 * The handler for an arithmetic code byte, or undefined when it is none.
 * @param arena whether it computes with arena pointers.
 */
export function aluHandler(code: number, arena: boolean): Handler | undefined {
  const row = opcode(code);
  switch (row?.kind) {
    case 'alu':
      if (row.op === 'mov') return row.width === 64 ? move64 : move32;
      return row.width === 64 && !arena ? alu64(row.op) : alu32(row.op);
    case 'neg':
      return negate(row.width);
    case 'endian':
      return changeEndian(row.op !== 'le');
    default:
      return undefined;
  }
}
