import type { Env } from './env.ts';
import { ownerOf, recordOf } from './record-of.ts';
import { LOCKS } from './regions.ts';
import { forgetNonOwning } from './state/references.ts';
import type { Held } from './state/state.ts';

/**
 * bpf_spin_lock and bpf_res_spin_lock (Linux: process_spin_lock). A lock is told by the map or types that its memory
 * belongs to and by the id of the pointer; what lies beside it in the same memory may be touched while it is held.
 */

export interface LockCall {
  readonly locks: boolean;
  /** bpf_res_spin_lock, and whether it turns interrupts off, too. */
  readonly resilient?: boolean;
  readonly irq?: boolean;
}

export function processSpinLock(env: Env, number: number, { locks, resilient, irq }: LockCall): void {
  const reg = env.reg(number);
  const name = resilient ? 'bpf_res_spin' : 'bpf_spin';
  const kind = resilient ? 'res_spin_lock' : 'spin_lock';
  const { map } = reg;
  if (!reg.scalar.isConst()) {
    const rule = `${name}_lock has to be at the constant offset`;
    throw env.reject('EINVAL', `R${number} doesn't have constant offset. ${rule}`);
  }
  if (reg.kind === 'map_value' && map?.btf === undefined)
    throw env.reject('EINVAL', `map '${map?.name}' has to have BTF in order to use ${name}_lock`);
  const record = recordOf(env, reg);
  if (record?.has(kind) !== true) {
    const where = reg.kind === 'map_value' ? `map '${map?.name}'` : `local 'kptr'`;
    throw env.reject('EINVAL', `${where} has no valid ${name}_lock`);
  }
  const at = reg.off + reg.scalar.sminNumber();
  const expected = record.offsetOf(kind);
  if (at !== expected)
    throw env.reject('EINVAL', `off ${at} doesn't point to 'struct ${name}_lock' that is at ${expected}`);
  const type: Held['type'] = !resilient ? 'lock' : irq ? 'res_lock_irq' : 'res_lock';
  const wanted: Held = { type, id: reg.id, insn: env.at, owner: ownerOf(reg) };
  if (locks) acquireLock(env, wanted);
  else releaseLock(env, wanted, name);
}

const sameLock = (a: Held, b: Held) => a.id === b.id && a.owner === b.owner;

function locksOf(env: Env): Held[] {
  return env.state.held.filter(({ type }) => LOCKS.includes(type));
}

function acquireLock(env: Env, lock: Held): void {
  const held = locksOf(env);
  if (lock.type === 'lock' && held.length > 0)
    throw env.reject('EINVAL', 'Locking two bpf_spin_locks are not allowed');
  if (held.some((each) => each.type !== 'lock' && sameLock(each, lock)))
    throw env.reject('EINVAL', 'Acquiring the same lock again, AA deadlock detected');
  env.state.held = [...env.state.held, lock];
}

function releaseLock(env: Env, lock: Held, name: string): void {
  const held = locksOf(env);
  if (held.length === 0) throw env.reject('EINVAL', `${name}_unlock without taking a lock`);
  const found = held.find((each) => each.type === lock.type && sameLock(each, lock));
  if (found === undefined) throw env.reject('EINVAL', `${name}_unlock of different lock`);
  const last = held.at(-1);
  if (last === undefined || !sameLock(last, lock))
    throw env.reject('EINVAL', `${name}_unlock cannot be out of order`);
  env.state.held = env.state.held.filter((each) => each !== found);
  forgetNonOwning(env);
}

/** Whether the lock beside what a register points to is held (Linux: check_reg_allocation_locked). */
export function isAllocationLocked(env: Env, number: number): boolean {
  const reg = env.reg(number);
  const held = locksOf(env);
  if (held.length === 0) return false;
  const owner = ownerOf(reg);
  if (held.some((each) => each.id === reg.id && each.owner === owner)) return true;
  env.say('held lock and object are not in the same allocation');
  return false;
}
