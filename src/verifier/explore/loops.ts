import type { Env } from '../env.ts';
import type { State } from '../state/state.ts';
import { markAllPrecise, propagatePrecision } from './precision.ts';
import { propagateReads } from './stack-liveness.ts';

/**
 * States that were found equal inside a loop (Linux: struct bpf_scc_visit). While a loop is being explored, what its
 * checkpoints need is not known in full; so a path that is cut off there is kept, and when the whole loop has been seen,
 * needs are passed along these back edges until nothing changes.
 */
export interface ComponentVisit {
  entry: State | undefined;
  backEdges: State[];
}

/** Rounds after which everything is taken for needed (Linux: MAX_BACKEDGE_ITERS). */
const MAX_ROUNDS = 64;

/** Names the loop that a state is in, by the calls that lead to it; undefined outside loops. */
function keyOf(env: Env, state: State): string | undefined {
  let key = '';
  for (let i = 0; i <= state.depth; i++) {
    const insn = i === state.depth ? state.insn : state.frames[i + 1].callsite;
    const component = env.loops[insn] ?? 0;
    if (component !== 0) return `${key}#${component}`;
    key += `${insn},`;
  }
  return undefined;
}

/** A checkpoint was made. */
export function enterComponent(env: Env, state: State): void {
  const key = keyOf(env, state);
  if (key === undefined) return;
  const visit = env.visits.get(key);
  if (visit === undefined) env.visits.set(key, { entry: state, backEdges: [] });
  else visit.entry ??= state;
}

/** All paths from a checkpoint have ended. */
export function exitComponent(env: Env, state: State): void {
  const key = keyOf(env, state);
  const visit = key === undefined ? undefined : env.visits.get(key);
  if (visit === undefined) requireVisit(env, state);
  if (visit === undefined || visit.entry !== state) return;
  visit.entry = undefined;
  const { backEdges } = visit;
  let rounds = 0;
  for (let changed = backEdges.length > 0; changed; ) {
    changed = false;
    for (const edge of backEdges) {
      const { equal } = edge;
      if (equal === undefined) continue;
      if (rounds > MAX_ROUNDS) markAllPrecise(env, edge);
      else changed = propagatePrecision(env, equal, edge) || changed;
      changed = propagateReads(equal, edge) || changed;
    }
    if (rounds++ > MAX_ROUNDS) break;
  }
  visit.backEdges = [];
}

/** Linux refuses programs of which a path ends inside a loop before it made a checkpoint there: by an exception. */
function requireVisit(env: Env, state: State): void {
  const calls: number[] = [];
  for (let i = 0; i <= state.depth; i++) {
    const insn = i === state.depth ? state.insn : state.frames[i + 1].callsite;
    const component = env.components[insn] ?? 0;
    if (component !== 0) {
      const chain = [...calls, component].join(',');
      throw env.reject('EFAULT', `verifier bug: scc exit: no visit info for call chain (${chain})`);
    }
    calls.push(insn);
  }
}

/** A path ends here because its state equals a checkpoint whose loop is not finished. */
export function addBackEdge(env: Env, checkpoint: State, current: State): void {
  const key = keyOf(env, checkpoint);
  if (key === undefined) return;
  const visit = env.visits.get(key);
  if (visit === undefined) return;
  const edge = current.copy();
  edge.equal = checkpoint;
  edge.insn = checkpoint.insn;
  visit.backEdges.push(edge);
}

/** Whether what a finished checkpoint needs may still grow, because its loop is not finished. */
export function isIncomplete(env: Env, checkpoint: State): boolean {
  const key = keyOf(env, checkpoint);
  return key !== undefined && (env.visits.get(key)?.backEdges.length ?? 0) > 0;
}
