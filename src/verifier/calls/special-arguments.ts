import type { Env } from '../env.ts';
import { KPTRS } from '../field-kinds.ts';
import { processSpinLock } from '../locks.ts';
import { recordOf } from '../record-of.ts';
import { inTreeCallback } from './graph.ts';
import { checkMapField } from './map-field.ts';
import type { CallMeta } from './meta.ts';

/** Arguments that point to what the kernel looks after inside a map's value: locks, timers, kernel pointers. */

/** Linux: check_func_arg, ARG_PTR_TO_SPIN_LOCK. */
export function processLock(env: Env, number: number, locks: boolean): void {
  if (inTreeCallback(env)) throw env.reject('EACCES', "can't spin_{lock,unlock} in rbtree cb");
  processSpinLock(env, number, { locks });
}

/** Linux: process_timer_func. */
export function processTimer(env: Env, number: number, meta: CallMeta): void {
  const reg = env.reg(number);
  checkMapField(env, number, 'timer');
  meta.map = reg.map;
  meta.mapUid = reg.of?.kind === 'map' ? reg.of.uid : 0;
}

/** Linux: process_kptr_func. */
export function processKptr(env: Env, number: number, meta: CallMeta): void {
  const reg = env.reg(number);
  const { map } = reg;
  if (reg.kind === 'map_value') {
    if (map?.btf === undefined)
      throw env.reject('EINVAL', `map '${map?.name}' has to have BTF in order to use bpf_kptr_xchg`);
    meta.map = map;
  }
  if (!reg.scalar.isConst()) {
    const rule = 'kptr has to be at the constant offset';
    throw env.reject('EINVAL', `R${number} doesn't have constant offset. ${rule}`);
  }
  const record = recordOf(env, reg);
  if (record?.has(...KPTRS) !== true) throw env.reject('EINVAL', `R${number} has no valid kptr`);
  const off = reg.off + reg.scalar.sminNumber();
  const field = record.find(off, ...KPTRS);
  if (field === undefined) throw env.reject('EACCES', `off=${off} doesn't point to kptr`);
  if (field.kind === 'kptr_unref') throw env.reject('EACCES', `off=${off} kptr isn't referenced kptr`);
  meta.kptr = field;
}
