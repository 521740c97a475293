import type { Env } from '../env.ts';
import { type Frame, State } from '../state/state.ts';
import { exitComponent } from './loops.ts';

/** The paths that wait: pushed at branches, taken up newest first (Linux: push_stack, pop_stack). */

/** Linux: BPF_COMPLEXITY_LIMIT_JMP_SEQ. */
const MAX_PENDING = 8192;

/**
 * Another path goes on at `insn` with what is known now. @param code what Linux gives at this place when too many wait.
 * @returns its state, to be changed.
 */
export function pushBranch(
  env: Env,
  insn: number,
  previous: number,
  code: 'EFAULT' | 'ENOMEM' = 'ENOMEM',
): State {
  const state = env.state.copy();
  const { parent } = state;
  if (parent !== undefined) parent.branches++;
  env.pending.push({ state, insn, previous, logMark: env.log.mark() });
  if (env.pending.length > MAX_PENDING)
    throw env.reject(code, `The sequence of ${MAX_PENDING + 1} jumps is too complex.`);
  return state;
}

/** A function that runs later, on a stack of its own: nothing of the current path is left for it (Linux: push_async_cb). */
export function pushAsync(env: Env, insn: number, frame: Frame, sleepable: boolean): void {
  const state = new State([frame]);
  state.sleepable = sleepable;
  state.firstInsn = insn;
  env.pending.push({ state, insn, previous: env.at, logMark: env.log.mark() });
  if (env.pending.length > MAX_PENDING)
    throw env.reject('EFAULT', `The sequence of ${env.pending.length} jumps is too complex for async cb.`);
}

/** The current path has ended. @returns whether another was waiting and is current now. */
export function popBranch(env: Env): boolean {
  finishPath(env, env.state);
  const branch = env.pending.pop();
  if (branch === undefined) return false;
  env.state = branch.state;
  env.fresh = true;
  env.at = branch.insn;
  env.previous = branch.previous;
  if (!env.log.all) env.log.cutToMark(branch.logMark);
  return true;
}

/** Checkpoints learn that a path from them is finished; the last makes their knowledge complete. */
function finishPath(env: Env, path: State): void {
  for (let state: State | undefined = path; state !== undefined; state = state.parent) {
    state.branches--;
    if (state.branches > 0) return;
    exitComponent(env, state);
  }
}
