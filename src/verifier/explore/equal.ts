import type { Env } from '../env.ts';
import { equal, within } from '../scalar/scalar.ts';
import { ADD_CONST } from '../state/print.ts';
import { type Reg, sameReferent, UNKNOWN_SCALAR } from '../state/reg.ts';
import { allBytes, DYNPTR, INVALID, IRQ_FLAG, ITER, MISC, type StackSlot } from '../state/slot.ts';
import type { Frame, Held, State } from '../state/state.ts';
import { Ids } from './ids.ts';
import { isStackRead } from './stack-liveness.ts';

/**
 * Whether a state adds nothing to an earlier one that was found safe (Linux: states_equal). What was never relied upon
 * may differ; ids may differ as long as the same things are tied together.
 */

/**
 * `relaxed`: only what the earlier state's paths relied on. `ranges`: all of it, as ranges, for a loop that is not
 * finished. `exact`: the very same, for a loop that does not end.
 */
export type Exactness = 'relaxed' | 'ranges' | 'exact';

/** One comparison is over before the next begins. */
const IDS = new Ids();

export function statesEqual(env: Env, old: State, current: State, exactness: Exactness): boolean {
  if (old.depth !== current.depth || old.sleepable !== current.sleepable) return false;
  const ids = IDS.reset();
  if (!sameHeld(old, current, ids)) return false;
  // Callers' frames are the same most of the time, so the innermost is looked at first.
  for (let i = old.depth; i >= 0; i--) {
    const a = old.frames[i];
    const b = current.frames[i];
    if (a.callsite !== b.callsite || a.callbackDepth > b.callbackDepth) return false;
    const insn = i === old.depth ? old.insn : old.frames[i + 1].callsite;
    if (!framesEqual(a, b, env.live[insn], ids, exactness)) return false;
  }
  return true;
}

function sameHeld(old: State, current: State, ids: Ids): boolean {
  return (
    old.held.length === current.held.length &&
    old.rcuLocks === current.rcuLocks &&
    old.preemptLocks === current.preemptLocks &&
    ids.same(old.irqId, current.irqId) &&
    old.held.every((held, i) => sameHold(held, current.held[i], ids))
  );
}

function sameHold(old: Held, current: Held, ids: Ids): boolean {
  return old.type === current.type && old.owner === current.owner && ids.same(old.id, current.id);
}

function framesEqual(old: Frame, current: Frame, live: number, ids: Ids, exactness: Exactness): boolean {
  for (let i = 0; i < old.regs.length; i++) {
    // In a caller's frame, what the call leaves is r6 to r9: those are live behind it, or not.
    if ((live & (1 << i)) === 0 && i !== 10) continue;
    const reg = old.regs[i];
    if (reg === current.regs[i] && isTiedToNothing(reg)) continue;
    if (!regsEqual(reg, current.regs[i], ids, exactness)) return false;
  }
  for (let i = 0; i < old.stack.length || (exactness === 'exact' && i < current.stack.length); i++) {
    const slot = old.stack[i];
    const other = current.stack[i];
    if (slot === other && (slot?.reg === undefined || isTiedToNothing(slot.reg))) continue;
    // What a loop that is not finished may read of a slot is open: its bytes must be of the same kinds.
    if (exactness !== 'relaxed' && (slot?.bytes ?? 0) !== (other?.bytes ?? 0)) return false;
    if (exactness === 'relaxed' && !isStackRead(old, i)) continue;
    if (!slotsEqual(slot, other, ids, exactness)) return false;
  }
  return true;
}

/** Then it equals itself; else its ids have to correspond to each other's in what else is compared. */
function isTiedToNothing({ id, refId }: Reg): boolean {
  return id === 0 && refId === 0;
}

