import { BPF_REG_10 } from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';
import type { Reg } from '../state/reg.ts';
import type { State } from '../state/state.ts';
import { STUCK, stepBack } from './backtrack.ts';
import { logFallback, logForced, logParent, logPropagation, logStep, logWalk } from './narrate-precision.ts';
import { Wanted } from './wanted.ts';

/**
 * Precision (Linux: mark_chain_precision). Scalars count as equal for pruning whatever their ranges, unless a check
 * relied on them. When one does, the way to the state is followed backwards, instruction by instruction, from the
 * register to those it was computed from, and in each checkpoint on the way they are marked precise.
 */

/** One walk is over before the next begins. */
const WANTED = new Wanted();

/** The current value of a scalar register decides something: make it precise on the way here. */
export function markPrecise(env: Env, reg: number): void {
  if (env.reg(reg).kind !== 'scalar') return;
  const wanted = WANTED.reset(env.state.depth);
  wanted.addReg(reg);
  walkBack(env, env.state, wanted);
}

/** The same for a scalar on the stack. */
export function markSlotPrecise(env: Env, frame: number, slot: number): void {
  const wanted = WANTED.reset(env.state.depth);
  wanted.addSlot(slot, frame);
  walkBack(env, env.state, wanted);
}

/** What is precise in a checkpoint must be so in a state that was found equal to it. @returns whether that was new. */
export function propagatePrecision(env: Env, old: State, current: State): boolean {
  const wanted = WANTED.reset(old.depth);
  for (let number = 0; number < old.frames.length; number++) {
    const { regs, stack } = old.frames[number];
    for (let i = 0; i < regs.length; i++)
      if (regs[i].precise && regs[i].kind === 'scalar') wanted.addReg(i, number);
    for (let i = 0; i < stack.length; i++) {
      const slot = stack[i];
      if (slot?.reg?.precise && slot.isScalarSpill) wanted.addSlot(i, number);
    }
  }
  if (wanted.empty) return false;
  logPropagation(env, wanted);
  return walkBack(env, current, wanted);
}

/** Going on would need more than is known: everything on the way is made precise. */
export function markAllPrecise(env: Env, state: State): boolean {
  let changed = false;
  logFallback(env, state.depth);
  for (let st = state.parent; st !== undefined; st = st.parent) {
    changed = setPrecise(st, true, (frame, place) => logForced(env, frame, place)) || changed;
  }
  return changed;
}

/** A fresh checkpoint needs nothing of its scalars yet. */
export function forgetPrecision(state: State): void {
  setPrecise(state, false);
}

/** @param note is told of each change: the frame, and `r3` or `fp-8`. */
function setPrecise(state: State, precise: boolean, note?: (frame: number, place: string) => void): boolean {
  let changed = false;
  const mark = (reg: Reg, frame: number, index: number, slot: boolean) => {
    if (reg.kind !== 'scalar' || reg.precise === precise) return reg;
    changed = true;
    note?.(frame, slot ? `fp${-8 * (index + 1)}` : `r${index}`);
    return reg.withPrecise(precise);
  };
  for (const { number, regs, stack } of state.frames) {
    for (let i = 0; i < BPF_REG_10; i++) regs[i] = mark(regs[i], number, i, false);
    stack.forEach((slot, i) => {
      if (slot?.isScalarSpill && slot.reg !== undefined)
        stack[i] = slot.withReg(mark(slot.reg, number, i, true));
    });
  }
  if (changed) state.needs++;
  return changed;
}

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
    logWalk(env, wanted, last, state.firstInsn, after);
    if (last < 0) {
      // Entry of a global function: its arguments are what the caller may pass.
      const { regs } = state.frames[0];
      for (let i = 0; i < BPF_REG_10; i++) if (wanted.hasReg(i, 0)) regs[i] = precise(regs[i]);
      state.needs++;
      return true;
    }
    for (let i = last; ; ) {
      if (skip) skip = false;
      else {
        const entry =
          entries > 0 && state.history[entries - 1].insn === i ? state.history[entries - 1] : undefined;
        logStep(env, wanted, i);
        if (stepBack(env, i, after, entry, wanted) === STUCK) return markAllPrecise(env, start) || changed;
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
      for (let i = 0; i < BPF_REG_10 && wanted.regs[number] !== 0; i++) {
        if (!wanted.hasReg(i, number)) continue;
        const reg = frame.regs[i];
        if (reg.kind !== 'scalar' || reg.precise) wanted.dropReg(i, number);
        else {
          frame.regs[i] = reg.withPrecise(true);
          parent.needs++;
          changed = true;
        }
      }
      for (let i = 0; i < 64 && (wanted.low[number] | wanted.high[number]) !== 0; i++) {
        if (!wanted.hasSlot(i, number)) continue;
        const slot = frame.stack[i];
        if (!slot?.isScalarSpill || slot.reg === undefined || slot.reg.precise) wanted.dropSlot(i, number);
        else {
          frame.stack[i] = slot.withReg(slot.reg.withPrecise(true));
          parent.needs++;
          changed = true;
        }
      }
      logParent(env, wanted, parent, number);
    }
    if (wanted.empty) return changed;
    after = firstInsn;
    last = parent.lastInsn;
    state = parent;
  }
  return wanted.empty ? changed : markAllPrecise(env, start) || changed;
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
