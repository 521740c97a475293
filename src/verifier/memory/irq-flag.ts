import type { Env } from '../env.ts';
import { markStackRead, markStackWritten } from '../explore/stack-liveness.ts';
import { pointer } from '../state/reg.ts';
import { allBytes, IRQ_FLAG, StackSlot } from '../state/slot.ts';
import { checkAccess } from './access.ts';
import { slotOf } from './stack-bounds.ts';

/**
 * The eight bytes of stack in which a program keeps the interrupt state that it saved (Linux: process_irq_flag). States
 * are restored in the reverse order, by the kind of kfunc that saved them.
 */

export type IrqFamily = 'native' | 'lock';

const FULL = allBytes(IRQ_FLAG);

/** The slot behind a register; a number of Linux's where there is none. */
function flagSlot(env: Env, number: number): number | undefined {
  const reg = env.reg(number);
  if (!reg.scalar.isConst()) {
    env.say('irq_flag has to be at a constant offset');
    return undefined;
  }
  const off = reg.off + reg.scalar.sminNumber();
  if (off % 8 === 0 && off < 0) return slotOf(off);
  env.say(`cannot pass in irq_flag at an offset=${off}`);
  return undefined;
}

export function saveIrqFlag(env: Env, number: number, family: IrqFamily): void {
  const slot = flagSlot(env, number);
  const { frame: frameNumber } = env.reg(number);
  const frame = env.state.frames[frameNumber];
  const taken = slot === undefined ? undefined : frame.stack[slot];
  const inUse = taken !== undefined && [0, 1, 2, 3, 4, 5, 6, 7].some((i) => taken.byte(i) === IRQ_FLAG);
  if (slot === undefined || inUse)
    throw env.reject('EINVAL', `expected uninitialized irq flag as arg#${number - 1}`);
  checkAccess(env, { access: 'write', base: number, off: 0, size: 8, value: -1 });
  const id = env.newId();
  env.state.held = [...env.state.held, { type: 'irq', id, insn: env.at }];
  env.state.irqId = id;
  frame.stack[slot] = new StackSlot(FULL, pointer('irq', { refId: id, of: { kind: 'irq', family } }));
  markStackWritten(frame, slot);
  env.scratchedSlots.add((frameNumber << 8) | slot);
}

export function restoreIrqFlag(env: Env, number: number, family: IrqFamily): void {
  const slot = flagSlot(env, number);
  const { frame: frameNumber } = env.reg(number);
  const frame = env.state.frames[frameNumber];
  const flag = slot === undefined ? undefined : frame.stack[slot];
  const of = flag?.reg?.of;
  if (slot === undefined || flag?.bytes !== FULL || of?.kind !== 'irq')
    throw env.reject('EINVAL', `expected an initialized irq flag as arg#${number - 1}`);
  markStackRead(env, frameNumber, slot);
  if (of.family !== family) {
    const how = `acquired by ${of.family} kfuncs cannot be restored with ${family} kfuncs`;
    throw env.reject('EINVAL', `irq flag ${how}`);
  }
  release(env, flag.reg?.refId ?? 0);
  frame.stack[slot] = new StackSlot(0, undefined);
  markStackWritten(frame, slot);
  env.scratchedSlots.add((frameNumber << 8) | slot);
}

/** Linux: release_irq_state. */
function release(env: Env, id: number): void {
  const { state } = env;
  if (id !== state.irqId) {
    const newest = state.held.find((held) => held.id === state.irqId);
    const expected = `expected id=${state.irqId} acquired at insn_idx=${newest?.insn ?? 0}`;
    throw env.reject('EACCES', `cannot restore irq state out of order, ${expected}`);
  }
  state.held = state.held.filter((held) => held.type !== 'irq' || held.id !== id);
  state.irqId = state.held.findLast(({ type }) => type === 'irq')?.id ?? 0;
}
