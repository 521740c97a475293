import type { Env } from '../env.ts';
import { NON_OWN_REF, UNKNOWN_SCALAR } from './reg.ts';

/**
 * What a path holds and must give back (Linux: `struct bpf_reference_state`): objects that a helper or kfunc acquired. Locks
 * and interrupt states are kept in the same list, by their type, but are looked after elsewhere.
 */

/** The current instruction acquires an object. @returns its id, for `refId` of the register that points to it. */
export function acquireReference(env: Env): number {
  const id = env.newId();
  env.state.held = [...env.state.held, { type: 'ptr', id, insn: env.at }];
  return id;
}

export function holdsReference(env: Env, id: number): boolean {
  return env.state.held.some((held) => held.type === 'ptr' && held.id === id);
}

/**
 * Gives an object back: every register and slot that points into it is a number from here on (Linux: release_reference,
 * mark_reg_invalid).
 * Throws EINVAL when it is not held.
 */
export function releaseReference(env: Env, id: number): void {
  if (!holdsReference(env, id)) throw env.reject('EINVAL', `Can't release unacquired reference id=${id}`);
  dropReference(env, id);
  env.eachReg((reg) => (reg.refId === id ? UNKNOWN_SCALAR : reg));
}

/** Takes a reference off the list without touching registers: its owner is another now (Linux: release_reference_nomark). */
export function dropReference(env: Env, id: number): void {
  env.state.held = env.state.held.filter((held) => held.type !== 'ptr' || held.id !== id);
}

/** Pointers into lists and trees end with the lock that held their nodes there (Linux: invalidate_non_owning_refs). */
export function forgetNonOwning(env: Env): void {
  env.eachReg((reg) => (reg.has(NON_OWN_REF) ? UNKNOWN_SCALAR : reg));
}
