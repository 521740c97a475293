import { subprogramTarget } from '../../isa/instruction.ts';
import {
  atomicOperation,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_REG_10,
  opcode,
} from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';
import { isGlobal } from '../input.ts';
import { type HistoryEntry, STACK_DST, STACK_SRC } from '../state/state.ts';
import type { Wanted } from './wanted.ts';

/**
 * One instruction backwards (Linux: backtrack_insn): a register that is wanted behind it was computed from others before
 * it. Where that cannot be told the way back ends.
 */

const ARGUMENTS = 0b111110;
const BPF_FUNC_TAIL_CALL = 12;

/** Steps backwards can be followed, or not. */
export const STUCK = false;

/** What must be precise before an instruction, given what must be after it. @returns STUCK when that cannot be told. */
export function stepBack(
  env: Env,
  at: number,
  after: number,
  entry: HistoryEntry | undefined,
  wanted: Wanted,
): boolean {
  const insn = env.insns[at];
  const row = opcode(insn.code);
  if (row === undefined) return true;
  wanted.sync(entry);
  const { dst, src } = insn;
  switch (row.kind) {
    case 'alu':
      if (!wanted.hasReg(dst)) return true;
      if (row.op === 'mov') wanted.dropReg(dst);
      if (row.source === 'X' && src !== BPF_REG_10) wanted.addReg(src);
      break;
    case 'load':
      if (!loaded(wanted, dst, entry)) return true;
      break;
    case 'store':
      // A scalar that is stored through was a pointer before: a difference of pointers was wanted.
      if (wanted.hasReg(dst)) return STUCK;
      if (entry !== undefined && entry.frame >= 0 && wanted.hasSlot(entry.slot, entry.frame)) {
        wanted.dropSlot(entry.slot, entry.frame);
        if (row.source === 'X') wanted.addReg(src);
      }
      break;
    case 'atomic': {
      const operation = atomicOperation(insn.imm, row.size);
      if (operation?.op === 'load_acquire') {
        loaded(wanted, dst, entry);
        break;
      }
      if (wanted.hasReg(dst)) return STUCK;
      if (entry !== undefined && entry.frame >= 0) wanted.dropSlot(entry.slot, entry.frame);
      if (operation?.op === 'store_release' && entry !== undefined && entry.frame >= 0) wanted.addReg(src);
      else if (operation?.fetch) loaded(wanted, operation.op === 'cmpxchg' ? 0 : src, entry);
      break;
    }
    case 'ld_imm64':
      wanted.dropReg(dst);
      break;
    case 'ld_abs':
    case 'ld_ind':
      if (wanted.hasReg(0)) return STUCK;
      break;
    case 'jump':
      if (row.source === 'X' && (wanted.hasReg(dst) || wanted.hasReg(src))) {
        const stack = entry?.stackRegs ?? 0;
        if ((stack & STACK_DST) === 0) wanted.addReg(dst);
        if ((stack & STACK_SRC) === 0) wanted.addReg(src);
      }
      break;
    case 'call':
      return callBack(env, at, after, wanted);
    case 'exit':
      return exitBack(env, after, wanted);
    default:
      break;
  }
  wanted.sync(entry);
  return true;
}

function loaded(wanted: Wanted, reg: number, entry: HistoryEntry | undefined): boolean {
  if (!wanted.hasReg(reg)) return false;
  wanted.dropReg(reg);
  if (entry !== undefined && entry.frame >= 0) wanted.addSlot(entry.slot, entry.frame);
  return true;
}

function callBack(env: Env, at: number, after: number, wanted: Wanted): boolean {
  const insn = env.insns[at];
  if (insn.src === BPF_PSEUDO_CALL) {
    const target = subprogramTarget(insn, at);
    const callee = env.subprograms.find(({ start }) => start === target);
    if (callee !== undefined && isGlobal(env.program, callee)) {
      wanted.dropReg(0);
      return true;
    }
    return leaveCallee(env, wanted);
  }
  if (env.callKind(insn) === 'callback' && at !== after - 1) return leaveCallback(env, wanted);
  if (insn.src === BPF_PSEUDO_KFUNC_CALL && insn.imm === 0) return STUCK;
  wanted.dropReg(0);
  // An argument register that is still wanted has no source: a way that is not understood.
  if ((wanted.regs[wanted.frame] & ARGUMENTS) !== 0) return STUCK;
  const ended = insn.src === 0 && insn.imm === BPF_FUNC_TAIL_CALL && after !== at + 1;
  return ended ? enterCallee(wanted) : true;
}

/** Backwards out of a function that was called: into its caller. */
function leaveCallee(env: Env, wanted: Wanted): boolean {
  const { frame, regs } = wanted;
  requireNothing(env, wanted, 'static subprog');
  if (frame === 0) return STUCK;
  regs[frame - 1] |= regs[frame] & ARGUMENTS;
  regs[frame] = 0;
  wanted.frame--;
  return true;
}

/** Backwards out of a callback: its arguments come from the helper, not from the caller. */
function leaveCallback(env: Env, wanted: Wanted): boolean {
  requireNothing(env, wanted, 'callback');
  if (wanted.frame === 0) return STUCK;
  wanted.regs[wanted.frame] = 0;
  wanted.frame--;
  return true;
}

/**
 * Where a function begins, nothing but its arguments can be wanted. Linux does not see that a load by BPF_ABS ended a
 * function, wants there what its caller wanted, and refuses the program.
 */
function requireNothing(env: Env, { frame, regs, low, high }: Wanted, what: string): void {
  const others = regs[frame] & ~ARGUMENTS;
  if (others !== 0)
    throw env.reject('EFAULT', `verifier bug: ${what} unexpected regs ${others.toString(16)}`);
  if ((low[frame] | high[frame]) === 0) return;
  const slots = (BigInt(high[frame] >>> 0) << 32n) | BigInt(low[frame] >>> 0);
  throw env.reject('EFAULT', `verifier bug: ${what} leftover stack slots ${slots.toString(16)}`);
}

function enterCallee(wanted: Wanted): boolean {
  if (wanted.frame === 7) return STUCK;
  wanted.frame++;
  return true;
}

/** Backwards over an exit: into the function that was called. */
function exitBack(env: Env, after: number, wanted: Wanted): boolean {
  const before = after > 0 ? env.insns[after - 1] : undefined;
  const called =
    before !== undefined && opcode(before.code)?.kind === 'call' && before.src === BPF_PSEUDO_CALL;
  // A helper that calls back relies on arguments of its own between its rounds.
  if (called && (wanted.regs[wanted.frame] & ARGUMENTS) !== 0) return STUCK;
  const wantsResult = called && wanted.hasReg(0);
  wanted.dropReg(0);
  if (!enterCallee(wanted)) return STUCK;
  if (wantsResult) wanted.addReg(0);
  return true;
}
