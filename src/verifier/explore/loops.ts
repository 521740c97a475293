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

function findVisit(env: Env, state: State): ComponentVisit | undefined {
  const key = keyOf(env, state);
  return key === undefined ? undefined : env.visits.get(key);
}

/** A checkpoint was made. */
export function enterComponent(env: Env, state: State): void {
  const key = keyOf(env, state);
  if (key === undefined) return;
  const visit = env.visits.get(key);
  if (visit === undefined) {
    state.visit = { entry: state, backEdges: [] };
    env.visits.set(key, state.visit);
    return;
  }
  state.visit = visit;
  visit.entry ??= state;
}

/** All paths from a checkpoint have ended. */
export function exitComponent(env: Env, state: State): void {
  const visit = state.visit ?? findVisit(env, state);
  if (visit === undefined) requireVisit(env, state);
  if (visit === undefined || visit.entry !== state) return;
  visit.entry = undefined;
  for (let rounds = 0; visit.backEdges.length > 0; rounds++)
    if (!passNeeds(env, visit.backEdges, rounds > MAX_ROUNDS) || rounds > MAX_ROUNDS) break;
  visit.backEdges = [];
}

/** @param all whether everything is taken for needed. @returns whether something was passed on that was not known yet. */
function passNeeds(env: Env, backEdges: readonly State[], all: boolean): boolean {
  let changed = false;
  for (const edge of backEdges) {
    const { equal } = edge;
    if (equal === undefined) continue;
    // What was passed on once need not be again; the log tells of it all the same.
    const { needs } = equal;
    if (needs === edge.passed && !all && !env.log.all) continue;
    edge.passed = needs;
    if (all) markAllPrecise(env, edge);
    else changed = propagatePrecision(env, equal, edge) || changed;
    changed = propagateReads(equal, edge) || changed;
  }
  return changed;
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
export function addBackEdge(checkpoint: State, current: State): void {
  const { visit } = checkpoint;
  if (visit === undefined) return;
  current.equal = checkpoint;
  visit.backEdges.push(current);
}

/** Whether what a finished checkpoint needs may still grow, because its loop is not finished. */
export function isIncomplete({ visit }: State): boolean {
  return visit !== undefined && visit.backEdges.length > 0;
}
