import type { Env } from './env.ts';
import { type FieldRecord, structFields } from './fields.ts';
import { MEM_ALLOC, type Reg } from './state/reg.ts';

/** The special fields of what a register points to: a map's value, or an object of the program's (Linux: reg_btf_record). */
export function recordOf(env: Env, reg: Reg): FieldRecord | undefined {
  if (reg.kind === 'map_value') return reg.map?.fields;
  if (reg.kind !== 'btf_id' || !reg.has(MEM_ALLOC) || reg.of?.kind !== 'btf') return undefined;
  return structFields(reg.of.btf, reg.of.id, env.program.kernelBtf);
}

/** Its id is kept when it is found not to be NULL: a lock in it must be told from others (Linux: reg_may_point_to_spin_lock). */
export function mayHoldLock(env: Env, reg: Reg): boolean {
  return recordOf(env, reg)?.has('spin_lock', 'res_spin_lock') === true;
}

/** What a lock inside of it belongs to. */
export function ownerOf(reg: Reg): object | undefined {
  if (reg.of?.kind === 'map') return reg.of.map;
  return reg.of?.kind === 'btf' ? reg.of.btf : undefined;
}
