import type { Env } from '../env.ts';
import { markStackRead, markStackWritten } from '../explore/stack-liveness.ts';
import { acquireReference, releaseReference } from '../state/references.ts';
import {
  type DynptrType,
  MAYBE_NULL,
  pointer,
  type Referent,
  type Reg,
  UNKNOWN_SCALAR,
} from '../state/reg.ts';
import { allBytes, DYNPTR, StackSlot } from '../state/slot.ts';
import type { Frame } from '../state/state.ts';
import { writeStack } from './stack.ts';
import { slotOf } from './stack-bounds.ts';

/**
 * Dynptrs on the stack (Linux: process_dynptr_func and mark_stack_slots_dynptr). A dynptr is two slots that only helpers
 * and kfuncs may write; slices of its memory end when it is overwritten, and with them whatever it had to give back when it
 * is released. The slot at the lower address is the dynptr's first.
 */

export type DynptrReferent = Extract<Referent, { kind: 'dynptr' }>;

/** What a dynptr argument must be. */
export interface DynptrRule {
  /** Absent: any. */
  readonly dynptr?: DynptrType;
  /** It is made here. */
  readonly uninit?: true;
  /** It stays as it is, though its memory may change. */
  readonly readOnly?: true;
}

/** Bytes of a dynptr. */
const DYNPTR_SIZE = 16;

const FULL = allBytes(DYNPTR);

/** Of dynptrs that must be given back. */
function isCounted(type: DynptrType): boolean {
  return type === 'ringbuf';
}

/**
 * The slot with the highest number of an object on the stack that a register points to (Linux: stack_obj_get_spi).
 * @param slots how many the object takes. @returns EINVAL where it cannot be there, which the log then says; ERANGE where
 * nothing has been written yet.
 */
export function stackObjectSlot(
  env: Env,
  { scalar, off: fixed, frame }: Reg,
  what: string,
  slots: number,
): number | 'EINVAL' | 'ERANGE' {
  if (!scalar.isConst()) {
    env.say(`${what} has to be at a constant offset`);
    return 'EINVAL';
  }
  const off = fixed + scalar.sminNumber();
  const slot = slotOf(off);
  if (off % 8 !== 0 || slot + 1 < slots) {
    env.say(`cannot pass in ${what} at an offset=${off}`);
    return 'EINVAL';
  }
  const { stack, subprog } = env.state.frames[frame];
  env.facts.noteStackEscape(subprog, -8 * (slot + 1), -8 * (slot + 1 - slots));
  return slot < stack.length ? slot : 'ERANGE';
}

/** The dynptr that a register is, or points to on the stack; undefined where none begins there. */
export function dynptrOf(env: Env, reg: Reg): { reg: Reg; of: DynptrReferent } | undefined {
  if (reg.kind === 'dynptr') return reg.of?.kind === 'dynptr' ? { reg, of: reg.of } : undefined;
  if (reg.kind !== 'fp' || !reg.scalar.isConst()) return undefined;
  const off = reg.off + reg.scalar.sminNumber();
  if (off % 8 !== 0) return undefined;
  const { stack } = env.state.frames[reg.frame];
  const slot = stack[slotOf(off)];
  const of = slot?.reg?.of;
  if (slot?.bytes !== FULL || slot.reg === undefined || of?.kind !== 'dynptr' || !of.first) return undefined;
  return { reg: slot.reg, of };
}

/**
 * Checks a dynptr argument, and makes the dynptr where the argument is one to be filled in. @param ref the reference that a
 * copy shares; 0 for a dynptr of its own.
 */
