import { type JumpOp, opcode } from '../isa/opcodes.ts';
import type { Handler } from './alu.ts';
import type { Machine } from './machine.ts';

/** Jumps (RFC 9669, section 4.3): conditions over two operands, and the loop budget of `may_goto`. */

/** −1, 0 or 1: how two 64-bit integers compare. */
function compare(regs: Int32Array, d: number, s: number, signed: boolean): number {
  const a = regs[d + 1];
  const b = regs[s + 1];
  if (a !== b) return (signed ? a < b : a >>> 0 < b >>> 0) ? -1 : 1;
  const low = regs[d] >>> 0;
  const other = regs[s] >>> 0;
  return low < other ? -1 : low > other ? 1 : 0;
}

function compareNarrow(regs: Int32Array, d: number, s: number, signed: boolean): number {
  const a = signed ? regs[d] : regs[d] >>> 0;
  const b = signed ? regs[s] : regs[s] >>> 0;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What the order of the operands says about the jump; `jset` does not order them. */
const HOLDS: Record<Exclude<JumpOp, 'jset'>, (order: number) => boolean> = {
  jeq: (order) => order === 0,
  jne: (order) => order !== 0,
  jgt: (order) => order > 0,
  jge: (order) => order >= 0,
  jlt: (order) => order < 0,
  jle: (order) => order <= 0,
  jsgt: (order) => order > 0,
  jsge: (order) => order >= 0,
  jslt: (order) => order < 0,
  jsle: (order) => order <= 0,
};

function jump(op: Exclude<JumpOp, 'jset'>, signed: boolean, width: 32 | 64): Handler {
  const order = width === 64 ? compare : compareNarrow;
  const holds = HOLDS[op];
  return ({ regs, code }, pc) =>
    holds(order(regs, 2 * code.dst[pc], 2 * code.src[pc], signed)) ? code.target[pc] : pc + 1;
}

function jumpIfSet(width: 32 | 64): Handler {
  return ({ regs, code }, pc) => {
    const d = 2 * code.dst[pc];
    const s = 2 * code.src[pc];
    const common = (regs[d] & regs[s]) | (width === 64 ? regs[d + 1] & regs[s + 1] : 0);
    return common !== 0 ? code.target[pc] : pc + 1;
  };
}

/** One that leads to what follows anyway decides nothing and uses nothing up: Linux takes it out (opt_remove_nops). */
function mayGoto(machine: Machine, pc: number): number {
  if (machine.code.off[pc] === 0) return pc + 1;
  if (machine.mayGoto === 0) {
    const { loopBudget } = machine.environment;
    machine.deadline = loopBudget.refill(machine.deadline);
    if (machine.deadline < 0) return machine.code.target[pc];
    machine.mayGoto = loopBudget.iterations;
  }
  machine.mayGoto--;
  return pc + 1;
}

/** The handler for a jumping code byte, or undefined when it is none. */
export function jumpHandler(code: number): Handler | undefined {
  const row = opcode(code);
  switch (row?.kind) {
    case 'jump':
      return row.op === 'jset' ? jumpIfSet(row.width) : jump(row.op, row.signed, row.width);
    case 'goto':
      return (machine, pc) => machine.code.target[pc];
    case 'may_goto':
      return mayGoto;
    default:
      return undefined;
  }
}
