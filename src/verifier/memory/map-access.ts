import type { Env } from '../env.ts';
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

/** Bounds of a map value. What special fields allow is not judged here. */
export function checkMapAccess(env: Env, base: number, off: number, size: number, zeroAllowed = false): void {
  const map = env.reg(base).map;
  if (map?.fields !== undefined)
    throw env.unsupported(`values of map '${map.name}' have locks, timers, kptrs or their like`);
  checkRegion(env, base, off, size, map?.valueSize ?? 0, zeroAllowed);
}
