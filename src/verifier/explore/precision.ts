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
import type { Reg } from '../state/reg.ts';
import type { HistoryEntry, State } from '../state/state.ts';

/**
 * Precision (Linux: mark_chain_precision). Scalars count as equal for pruning whatever their ranges, unless a check
 * relied on them. When one does, the way to the state is followed backwards, instruction by instruction, from the
 * register to those it was computed from, and in each checkpoint on the way they are marked precise.
 */

const ARGUMENTS = 0b111110;
const BPF_FUNC_TAIL_CALL = 12;

/** Registers and slots that are wanted, by frame. */
class Wanted {
  frame = 0;
  readonly regs = new Int32Array(8);
  readonly low = new Int32Array(8);
  readonly high = new Int32Array(8);

  get empty(): boolean {
    for (let i = 0; i <= this.frame; i++) if ((this.regs[i] | this.low[i] | this.high[i]) !== 0) return false;
    return true;
  }

  hasReg(reg: number, frame = this.frame): boolean {
    return (this.regs[frame] & (1 << reg)) !== 0;
  }

  addReg(reg: number, frame = this.frame): void {
    this.regs[frame] |= 1 << reg;
  }

  dropReg(reg: number, frame = this.frame): void {
    this.regs[frame] &= ~(1 << reg);
  }

  hasSlot(slot: number, frame: number): boolean {
    return ((slot < 32 ? this.low[frame] : this.high[frame]) & (1 << (slot & 31))) !== 0;
  }

  addSlot(slot: number, frame: number): void {
    (slot < 32 ? this.low : this.high)[frame] |= 1 << (slot & 31);
  }

  dropSlot(slot: number, frame: number): void {
    (slot < 32 ? this.low : this.high)[frame] &= ~(1 << (slot & 31));
  }

  /** Where one of some linked registers is wanted, all are. */
  sync(entry: HistoryEntry | undefined): void {
    if (entry === undefined || entry.linked.length === 0) return;
    const some = entry.linked.some((link) =>
      (link & 0x80) !== 0 ? this.hasSlot(link & 0x7f, link >> 8) : this.hasReg(link & 0x7f, link >> 8),
    );
    if (!some) return;
    for (const link of entry.linked) {
      if ((link & 0x80) !== 0) this.addSlot(link & 0x7f, link >> 8);
      else this.addReg(link & 0x7f, link >> 8);
    }
  }
}

/** The current value of a scalar register decides something: make it precise on the way here. */
export function markPrecise(env: Env, reg: number): void {
  if (env.reg(reg).kind !== 'scalar') return;
  const wanted = new Wanted();
  wanted.frame = env.state.depth;
  wanted.addReg(reg);
  walkBack(env, env.state, wanted);
}

/** The same for a scalar on the stack. */
export function markSlotPrecise(env: Env, frame: number, slot: number): void {
  const wanted = new Wanted();
  wanted.frame = env.state.depth;
  wanted.addSlot(slot, frame);
  walkBack(env, env.state, wanted);
}

/** What is precise in a checkpoint must be so in a state that was found equal to it. @returns whether that was new. */
export function propagatePrecision(env: Env, old: State, current: State): boolean {
  const wanted = new Wanted();
  wanted.frame = old.depth;
  old.frames.forEach((frame, number) => {
    frame.regs.forEach((reg, i) => {
      if (reg.kind === 'scalar' && reg.precise) wanted.addReg(i, number);
    });
    frame.stack.forEach((slot, i) => {
      if (slot?.isScalarSpill && slot.reg?.precise) wanted.addSlot(i, number);
    });
  });
  return wanted.empty ? false : walkBack(env, current, wanted);
}

/** Going on would need more than is known: everything on the way is made precise. */
export function markAllPrecise(state: State): boolean {
  let changed = false;
  for (let st = state.parent; st !== undefined; st = st.parent) changed = setPrecise(st, true) || changed;
  return changed;
}

