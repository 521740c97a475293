import type { Env } from '../env.ts';
import { FIELD_KINDS } from '../field-kinds.ts';

/**
 * A pointer to a timer, work queue or task work in a map's value (Linux: check_map_field_pointer): it points to the one that
 * the value has.
 */
export function checkMapField(env: Env, number: number, kind: 'timer' | 'wq' | 'task_work'): void {
  const { map, off, scalar } = env.reg(number);
  const { name } = FIELD_KINDS[kind];
  if (!scalar.isConst()) {
    const rule = `${name} has to be at the constant offset`;
    throw env.reject('EINVAL', `R${number} doesn't have constant offset. ${rule}`);
  }
  if (map?.btf === undefined)
    throw env.reject('EINVAL', `map '${map?.name}' has to have BTF in order to use ${name}`);
  if (map.fields?.has(kind) !== true) throw env.reject('EINVAL', `map '${map.name}' has no valid ${name}`);
  const at = off + scalar.sminNumber();
  const expected = map.fields.offsetOf(kind);
  if (at !== expected)
    throw env.reject('EINVAL', `off ${at} doesn't point to 'struct ${name}' that is at ${expected}`);
}
