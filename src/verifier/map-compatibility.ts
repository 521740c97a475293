import { isLdImm64 } from '../isa/instruction.ts';
import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE } from '../isa/opcodes.ts';
import { type MapTypeName, mapTypeName } from '../object/map-types.ts';
import { arenaOf } from './arena.ts';
import type { Env } from './env.ts';
import type { MapInfo } from './input.ts';

/** Which maps a program may name at all (Linux: resolve_pseudo_ldimm64, check_map_prog_compatibility). */

/** Linux: MAX_USED_MAPS. */
const MAX_MAPS = 64;

/** Maps that programs may use which can sleep. */
const FOR_SLEEPERS: readonly MapTypeName[] = [
  'hash',
  'lru_hash',
  'array',
  'percpu_hash',
  'percpu_array',
  'lru_percpu_hash',
  'array_of_maps',
  'hash_of_maps',
  'ringbuf',
  'user_ringbuf',
  'inode_storage',
  'sk_storage',
  'task_storage',
  'cgrp_storage',
  'queue',
  'stack',
  'arena',
];

/** Looks at every map that an instruction names, in the order of the instructions. */
export function checkMaps(env: Env): void {
  const seen = new Set<MapInfo>();
  env.insns.forEach((insn, index) => {
    if (!isLdImm64(insn) || (insn.src !== BPF_PSEUDO_MAP_FD && insn.src !== BPF_PSEUDO_MAP_VALUE)) return;
    const map = env.mapOf(insn);
    if (!seen.has(map)) {
      if (seen.size === MAX_MAPS) {
        const limit = `has reached the limit of ${MAX_MAPS}`;
        throw env.reject('E2BIG', `The total number of maps per program ${limit}`, index);
      }
      seen.add(map);
      checkMap(env, map, index);
    }
    if (insn.src === BPF_PSEUDO_MAP_VALUE) checkAddress(env, map, env.insns[index + 1].imm, index);
  });
  arenaOf(env);
}

function checkMap(env: Env, map: MapInfo, index: number): void {
  const type = mapTypeName(map.type) as MapTypeName;
  if (type === 'struct_ops') throw env.reject('EINVAL', 'bpf_struct_ops map cannot be used in prog', index);
  if (env.sleepable && !FOR_SLEEPERS.includes(type)) {
    const rule = 'Sleepable programs can only use array, hash, ringbuf and local storage maps';
    throw env.reject('EINVAL', rule, index);
  }
}

/** The address of a map's value is known for arrays of one element, and the arena (Linux: map_direct_value_addr). */
function checkAddress(env: Env, map: MapInfo, off: number, index: number): void {
  const type = mapTypeName(map.type);
  // The embedded kernel puts an arena's globals at its end.
  if (type === 'arena') return;
  if (off >>> 0 >= 2 ** 29)
    throw env.reject('EINVAL', `direct value offset of ${off >>> 0} is not allowed`, index);
  if (type !== 'array') throw env.reject('EINVAL', 'no direct value access support for this map type', index);
  if (map.maxEntries === 1 && off < map.valueSize) return;
  const problem = `invalid access to map value pointer, value_size=${map.valueSize} off=${off}`;
  throw env.reject(map.maxEntries === 1 ? 'EINVAL' : 'ENOTSUPP', problem, index);
}
