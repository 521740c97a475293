import { MAP_TYPES, type MapTypeName, mapTypeName } from '../object/map-types.ts';
import type { ProgramType } from '../object/program-types.ts';

/** What a map's type decides: which helpers take it, and which programs may use it. */

/** Arrays have an element for every index below max_entries. */
export function isArrayType(type: number): boolean {
  return type === MAP_TYPES.array || type === MAP_TYPES.percpu_array;
}

/** Maps that hold sockets: what a lookup finds must be given back. */
export function isSocketMap(type: number): boolean {
  return type === MAP_TYPES.sockmap || type === MAP_TYPES.sockhash;
}

/** Map types that only these helpers take; others take all that the second table leaves them. */
const HELPERS_OF_MAP: Partial<Record<MapTypeName, readonly string[]>> = {
  prog_array: ['tail_call'],
  perf_event_array: [
    'perf_event_read',
    'perf_event_output',
    'skb_output',
    'perf_event_read_value',
    'xdp_output',
  ],
  ringbuf: [
    'ringbuf_output',
    'ringbuf_reserve',
    'ringbuf_query',
    'ringbuf_reserve_dynptr',
    'ringbuf_submit_dynptr',
    'ringbuf_discard_dynptr',
  ],
  user_ringbuf: ['user_ringbuf_drain'],
  stack_trace: ['get_stackid'],
  cgroup_array: ['skb_under_cgroup', 'current_task_under_cgroup'],
  cgroup_storage: ['get_local_storage'],
  percpu_cgroup_storage: ['get_local_storage'],
  devmap: ['redirect_map', 'map_lookup_elem'],
  devmap_hash: ['redirect_map', 'map_lookup_elem'],
  cpumap: ['redirect_map'],
  xskmap: ['redirect_map', 'map_lookup_elem'],
  array_of_maps: ['map_lookup_elem'],
  hash_of_maps: ['map_lookup_elem'],
  sockmap: [
    'sk_redirect_map',
    'sock_map_update',
    'msg_redirect_map',
    'sk_select_reuseport',
    'map_lookup_elem',
  ],
  sockhash: [
    'sk_redirect_hash',
    'sock_hash_update',
    'msg_redirect_hash',
    'sk_select_reuseport',
    'map_lookup_elem',
  ],
  reuseport_sockarray: ['sk_select_reuseport'],
  queue: ['map_peek_elem', 'map_pop_elem', 'map_push_elem'],
  stack: ['map_peek_elem', 'map_pop_elem', 'map_push_elem'],
  bloom_filter: ['map_peek_elem', 'map_push_elem'],
  sk_storage: ['sk_storage_get', 'sk_storage_delete', 'kptr_xchg'],
  inode_storage: ['inode_storage_get', 'inode_storage_delete', 'kptr_xchg'],
  task_storage: ['task_storage_get', 'task_storage_delete', 'kptr_xchg'],
  cgrp_storage: ['cgrp_storage_get', 'cgrp_storage_delete', 'kptr_xchg'],
};

const QUEUES: readonly MapTypeName[] = ['queue', 'stack'];
const CGROUP_STORAGE: readonly MapTypeName[] = ['cgroup_storage', 'percpu_cgroup_storage'];

/** Helpers that take maps of these types only. */
const MAPS_OF_HELPER: Readonly<Record<string, readonly MapTypeName[]>> = {
  tail_call: ['prog_array'],
  perf_event_read: ['perf_event_array'],
  perf_event_output: ['perf_event_array'],
  perf_event_read_value: ['perf_event_array'],
  skb_output: ['perf_event_array'],
  xdp_output: ['perf_event_array'],
  ringbuf_output: ['ringbuf'],
  ringbuf_reserve: ['ringbuf'],
  ringbuf_query: ['ringbuf'],
  ringbuf_reserve_dynptr: ['ringbuf'],
  ringbuf_submit_dynptr: ['ringbuf'],
  ringbuf_discard_dynptr: ['ringbuf'],
  user_ringbuf_drain: ['user_ringbuf'],
  get_stackid: ['stack_trace'],
  current_task_under_cgroup: ['cgroup_array'],
  skb_under_cgroup: ['cgroup_array'],
  redirect_map: ['devmap', 'devmap_hash', 'cpumap', 'xskmap'],
  get_local_storage: CGROUP_STORAGE,
  sk_redirect_map: ['sockmap'],
  msg_redirect_map: ['sockmap'],
  sock_map_update: ['sockmap'],
  sk_redirect_hash: ['sockhash'],
  msg_redirect_hash: ['sockhash'],
  sock_hash_update: ['sockhash'],
  sk_select_reuseport: ['reuseport_sockarray', 'sockmap', 'sockhash'],
  map_pop_elem: QUEUES,
  map_peek_elem: [...QUEUES, 'bloom_filter'],
  map_push_elem: [...QUEUES, 'bloom_filter'],
  map_lookup_percpu_elem: ['percpu_array', 'percpu_hash', 'lru_percpu_hash'],
  sk_storage_get: ['sk_storage'],
  sk_storage_delete: ['sk_storage'],
  task_storage_get: ['task_storage'],
  task_storage_delete: ['task_storage'],
  cgrp_storage_get: ['cgrp_storage'],
  cgrp_storage_delete: ['cgrp_storage'],
};

/** Programs that never hold a socket's lock: they may change maps of sockets (Linux: may_update_sockmap). */
const UPDATES_SOCKETS: readonly ProgramType[] = [
  'socket_filter',
  'sched_cls',
  'sched_act',
  'xdp',
  'sk_reuseport',
  'flow_dissector',
  'sk_lookup',
];

/**
 * Whether a helper takes maps of a type (Linux: check_map_func_compatibility). @param say gets a line for the log where
 * more is to be said than that it does not.
 */
export function takesMap(
  program: ProgramType,
  type: number,
  helper: string,
  say: (line: string) => void,
): boolean {
  const name = mapTypeName(type) as MapTypeName;
  const helpers = HELPERS_OF_MAP[name];
  if (helpers !== undefined && !helpers.includes(helper)) {
    if (!isSocketMap(type)) return false;
    const changes = helper === 'map_update_elem' || helper === 'map_delete_elem';
    if (!changes) return false;
    const mayDelete = program === 'sock_ops' && helper === 'map_delete_elem';
    if (!mayDelete && !UPDATES_SOCKETS.includes(program)) {
      say('cannot update sockmap in this context');
      return false;
    }
  }
  return MAPS_OF_HELPER[helper]?.includes(name) ?? true;
}