/** A fresh checkpoint needs nothing of its scalars yet. */
export function forgetPrecision(state: State): void {
  setPrecise(state, false);
}

function setPrecise(state: State, precise: boolean): boolean {
  let changed = false;
  const mark = (reg: Reg) => {
    if (reg.kind !== 'scalar' || reg.precise === precise) return reg;
    changed = true;
    return reg.withPrecise(precise);
  };
  for (const frame of state.frames) {
    for (let i = 0; i < BPF_REG_10; i++) frame.regs[i] = mark(frame.regs[i]);
    frame.stack.forEach((slot, i) => {
      if (slot?.isScalarSpill && slot.reg !== undefined) frame.stack[i] = slot.withReg(mark(slot.reg));
    });
  }
  return changed;
}

/** Steps backwards can be followed, or not. */
const STUCK = false;

/** @returns whether a mark was made that was not there. */
function walkBack(env: Env, start: State, wanted: Wanted): boolean {
  let changed = false;
  let state: State = start;
  let last = start === env.state ? env.at : start.insn;
  // What is wanted is wanted before the instruction at hand.
  let skip = true;
  let after = -1;
  for (;;) {
    let entries = state.history.length;
    if (last < 0) {
      // Entry of a global function: its arguments are what the caller may pass.
      const { regs } = state.frames[0];
      for (let i = 0; i < BPF_REG_10; i++) if (wanted.hasReg(i, 0)) regs[i] = precise(regs[i]);
      return true;
    }
    for (let i = last; ; ) {
      if (skip) skip = false;
      else {
        const entry =
          entries > 0 && state.history[entries - 1].insn === i ? state.history[entries - 1] : undefined;
        if (stepBack(env, i, after, entry, wanted) === STUCK) return markAllPrecise(start) || changed;
      }
      if (wanted.empty) return changed;
      after = i;
      const previous = previousInsn(state, i, entries);
      if (previous === undefined) break;
      if (entries > 0 && state.history[entries - 1].insn === i) entries--;
      i = previous;
    }
    const { parent, firstInsn } = state;
    if (parent === undefined) break;
    for (let number = Math.min(wanted.frame, parent.depth); number >= 0; number--) {
      const frame = parent.frames[number];
      for (let i = 0; i < BPF_REG_10; i++) {
        if (!wanted.hasReg(i, number)) continue;
        const reg = frame.regs[i];
        if (reg.kind !== 'scalar' || reg.precise) wanted.dropReg(i, number);
        else {
          frame.regs[i] = reg.withPrecise(true);
          changed = true;
        }
      }
      for (let i = 0; i < 64; i++) {
        if (!wanted.hasSlot(i, number)) continue;
        const slot = frame.stack[i];
        if (!slot?.isScalarSpill || slot.reg === undefined || slot.reg.precise) wanted.dropSlot(i, number);
        else {
          frame.stack[i] = slot.withReg(slot.reg.withPrecise(true));
          changed = true;
        }
      }
    }
    if (wanted.empty) return changed;
    after = firstInsn;
    last = parent.lastInsn;
    state = parent;
  }
  return wanted.empty ? changed : markAllPrecise(start) || changed;
}

function precise(reg: Reg): Reg {
  return reg.kind === 'scalar' ? reg.withPrecise(true) : reg;
}

/** The instruction before `insn` on the way to a state, or undefined at the state's beginning. */
function previousInsn(state: State, insn: number, entries: number): number | undefined {
  const newest = entries > 0 ? state.history[entries - 1] : undefined;
  if (insn === state.firstInsn && (entries === 0 || (entries === 1 && newest?.insn === insn)))
    return undefined;
  return newest?.insn === insn ? newest.previous : insn - 1;
}

/** What must be precise before an instruction, given what must be after it. @returns STUCK when that cannot be told. */
function stepBack(
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
        wanted.addReg(dst);
        if (src !== BPF_REG_10) wanted.addReg(src);
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
