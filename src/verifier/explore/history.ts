import type { Env } from '../env.ts';
import type { HistoryEntry, State } from '../state/state.ts';

/**
 * The way to the current state: one entry a jump, and one a stack access or a branch that tied registers together
 * (Linux: struct bpf_jmp_history_entry). Going backwards for precision reads it.
 */

const NONE: readonly number[] = [];

/** What an entry may hold besides the place. */
type Noted = Partial<Omit<HistoryEntry, 'insn' | 'previous'>>;

/** Notes that the path passed here; with what a stack access reached, or what a comparison compared. */
export function pushHistory(env: Env, state: State, noted: Noted = {}): void {
  const { frame = -1, slot = -1, linked = NONE, stackRegs = 0 } = noted;
  const { history } = state;
  const last = history.at(-1);
  // An instruction that was noted already gains what is new (Linux: cur_hist_ent).
  if (last !== undefined && env.historyAt === history.length && last.insn === env.at) {
    history[history.length - 1] = {
      insn: last.insn,
      previous: last.previous,
      frame: frame >= 0 ? frame : last.frame,
      slot: frame >= 0 ? slot : last.slot,
      linked: linked.length > 0 ? linked : last.linked,
      stackRegs: last.stackRegs | stackRegs,
    };
    return;
  }
  history.push({ insn: env.at, previous: env.previous, frame, slot, linked, stackRegs });
  env.historyAt = history.length;
}

/** Bits of a linked register or slot: frame, whether it is a slot, number (Linux: linked_regs_pack). */
export function linkedReg(frame: number, reg: number): number {
  return (frame << 8) | reg;
}

export function linkedSlot(frame: number, slot: number): number {
  return (frame << 8) | 0x80 | slot;
}
