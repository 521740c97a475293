import type { Btf } from '../../btf/index.ts';
import type { Env } from '../env.ts';
import { pushBranch } from '../explore/branches.ts';
import { markStackRead, markStackWritten } from '../explore/stack-liveness.ts';
import { findEarlierVisit, widenAgainst } from '../explore/widen.ts';
import { acquireReference, releaseReference } from '../state/references.ts';
import { MAYBE_NULL, MEM_RCU, PTR_UNTRUSTED, pointer, type Reg, ZERO_SCALAR } from '../state/reg.ts';
import { allBytes, ITER, StackSlot } from '../state/slot.ts';
import type { Frame, State } from '../state/state.ts';
import { checkAccess } from './access.ts';
import { slotOf } from './stack-bounds.ts';

/**
 * Open-coded iterators: a structure on the stack that `new` fills, `next` steps and `destroy` gives back (Linux:
 * process_iter_arg, process_iter_next_call). A `next` may always be the last, and always not; that it is the last some time
 * is the iterator's promise, so a loop over it is explored only until its state repeats.
 */

/** What a kfunc does with its iterator; `use` takes an initialised one without stepping it. */
export type IteratorUse = 'new' | 'next' | 'destroy' | 'use';

/** The iterator structure of an argument's type: `struct bpf_iter_num`. */
export interface IteratorType {
  readonly btf: Btf;
  readonly id: number;
}

/** How protected an iterator's elements are: 0 ordinary, by RCU, or by RCU outside of a section. */
export type IteratorGuard = 0 | typeof MEM_RCU | typeof PTR_UNTRUSTED;

/** Where the iterator is: needed to step it once the call's result is known. */
export interface IteratorPlace {
  readonly frame: number;
  /** Of its first eight bytes, the lowest. */
  readonly slot: number;
  readonly refId: number;
}

const ALL_ITER = allBytes(ITER);

function nameOf({ btf, id }: IteratorType): string {
  return `iter_${btf.nameOf(id).replace(/^bpf_iter_/, '')}`;
}

/**
 * Checks the argument in register `number`, and makes or ends the iterator.
 *
 * @param kfunc the kfunc's name.
 * @param guard of a new iterator whose elements RCU protects.
 */
export function checkIteratorArgument(
  env: Env,
  number: number,
  type: IteratorType,
  use: IteratorUse,
  kfunc: string,
  guard: IteratorGuard = 0,
): IteratorPlace {
  const reg = env.reg(number);
  const arg = `arg #${number - 1}`;
  if (reg.kind !== 'fp')
    throw env.reject('EINVAL', `arg#${number - 1} expected pointer to an iterator on stack`);
  const slots = Math.floor(type.btf.sizeOf(type.id) / 8);
  if (use === 'new') {
    const slot = placeOf(env, reg, slots);
    if (slot === undefined || overlaps(env, reg, slot, slots))
      throw env.reject('EINVAL', `expected uninitialized ${nameOf(type)} as ${arg}`);
    return create(env, number, type, slots, guard);
  }
  const slot = placeOf(env, reg, slots);
  const { stack } = env.state.frames[reg.frame];
  if (slot !== undefined && isUntrusted(stack[slot]))
    throw env.reject('EPROTO', `expected an RCU CS when using ${kfunc}`);
  // At the frame's top Linux takes the iterator below it, and the call reads beyond the stack: refused here.
  const top = reg.off + reg.scalar.sminNumber() >= 0;
  if (slot === undefined || top || !isInitialized(env, reg, slot, slots, type))
    throw env.reject('EINVAL', `expected an initialized ${nameOf(type)} as ${arg}`);
  for (let i = 0; i < slots; i++) {
    markStackRead(env, reg.frame, slot - i);
    env.scratchedSlots.add((reg.frame << 8) | (slot - i));
  }
  const refId = stack[slot]?.reg?.refId ?? 0;
  if (use === 'destroy') destroy(env, reg, slot, slots);
  return { frame: reg.frame, slot, refId };
}

/** The iterator's first slot; undefined where the pointer cannot be one to an iterator (Linux: iter_get_spi). */
function placeOf(env: Env, reg: Reg, slots: number): number | undefined {
  if (!reg.scalar.isConst()) {
    env.say('iter has to be at a constant offset');
    return undefined;
  }
  const off = reg.off + reg.scalar.sminNumber();
  // Linux divides towards zero: the frame's top, which is no slot, counts as the first one, and the store there fails.
  const slot = Math.trunc((-off - 1) / 8);
  env.facts.noteStackEscape(env.state.frames[reg.frame].subprog, off, off + 8 * slots);
  if (off % 8 === 0 && slot + 1 >= slots) return slot;
  env.say(`cannot pass in iter at an offset=${off}`);
  return undefined;
}

function overlaps(env: Env, reg: Reg, slot: number, slots: number): boolean {
  const { stack } = env.state.frames[reg.frame];
  for (let i = 0; i < slots; i++)
    for (let byte = 0; byte < 8; byte++) if (stack[slot - i]?.byte(byte) === ITER) return true;
  return false;
}

function isUntrusted(slot: StackSlot | undefined): boolean {
  return slot?.byte(7) === ITER && (slot.reg?.has(PTR_UNTRUSTED) ?? false);
}

