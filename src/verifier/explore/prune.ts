import { opcode } from '../../isa/opcodes.ts';
import { type Env, Rejection } from '../env.ts';
import { isIteratorActive, iteratorsDiffer } from '../memory/iterator.ts';
import { equal } from '../scalar/scalar.ts';
import { frameText } from '../state/print.ts';
import { type Reg, sameReferent } from '../state/reg.ts';
import type { State } from '../state/state.ts';
import { type Exactness, statesEqual } from './equal.ts';
import { pushHistory } from './history.ts';
import { addBackEdge, enterComponent, isIncomplete } from './loops.ts';
import { forgetPrecision, propagatePrecision } from './precision.ts';
import { propagateReads, startMarks } from './stack-liveness.ts';

/**
 * Checkpoints (Linux: is_state_visited). A path that arrives with nothing new ends here; one that comes back to the very
 * state it was in will never end; others may leave a copy for those that come later.
 */

/** A path's history may not grow without bounds. */
const MAX_HISTORY = 40;

const BPF_F_TEST_STATE_FREQ = 1 << 3;

/** @returns whether the path need not be followed further. */
export function isVisited(env: Env): boolean {
  const { state, at } = env;
  const { checkpoint } = env.points;
  const force =
    checkpoint[at] === 1 ||
    state.history.length > MAX_HISTORY ||
    ((env.program.flags ?? 0) & BPF_F_TEST_STATE_FREQ) !== 0;
  let add =
    force ||
    (env.jumpsProcessed - env.jumpsAtCheckpoint >= 2 && env.processed - env.processedAtCheckpoint >= 8);
  state.insn = at;
  const states = env.checkpointsAt(state, at);
  let count = 0;
  for (let i = 0; i < states.length; i++) {
    const old = states[i];
    count++;
    if (old.branches > 0) {
      const found = meetsItself(env, old, state);
      if (found) return pruned(env, old, true);
      if (
        !force &&
        env.jumpsProcessed - env.jumpsAtCheckpoint < 20 &&
        env.processed - env.processedAtCheckpoint < 100
      )
        add = false;
    } else {
      const loop = isIncomplete(old);
      const all = loop || env.program.observation?.exactPruning === true;
      const exactness: Exactness = all ? 'ranges' : 'relaxed';
      if (statesEqual(env, old, state, exactness)) return pruned(env, old, loop);
    }
    if (add) old.misses++;
    // A state that never helps only costs time.
    const patience = checkpoint[at] === 1 && old.branches > 0 ? 64 : 3;
    if (old.misses > old.hits * patience + patience) states.splice(i--, 1);
  }
  if (count > env.maxStatesPerInsn) env.maxStatesPerInsn = count;
  if (add) addCheckpoint(env, states);
  return false;
}

/**
 * The path is inside the loop that began at `old`, whose needs are not known yet: what it may do is compared as ranges.
 *
 * @returns whether going round again would add nothing.
 */
function meetsItself(env: Env, old: State, state: State): boolean {
  const { role, asyncEntries } = old.frame;
  // Another entry into a callback that runs later is no round of a loop.
  if (role === 'async' && asyncEntries !== state.frame.asyncEntries) return false;
  const insn = env.insns[env.at];
  switch (env.callKind(insn)) {
    case 'iter_next':
      // An iterator that is not drained will be in the end.
      return isIteratorActive(state) && statesEqual(env, old, state, 'ranges');
    case 'callback':
      return statesEqual(env, old, state, 'ranges');
    default:
  }
  if (opcode(insn.code)?.kind === 'may_goto') {
    if (old.mayGotoDepth !== state.mayGotoDepth && statesEqual(env, old, state, 'ranges')) return true;
  }
  if (
    mayLoop(old, state) &&
    statesEqual(env, old, state, 'exact') &&
    !iteratorsDiffer(old, state) &&
    old.mayGotoDepth === state.mayGotoDepth &&
    old.callbackUnrollDepth === state.callbackUnrollDepth
  ) {
    const problem = `infinite loop detected at insn ${env.at}`;
    env.say(problem);
    env.say(`cur state:${allText(state)}`);
    env.say(`old state:${allText(old)}`);
    throw new Rejection('EINVAL', problem, env.at);
  }
  return false;
}

function allText(state: State): string {
  const all = () => true;
  return frameText(state, state.frame, all, all);
}

/** Whether no register of the function has changed, dead ones and ids included (Linux: states_maybe_looping). */
function mayLoop(old: State, state: State): boolean {
  if (old.depth !== state.depth) return false;
  const a = old.frame.regs;
  const b = state.frame.regs;
  return a.every((reg, i) => isUnchanged(reg, b[i]));
}

function isUnchanged(a: Reg, b: Reg): boolean {
  return (
    a === b ||
    (a.kind === b.kind &&
      a.off === b.off &&
      a.flags === b.flags &&
      a.id === b.id &&
      a.refId === b.refId &&
      a.range === b.range &&
      sameReferent(a.of, b.of) &&
      equal(a.scalar, b.scalar))
  );
}

/** What the earlier state's paths relied on, this path's way relies on too. */
function pruned(env: Env, old: State, loop: boolean): boolean {
  const { state } = env;
  old.hits++;
  if (env.points.jump[env.at] === 1) pushHistory(env, state);
  propagateReads(old, state);
  propagatePrecision(env, old, state);
  if (loop) addBackEdge(old, state);
  return true;
}

function addCheckpoint(env: Env, states: State[]): void {
  const { state, at } = env;
  env.totalStates++;
  env.jumpsAtCheckpoint = env.jumpsProcessed;
  env.processedAtCheckpoint = env.processed;
  forgetPrecision(state);
  const kept = state.copy();
  for (const frame of kept.frames) {
    frame.readLow = 0;
    frame.readHigh = 0;
  }
  kept.insn = at;
  enterComponent(env, kept);
  state.parent = kept;
  state.firstInsn = at;
  state.dfsDepth = kept.dfsDepth + 1;
  state.history = [];
  env.historyAt = -1;
  startMarks(state);
  states.unshift(kept);
}
