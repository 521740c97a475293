import { formatXlated } from '../../isa/xlated.ts';
import type { Env } from '../env.ts';
import { frameText } from '../state/print.ts';
import type { State } from '../state/state.ts';
import { callName } from './narrate.ts';
import type { Wanted } from './wanted.ts';

/** What level 2 of the log says of going backwards for precision. Each line is Linux's. */

const all = () => true;

function regsText(wanted: Wanted, frame: number): string {
  const names: string[] = [];
  for (let i = 0; i < 11; i++) if (wanted.hasReg(i, frame)) names.push(`r${i}`);
  return names.join(',');
}

function slotsText(wanted: Wanted, frame: number, prefix = ''): string {
  const names: string[] = [];
  for (let i = 0; i < 64; i++) if (wanted.hasSlot(i, frame)) names.push(`${prefix}-${8 * (i + 1)}`);
  return names.join(',');
}

/** A walk from instruction `last` of a state back to its first. */
export function logWalk(env: Env, { frame }: Wanted, last: number, first: number, after: number): void {
  if (!env.log.all) return;
  env.say(`mark_precise: frame${frame}: last_idx ${last} first_idx ${first} subseq_idx ${after} `);
}

/** What is wanted before an instruction is looked at. */
export function logStep(env: Env, wanted: Wanted, at: number): void {
  // The second slot of a ld_imm64 is no instruction.
  if (!env.log.all || env.insns[at].code === 0) return;
  const { frame } = wanted;
  const text = formatXlated(env.insns, at, { callName: (insn) => callName(env, insn) });
  const from = `frame${frame}: regs=${regsText(wanted, frame)} stack=${slotsText(wanted, frame)}`;
  env.say(`mark_precise: ${from} before ${at}: ${text}`);
}

/** The state that the walk came to, and what is still wanted before it. */
export function logParent(env: Env, wanted: Wanted, state: State, number: number): void {
  if (!env.log.all) return;
  const from = `regs=${regsText(wanted, number)} stack=${slotsText(wanted, number)}`;
  const text = frameText(state, state.frames[number], all, all);
  env.say(`mark_precise: frame${number}: parent state ${from}: ${text}`);
}

/** What a state that was found equal needs precisely. */
export function logPropagation(env: Env, wanted: Wanted): void {
  if (!env.log.all) return;
  for (let frame = wanted.frame; frame >= 0; frame--) {
    const names = [regsText(wanted, frame), slotsText(wanted, frame, 'fp')].filter((each) => each !== '');
    if (names.length > 0) env.say(`frame ${frame}: propagating ${names.join(',')}`);
  }
}

/** The way back cannot be followed. */
export function logFallback(env: Env, frame: number): void {
  if (env.log.all) env.say(`mark_precise: frame${frame}: falling back to forcing all scalars precise`);
}

/** A scalar that is precise because of that. */
export function logForced(env: Env, frame: number, place: string): void {
  if (env.log.all) env.say(`force_precise: frame${frame}: forcing ${place} to be precise`);
}
