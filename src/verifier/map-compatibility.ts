import { isLdImm64 } from '../isa/instruction.ts';
import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE } from '../isa/opcodes.ts';
import { MAP_TYPES, type MapTypeName, mapTypeName } from '../object/map-types.ts';
import type { ProgramType } from '../object/program-types.ts';
import { arenaOf } from './arena.ts';
import type { Env } from './env.ts';
import type { FieldKind } from './fields.ts';
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
      if (isCgroupStorage(map) && [...seen].some((other) => other !== map && other.type === map.type))
        throw env.reject('EBUSY', 'only one cgroup storage of each type is allowed', index);
    }
    if (insn.src === BPF_PSEUDO_MAP_VALUE) checkAddress(env, map, env.insns[index + 1].imm, index);
  });
  arenaOf(env);
}

function isCgroupStorage({ type }: MapInfo): boolean {
  return type === MAP_TYPES.cgroup_storage || type === MAP_TYPES.percpu_cgroup_storage;
}

/** Programs that may interrupt whoever holds a lock (Linux: is_tracing_prog_type). */
const INTERRUPTING: readonly ProgramType[] = [
  'kprobe',
  'tracepoint',
  'perf_event',
  'raw_tracepoint',
  'raw_tracepoint_writable',
];

/** Fields of map values that such programs may not have, by what Linux's message calls them. */
const NOT_FOR_TRACING: readonly (readonly [string, readonly FieldKind[]])[] = [
  ['bpf_{list_head,rb_root}', ['list_head', 'rb_root']],
  ['bpf_spin_lock', ['spin_lock', 'res_spin_lock']],
  ['bpf_timer', ['timer']],
  ['bpf_wq', ['wq']],
];

function checkFields(env: Env, { fields }: MapInfo, index: number): void {
  const has = (kinds: readonly FieldKind[]) =>
    fields?.fields.some(({ kind }) => kinds.includes(kind)) === true;
  for (const [name, kinds] of NOT_FOR_TRACING) {
    if (!has(kinds)) continue;
    if (env.program.type === 'socket_filter' && name === 'bpf_spin_lock')
      throw env.reject('EINVAL', 'socket filter progs cannot use bpf_spin_lock yet', index);
    if (INTERRUPTING.includes(env.program.type ?? 'syscall'))
      throw env.reject('EINVAL', `tracing progs cannot use ${name} yet`, index);
  }
}

function checkMap(env: Env, map: MapInfo, index: number): void {
  checkFields(env, map, index);
  const type = mapTypeName(map.type) as MapTypeName;
  if (type === 'struct_ops') throw env.reject('EINVAL', 'bpf_struct_ops map cannot be used in prog', index);
  if (env.programSleeps && !FOR_SLEEPERS.includes(type)) {
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
