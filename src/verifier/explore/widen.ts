import { equal, UNKNOWN } from '../scalar/scalar.ts';
import { type Reg, scalarReg } from '../state/reg.ts';
import type { State } from '../state/state.ts';

/**
 * Loops that end by budget, not by values, need a state that all their rounds agree on: scalars that changed since the
 * last round, and whose value nothing relied on, are forgotten (Linux: widen_imprecise_scalars).
 */
export function widenAgainst(old: State, current: State): void {
  const widen = (before: Reg | undefined, reg: Reg): Reg => {
    if (before === undefined || before.kind !== 'scalar' || reg.kind !== 'scalar') return reg;
    if (before.precise || reg.precise) return reg;
    return equal(before.scalar, reg.scalar) && before.id === reg.id ? reg : scalarReg(UNKNOWN);
  };
  for (let number = 0; number <= old.depth; number++) {
    const before = old.frames[number];
    const { regs, stack } = current.frames[number];
    for (let i = 0; i < 10; i++) regs[i] = widen(before.regs[i], regs[i]);
    for (let i = 0; i < stack.length; i++) {
      const slot = stack[i];
      const earlier = before.stack[i];
      if (slot?.isScalarSpill && slot.reg !== undefined && earlier?.isScalarSpill)
        stack[i] = slot.withReg(widen(earlier.reg, slot.reg));
    }
  }
}
