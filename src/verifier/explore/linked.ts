import type { Env } from '../env.ts';
import { alu } from '../scalar/alu.ts';
import { constant, zext32 } from '../scalar/scalar.ts';
import { ADD_CONST, ADD_CONST32 } from '../state/print.ts';
import type { Reg } from '../state/reg.ts';
import type { State } from '../state/state.ts';
import { linkedReg, linkedSlot } from './history.ts';

/**
 * Scalars that are copies of each other, or copies plus a constant, share an id: what a branch tells of one is told to
 * all (Linux: collect_linked_regs, sync_linked_regs).
 */

/** Links that one step of the history can hold; those beyond lose their id (Linux: LINKED_REGS_MAX). */
const MAX_LINKED = 6;

const baseId = (reg: Reg) => reg.id & ~ADD_CONST;

/** Adds all live registers, and slots, with this scalar's id to `found`. */
export function collectLinked(env: Env, state: State, id: number, found: number[]): void {
  const wanted = id & ~ADD_CONST;
  const take = (reg: Reg, link: number): Reg => {
    if (reg.kind !== 'scalar' || baseId(reg) !== wanted || reg.id === 0 || found.includes(link)) return reg;
    if (found.length === MAX_LINKED) return reg.untied();
    found.push(link);
    return reg;
  };
  for (let number = state.depth; number >= 0; number--) {
    const { regs, stack } = state.frames[number];
    const live = env.live[number === state.depth ? env.at : state.frames[number + 1].callsite];
    for (let i = 0; i < 10; i++) if ((live & (1 << i)) !== 0) regs[i] = take(regs[i], linkedReg(number, i));
    for (let i = 0; i < stack.length; i++) {
      const slot = stack[i];
      if (slot?.isSpill && slot.reg !== undefined)
        stack[i] = slot.withReg(take(slot.reg, linkedSlot(number, i)));
    }
  }
}

/** Tells all that are linked with `known` what is known of it. */
export function syncLinked(state: State, known: Reg, links: readonly number[]): void {
  for (const link of links) {
    const frame = state.frames[link >> 8];
    const index = link & 0x7f;
    if ((link & 0x80) === 0) frame.regs[index] = synced(frame.regs[index], known);
    else {
      const slot = frame.stack[index];
      if (slot?.isSpill && slot.reg !== undefined) frame.stack[index] = slot.withReg(synced(slot.reg, known));
    }
  }
}

function synced(reg: Reg, known: Reg): Reg {
  if (reg === known || reg.kind !== 'scalar' || baseId(reg) !== baseId(known)) return reg;
  const added = (reg.id | known.id) & ADD_CONST;
  // What holds of sums at one width does not at the other.
  if (added === ADD_CONST) return reg;
  if (added === 0 || reg.off === known.off) return known;
  const sum = alu('add', 64, known.scalar, constant(reg.off - known.off));
  return known.with({ scalar: added === ADD_CONST32 ? zext32(sum) : sum, id: reg.id, off: reg.off });
}
