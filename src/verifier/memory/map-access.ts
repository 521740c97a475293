import type { Env } from '../env.ts';
import { FIELD_KINDS, KPTRS, type SpecialField } from '../field-kinds.ts';
import type { MapInfo } from '../input.ts';
import type { Access } from './access.ts';
import { checkRegion } from './region.ts';

/** Values of maps: what may be read and written of them (Linux: check_map_access, check_map_access_type). */

const BPF_F_RDONLY_PROG = 1 << 7;
const BPF_F_WRONLY_PROG = 1 << 8;

/** Neither programs nor user space change it any more (Linux: bpf_map_is_rdonly). */
export function isReadOnly(map: MapInfo): boolean {
  return (map.flags & BPF_F_RDONLY_PROG) !== 0 && map.contents !== undefined;
}

/** Whether the map's flags allow the access. */
export function mayAccessMap(env: Env, base: number, off: number, size: number, access: Access): void {
  const map = env.reg(base).map;
  if (map === undefined) return;
  const forbidden = access === 'write' ? BPF_F_RDONLY_PROG : BPF_F_WRONLY_PROG;
  if ((map.flags & forbidden) === 0) return;
  const what = access === 'write' ? 'write into map' : 'read from map';
  throw env.reject('EACCES', `${what} forbidden, value_size=${map.valueSize} off=${off} size=${size}`);
}

/**
 * Bounds of a map value, and what its special fields allow: none may be touched, but a kptr by a load or store of its own.
 * @param direct whether an instruction accesses it, not a helper. @returns the kptr that is accessed.
 */
export function checkMapAccess(
  env: Env,
  base: number,
  off: number,
  size: number,
  zeroAllowed = false,
  direct = false,
): SpecialField | undefined {
  const reg = env.reg(base);
  const { map, scalar } = reg;
  checkRegion(env, base, off, size, map?.valueSize ?? 0, zeroAllowed);
  const { fields = [] } = map?.fields ?? {};
  for (const field of fields) {
    const at = field.off;
    if (scalar.sminNumber() + off >= at + field.size || at >= scalar.umaxNumber() + off + size) continue;
    const { name } = FIELD_KINDS[field.kind];
    const refuse = (problem: string) => env.reject('EACCES', `${name} ${problem}`);
    if (!KPTRS.includes(field.kind)) throw refuse('cannot be accessed directly by load/store');
    if (!direct) throw refuse('cannot be accessed indirectly by helper');
    if (!scalar.isConst()) throw refuse('access cannot have variable offset');
    const start = off + scalar.sminNumber();
    if (at !== start) throw refuse(`access misaligned expected=${at} off=${start}`);
    if (size !== 8) throw refuse('access size must be BPF_DW');
    return field;
  }
  return undefined;
}
