import type { Env } from '../env.ts';
import type { CallMeta } from './meta.ts';

/** Arguments that point to what the kernel looks after inside a map's value: locks, timers, kernel pointers. */

/** Linux: process_spin_lock. */
export function processSpinLock(env: Env, number: number, isLock: boolean): void {
  void number;
  throw env.unsupported(`bpf_spin_${isLock ? 'lock' : 'unlock'} is not followed by this verifier`);
}

/** Linux: process_timer_func. */
export function processTimer(env: Env, number: number, meta: CallMeta): void {
  void number;
  void meta;
  throw env.unsupported('timers are not followed by this verifier');
}

/** Linux: process_kptr_func. */
export function processKptr(env: Env, number: number, meta: CallMeta): void {
  void number;
  void meta;
  throw env.unsupported('kernel pointers in maps are not followed by this verifier');
}
