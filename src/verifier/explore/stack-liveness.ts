import type { Env } from '../env.ts';
import type { Frame, State } from '../state/state.ts';

/**
 * Which stack slots of a checkpoint are read later: a slot that nothing reads need not be equal for pruning. A read marks
 * every checkpoint on the way back to the write that it sees. (Linux did so until 6.17: mark_reg_read; its later form
 * gives the same verdicts.)
 */

const bit = (slot: number) => 1 << (slot & 31);

/** The whole slot was written: reads that follow do not see what was there before. */
export function markStackWritten(frame: Frame, slot: number): void {
  if (slot < 32) frame.writtenLow |= bit(slot);
  else frame.writtenHigh |= bit(slot);
}

export function markStackRead(env: Env, frame: number, slot: number): void {
  markReadFrom(env.state, frame, slot);
}

function markReadFrom(start: State, number: number, slot: number): boolean {
  let changed = false;
  for (let state = start; ; ) {
    const frame = state.frames[number];
    const written = slot < 32 ? frame.writtenLow : frame.writtenHigh;
    if ((written & bit(slot)) !== 0) return changed;
    const { parent } = state;
    const before = parent?.frames[number];
    if (parent === undefined || before === undefined || before.serial !== frame.serial) return changed;
    const read = slot < 32 ? before.readLow : before.readHigh;
    if ((read & bit(slot)) !== 0) return changed;
    if (slot < 32) before.readLow |= bit(slot);
    else before.readHigh |= bit(slot);
    parent.needs++;
    changed = true;
    state = parent;
  }
}

/** Whether a slot of a checkpoint is read later, as far as is known. */
export function isStackRead(frame: Frame, slot: number): boolean {
  return ((slot < 32 ? frame.readLow : frame.readHigh) & bit(slot)) !== 0;
}

/** What is read after a checkpoint is read after a state that was found equal to it. @returns whether that was new. */
export function propagateReads(old: State, current: State): boolean {
  let changed = false;
  old.frames.forEach((frame, number) => {
    for (let slot = 0; slot < frame.stack.length; slot++)
      if (isStackRead(frame, slot)) changed = markReadFrom(current, number, slot) || changed;
  });
  return changed;
}

/** The path goes on from a checkpoint that was just made: nothing is written since. */
export function startMarks(state: State): void {
  for (const frame of state.frames) {
    frame.writtenLow = 0;
    frame.writtenHigh = 0;
    frame.readLow = 0;
    frame.readHigh = 0;
  }
}