export function processDynptr(env: Env, number: number, rule: DynptrRule, ref = 0): void {
  const reg = env.reg(number);
  if (reg.kind !== 'fp' && reg.kind !== 'dynptr') {
    const expected = 'expected pointer to stack or const struct bpf_dynptr';
    throw env.reject('EINVAL', `arg#${number - 1} ${expected}`);
  }
  if (rule.uninit) {
    if (reg.kind === 'dynptr' || stackObjectSlot(env, reg, 'dynptr', 2) === 'EINVAL')
      throw env.reject('EINVAL', 'Dynptr has to be an uninitialized dynptr');
    for (let i = 0; i < DYNPTR_SIZE; i += 8) writeStack(env, number, reg.off + i, 8, -1);
    makeDynptr(env, reg, rule.dynptr ?? 'local', ref);
    return;
  }
  if (reg.kind === 'dynptr' && !rule.readOnly)
    throw env.reject('EINVAL', 'cannot pass pointer to const bpf_dynptr, the helper mutates it');
  if (reg.kind === 'fp') stackObjectSlot(env, reg, 'dynptr', 2);
  const found = dynptrOf(env, reg);
  if (found === undefined) throw env.reject('EINVAL', `Expected an initialized dynptr as arg #${number - 1}`);
  if (rule.dynptr !== undefined && found.of.type !== rule.dynptr)
    throw env.reject('EINVAL', `Expected a dynptr of type ${rule.dynptr} as arg #${number - 1}`);
  if (reg.kind === 'dynptr') return;
  const slot = slotOf(reg.off + reg.scalar.sminNumber());
  markStackRead(env, reg.frame, slot);
  markStackRead(env, reg.frame, slot - 1);
  env.scratchedSlots.add((reg.frame << 8) | slot);
}

/** Puts a dynptr where a register points to (Linux: mark_stack_slots_dynptr). */
function makeDynptr(env: Env, at: Reg, type: DynptrType, ref: number): void {
  const frame = env.state.frames[at.frame];
  const slot = slotOf(at.off + at.scalar.sminNumber());
  destroyDynptr(env, frame, slot);
  destroyDynptr(env, frame, slot - 1);
  const id = env.newId();
  const refId = !isCounted(type) ? 0 : ref !== 0 ? ref : acquireReference(env);
  const half = (first: boolean) =>
    new StackSlot(
      FULL,
      pointer('dynptr', { id, refId, of: { kind: 'dynptr', type, first, readOnly: false } }),
    );
  setSlot(env, frame, slot, half(true));
  setSlot(env, frame, slot - 1, half(false));
}

function setSlot(env: Env, frame: Frame, slot: number, content: StackSlot | undefined): void {
  frame.stack[slot] = content;
  markStackWritten(frame, slot);
  env.scratchedSlots.add((frame.number << 8) | slot);
}

/** A store reaches a slot: a dynptr there is one no more (Linux: destroy_if_dynptr_stack_slot). */
export function destroyDynptr(env: Env, frame: Frame, slot: number): void {
  const { stack } = frame;
  if (stack[slot]?.byte(0) !== DYNPTR) return;
  const of = stack[slot]?.reg?.of;
  const first = of?.kind === 'dynptr' && of.first ? slot : slot + 1;
  const dynptr = stack[first]?.reg;
  if (dynptr?.of?.kind === 'dynptr' && isCounted(dynptr.of.type))
    throw env.reject('EINVAL', 'cannot overwrite referenced dynptr');
  setSlot(env, frame, first, undefined);
  setSlot(env, frame, first - 1, undefined);
  const { id } = dynptr ?? { id: 0 };
  env.eachReg((reg) => (isSliceOf(reg, id) ? UNKNOWN_SCALAR : reg));
}

/** Slices of packets, and those that are only read, outlive the dynptr. */
function isSliceOf({ kind, flags, of }: Reg, id: number): boolean {
  if (kind !== 'mem' || of?.kind !== 'mem' || of.slice?.id !== id) return false;
  return (flags & ~MAYBE_NULL) === 0 && !of.slice.packet;
}

/** Gives back what the dynptr at register `number` holds; slices and copies of it end (Linux: unmark_stack_slots_dynptr). */
export function releaseDynptr(env: Env, number: number): void {
  const at = env.reg(number);
  const frame = env.state.frames[at.frame];
  const slot = slotOf(at.off + at.scalar.sminNumber());
  const dynptr = frame.stack[slot]?.reg;
  const end = (first: number) => {
    setSlot(env, frame, first, undefined);
    setSlot(env, frame, first - 1, undefined);
  };
  if (dynptr?.of?.kind !== 'dynptr' || !isCounted(dynptr.of.type)) {
    end(slot);
    return;
  }
  const { refId } = dynptr;
  releaseReference(env, refId);
  for (let i = 1; i < frame.stack.length; i++) {
    const reg = frame.stack[i]?.reg;
    if (reg?.of?.kind === 'dynptr' && reg.refId === refId && reg.of.first) end(i);
  }
}
