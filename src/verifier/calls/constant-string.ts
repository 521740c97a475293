import type { Env } from '../env.ts';
import { checkMapAccess, isReadOnly } from '../memory/map-access.ts';

/** Text that never changes: a pointer to it leads into a read-only map's value (Linux: check_reg_const_str). */

/** Refuses what is not text with an end. */
export function checkConstantString(env: Env, number: number): void {
  const reg = env.reg(number);
  const { map, off, scalar } = reg;
  if (map === undefined || !isReadOnly(map))
    throw env.reject('EACCES', `R${number} does not point to a readonly map'`);
  if (!scalar.isConst()) throw env.reject('EACCES', `R${number} is not a constant address'`);
  if (map.type !== BPF_MAP_TYPE_ARRAY || map.maxEntries !== 1)
    throw env.reject('EACCES', 'no direct value access support for this map type');
  checkMapAccess(env, number, off, map.valueSize - off, false);
  if (constantString(env, number) === undefined) throw env.reject('EINVAL', 'string is not zero-terminated');
}

const BPF_MAP_TYPE_ARRAY = 2;

/** The bytes of the text before its final 0; undefined where it has none. */
export function constantString(env: Env, number: number): Uint8Array | undefined {
  const { map, off, scalar } = env.reg(number);
  const text = map?.contents?.subarray(off + scalar.sminNumber());
  const end = text?.indexOf(0) ?? -1;
  return end < 0 ? undefined : text?.subarray(0, end);
}