function isInitialized(env: Env, reg: Reg, slot: number, slots: number, type: IteratorType): boolean {
  const { stack } = env.state.frames[reg.frame];
  for (let i = 0; i < slots; i++) {
    const each = stack[slot - i];
    const of = each?.reg?.of;
    if (each === undefined || each.bytes !== ALL_ITER || of?.kind !== 'iter') return false;
    // The first slot alone holds the reference.
    if ((i === 0) !== (each.reg?.refId !== 0)) return false;
    if (of.btf !== type.btf || of.id !== type.id) return false;
  }
  return true;
}

/** Linux: mark_stack_slots_iter. */
function create(
  env: Env,
  number: number,
  { btf, id }: IteratorType,
  slots: number,
  guard: IteratorGuard,
): IteratorPlace {
  for (let i = 0; i < slots; i++)
    checkAccess(env, { access: 'write', base: number, off: i * 8, size: 8, value: -1 });
  const reg = env.reg(number);
  const frame = env.state.frames[reg.frame];
  const slot = slotOf(reg.off + reg.scalar.sminNumber());
  const refId = acquireReference(env);
  for (let i = 0; i < slots; i++) {
    const of = { kind: 'iter', btf, id, state: 'active', depth: 0 } as const;
    const held = pointer('iter', { of, flags: guard, refId: i === 0 ? refId : 0 });
    frame.stack[slot - i] = new StackSlot(ALL_ITER, held);
    markStackWritten(frame, slot - i);
    env.scratchedSlots.add((frame.number << 8) | (slot - i));
  }
  return { frame: frame.number, slot, refId };
}

/** Linux: unmark_stack_slots_iter. */
function destroy(env: Env, reg: Reg, slot: number, slots: number): void {
  const frame = env.state.frames[reg.frame];
  releaseReference(env, frame.stack[slot]?.reg?.refId ?? 0);
  for (let i = 0; i < slots; i++) {
    frame.stack[slot - i] = new StackSlot(0, undefined);
    markStackWritten(frame, slot - i);
    env.scratchedSlots.add((frame.number << 8) | (slot - i));
  }
}

/**
 * The call steps an iterator; r0 holds the pointer-or-NULL that it returns. Two paths go on: the current one drained, with
 * NULL, and one where it goes on.
 */
export function stepIterator(env: Env, { frame, slot }: IteratorPlace): void {
  const { state } = env;
  if (iteratorAt(state.frames[frame], slot)?.state === 'active') {
    const { parent } = state;
    const earlier = parent && findEarlierVisit(env, parent, env.at);
    const queued = pushBranch(env, env.at + 1, env.at);
    changeIterator(queued.frames[frame], slot, (of) => ({ ...of, depth: of.depth + 1 }));
    if (earlier !== undefined) widenAgainst(earlier, queued);
    const { regs } = queued.frame;
    regs[0] = regs[0].with({ flags: regs[0].flags & ~MAYBE_NULL });
  }
  changeIterator(state.frames[frame], slot, (of) => ({ ...of, state: 'drained' }));
  env.scratchedSlots.add((frame << 8) | slot);
  env.setReg(0, ZERO_SCALAR);
}

type Iterator = Extract<NonNullable<Reg['of']>, { kind: 'iter' }>;

function iteratorAt(frame: Frame, slot: number): Iterator | undefined {
  const each = frame.stack[slot];
  const of = each?.byte(7) === ITER ? each.reg?.of : undefined;
  return of?.kind === 'iter' ? of : undefined;
}

function changeIterator(frame: Frame, slot: number, change: (of: Iterator) => Iterator): void {
  const of = iteratorAt(frame, slot);
  const each = frame.stack[slot];
  if (of === undefined || each?.reg === undefined) return;
  frame.stack[slot] = each.withReg(each.reg.with({ of: change(of) }));
}

/** Whether the iterator that r1 points to, before a call that steps it, is not drained. */
export function isIteratorActive(state: State): boolean {
  const reg = state.frame.regs[1];
  if (reg.kind !== 'fp') return false;
  return iteratorAt(state.frames[reg.frame], slotOf(reg.off + reg.scalar.sminNumber()))?.state === 'active';
}

/**
 * Whether an active iterator was stepped between two states: then the loop that they are in is one over an iterator, which
 * ends (Linux: iter_active_depths_differ).
 */
export function iteratorsDiffer(old: State, current: State): boolean {
  return old.frames.some((frame, number) =>
    frame.stack.some((_, slot) => {
      const of = iteratorAt(frame, slot);
      if (of?.state !== 'active') return false;
      return iteratorAt(current.frames[number], slot)?.depth !== of.depth;
    }),
  );
}

/** A section of RCU ends: iterators whose elements it protected cannot be used any more. */
export function distrustIterators(env: Env): void {
  for (const frame of env.state.frames) {
    frame.stack.forEach((slot, i) => {
      if (slot?.byte(7) !== ITER || slot.reg?.has(MEM_RCU) !== true) return;
      const flags = (slot.reg.flags & ~MEM_RCU) | PTR_UNTRUSTED;
      frame.stack[i] = slot.withReg(slot.reg.with({ flags }));
    });
  }
}