function regsEqual(old: Reg, current: Reg, ids: Ids, exactness: Exactness): boolean {
  if (exactness === 'exact') return sameReg(old, current, ids);
  if (old.kind === 'not_init') return exactness === 'relaxed' || current.kind === 'not_init';
  if (old.kind !== current.kind || old.flags !== current.flags) return false;
  switch (old.kind) {
    case 'scalar':
      if (!old.precise && exactness === 'relaxed') return true;
      return within(old.scalar, current.scalar) && sameLink(old, current, ids);
    case 'map_key':
    case 'map_value':
    case 'mem':
    case 'buf':
    case 'tp_buffer':
      return (
        old.off === current.off &&
        sameReferent(old.of, current.of) &&
        within(old.scalar, current.scalar) &&
        ids.same(old.id, current.id) &&
        ids.same(old.refId, current.refId)
      );
    case 'pkt':
    case 'pkt_meta':
      if (old.range < 0 || current.range < 0) {
        if (old.range !== current.range) return false;
      } else if (old.range > current.range) return false;
      return old.off === current.off && ids.same(old.id, current.id) && within(old.scalar, current.scalar);
    case 'arena':
      return true;
    default:
      return sameReg(old, current, ids);
  }
}

/** One that was tied to nothing may be tied now; else to the same, with the same constant between. */
function sameLink(old: Reg, current: Reg, ids: Ids): boolean {
  if (old.id === 0) return true;
  const added = old.id & ADD_CONST;
  if (added !== (current.id & ADD_CONST) || (added !== 0 && old.off !== current.off)) return false;
  return ids.sameScalar(old.id & ~ADD_CONST, current.id & ~ADD_CONST);
}

/** The same but for ids that correspond (Linux: regs_exact). */
function sameReg(old: Reg, current: Reg, ids: Ids): boolean {
  return (
    old.kind === current.kind &&
    old.flags === current.flags &&
    old.off === current.off &&
    old.range === current.range &&
    old.frame === current.frame &&
    sameReferent(old.of, current.of) &&
    equal(old.scalar, current.scalar) &&
    ids.same(old.id, current.id) &&
    ids.same(old.refId, current.refId)
  );
}

const ALL_MISC = allBytes(MISC);

/** What a load of all eight bytes would give, when that is a scalar. */
function scalarOf(slot: StackSlot | undefined): Reg | undefined {
  if (slot === undefined || slot.bytes === 0) return UNKNOWN_SCALAR;
  if (slot.isWholeSpill && slot.reg?.kind === 'scalar') return slot.reg;
  if (slot.bytes === ALL_MISC) return UNKNOWN_SCALAR;
  return undefined;
}

/** Dynptrs, iterators and saved interrupt flags; how often an iterator was stepped does not matter. */
function sameObject(old: Reg | undefined, current: Reg | undefined, ids: Ids): boolean {
  return (
    old !== undefined &&
    current !== undefined &&
    old.flags === current.flags &&
    sameReferent(old.of, current.of) &&
    ids.same(old.refId, current.refId)
  );
}

function slotsEqual(
  old: StackSlot | undefined,
  current: StackSlot | undefined,
  ids: Ids,
  exactness: Exactness,
): boolean {
  if (exactness === 'exact') {
    if ((old?.bytes ?? 0) !== (current?.bytes ?? 0)) return false;
    const reg = old?.reg;
    const other = current?.reg;
    return reg === undefined || other === undefined ? reg === other : sameReg(reg, other, ids);
  }
  if (old === undefined || old.bytes === 0 || old.bytes === ALL_MISC) {
    // Whatever is there now, it was read as a number nothing is known of; a pointer is a number too.
    return true;
  }
  const reg = scalarOf(old);
  const other = scalarOf(current);
  if (reg !== undefined && other !== undefined) return regsEqual(reg, other, ids, exactness);
  if (current === undefined) return false;
  const type = old.byte(7);
  if (type === DYNPTR || type === ITER || type === IRQ_FLAG)
    return old.bytes === current.bytes && sameObject(old.reg, current.reg, ids);
  for (let i = 0; i < 8; i++) {
    const a = old.byte(i);
    const b = current.byte(i);
    if (a !== b && a !== INVALID && a !== MISC) return false;
  }
  if (!old.isSpill) return true;
  return (
    old.reg !== undefined && current.reg !== undefined && regsEqual(old.reg, current.reg, ids, exactness)
  );
}
