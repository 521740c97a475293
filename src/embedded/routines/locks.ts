import {
  add,
  get,
  i32,
  load32,
  mul,
  not,
  returns,
  seq,
  store32,
  when,
} from '../../jit/encode/expressions.ts';
import { HELD_LOCK } from '../layout.ts';
import type { Routine } from './routine.ts';
import { sharingOf } from './sharing.ts';

/**
 * bpf_spin_lock and bpf_spin_unlock (helpers/locks.ts). A lock that is free is taken here; waiting for one is the function's matter.
 * What is held is noted where the JavaScript notes it, so that a run which ends in an error lets go of it.
 */

const LOCK = 0;
const ARGS = [{ register: 1, form: 'low' }] as const;

const heldBy = (cpus: number) => add(i32(HELD_LOCK.at), mul(sharingOf(cpus).cpu, i32(HELD_LOCK.stride)));

export function lockRoutine(cpus: number): Routine {
  const { tryLock } = sharingOf(cpus);
  return {
    variant: '',
    args: ARGS,
    result: 'none',
    write: (code, otherwise) =>
      seq(
        cpus === 1
          ? seq(when(load32(get(LOCK)), returns(otherwise)), store32(get(LOCK), i32(1)))
          : when(not(tryLock(get(LOCK))), returns(otherwise)),
        store32(heldBy(cpus), get(LOCK)),
      )(code),
  };
}

export function unlockRoutine(cpus: number): Routine {
  return {
    variant: '',
    args: ARGS,
    result: 'none',
    complete: true,
    write: (code) => seq(store32(heldBy(cpus), i32(0)), sharingOf(cpus).store(get(LOCK), i32(0)))(code),
  };
}
