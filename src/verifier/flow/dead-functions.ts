import { isLdImm64, slots } from '../../isa/instruction.ts';
import { subprogramOf } from '../calls/call-kinds.ts';
import type { Env } from '../env.ts';

/**
 * Linux takes out what no path reaches, and with it functions that are never called. An address of one that is still taken
 * then points at what moved to its place: where that is no function, Linux refuses the program as a fault of its own
 * (opt_remove_dead_code, jit_subprogs). Programs of one function are spared, as nothing is looked up there.
 */
export function checkDeadFunctions(env: Env): void {
  const { insns, subprograms, facts } = env;
  const isDead = ({ start }: { start: number }) => facts.seen[start] === 0;
  if (!subprograms.some(isDead)) return;
  const runs = deadRuns(env);
  let throws = false;
  const taken: number[] = [];
  for (let at = 0; at < insns.length; at += slots(insns[at])) {
    if (facts.seen[at] === 0) continue;
    throws ||= env.callKind(insns[at]) === 'throw';
    if (!isLdImm64(insns[at])) continue;
    const callee = subprograms[subprogramOf(subprograms, insns[at], at)];
    if (callee !== undefined && isDead(callee)) taken.push(callee.start);
  }
  const places = new Set(subprograms.filter((each) => !isDead(each)).map(({ start }) => moved(runs, start)));
  // What ends the program where nothing handles an exception is a function, too; what pointed at its place moves on.
  const ender = throws && env.exceptionCallback === undefined ? 1 : 0;
  if (places.size + ender <= 1) return;
  const lost = taken.map((start) => moved(runs, start)).find((place) => !places.has(place));
  if (lost === undefined) return;
  throw env.reject('EFAULT', `verifier bug: No program to jit at insn ${lost} (subprog < 0)`, undefined);
}

/** Runs of slots that no path reaches, as first slot and length, in ascending order. */
function deadRuns({ insns, facts }: Env): (readonly [start: number, count: number])[] {
  const runs: (readonly [number, number])[] = [];
  for (let at = 0; at < insns.length; ) {
    const start = at;
    while (at < insns.length && facts.seen[at] === 0) at += slots(insns[at]);
    if (at > start) runs.push([start, at - start]);
    else at += slots(insns[at]);
  }
  return runs;
}

/** Where a slot's number leads once the runs are taken out, one by one; what is in one of them stays as it is. */
function moved(runs: readonly (readonly [start: number, count: number])[], slot: number): number {
  let place = slot;
  let removed = 0;
  for (const [start, count] of runs) {
    if (place >= start - removed + count) place -= count;
    removed += count;
  }
  return place;
}
