import type { Env } from '../env.ts';
import { equal, UNKNOWN } from '../scalar/scalar.ts';
import { type Reg, scalarReg } from '../state/reg.ts';
import { type State, sameCalls } from '../state/state.ts';
import { Ids } from './ids.ts';

/**
 * Loops that end by budget, by an iterator or by a helper's count, not by values, need a state that all their rounds agree
 * on: scalars that changed since the last round, and whose value nothing relied on, are forgotten.
 */

/** The newest checkpoint at `insn` that the path of `state` came through, in the same calls (Linux: find_prev_entry). */
export function findEarlierVisit(env: Env, state: State, insn: number): State | undefined {
  return env
    .checkpointsAt(state, insn)
    .find((old) => old.branches > 0 && old.dfsDepth < state.dfsDepth && sameCalls(old, state));
}

/** Linux: widen_imprecise_scalars. */
export function widenAgainst(old: State, current: State): void {
  const ids = new Ids();
  const widen = (before: Reg | undefined, reg: Reg): Reg => {
    if (before === undefined || before.kind !== 'scalar' || reg.kind !== 'scalar') return reg;
    if (before.precise || reg.precise) return reg;
    const same = before.off === reg.off && equal(before.scalar, reg.scalar) && ids.same(before.id, reg.id);
    return same ? reg : scalarReg(UNKNOWN);
  };
  for (let number = old.depth; number >= 0; number--) {
    const before = old.frames[number];
    const { regs, stack } = current.frames[number];
    for (let i = 0; i < 10; i++) regs[i] = widen(before.regs[i], regs[i]);
    for (let i = 0; i < stack.length; i++) {
      const slot = stack[i];
      const earlier = before.stack[i];
      if (slot?.isSpill && slot.reg !== undefined && earlier?.isSpill)
        stack[i] = slot.withReg(widen(earlier.reg, slot.reg));
    }
  }
}
