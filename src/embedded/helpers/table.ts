import { HELPERS, type HelperName } from '../../verifier/helpers.ts';
import type { HelperFunction } from './call.ts';
import { timer_cancel, timer_init, timer_set_callback, timer_start } from './deferred.ts';
import { DYNPTR_HELPERS } from './dynptr.ts';
import { ENVIRONMENT_HELPERS } from './environment.ts';
import { for_each_map_elem } from './for-each.ts';
import { LOCK_HELPERS } from './locks.ts';
import { loop } from './loop.ts';
import { map_lookup_percpu_elem, map_peek_elem, map_pop_elem, map_push_elem } from './map-elements.ts';
import { map_delete_elem, map_lookup_elem, map_update_elem } from './maps.ts';
import { NUMBER_HELPERS } from './numbers.ts';
import { kptr_xchg, per_cpu_ptr, this_cpu_ptr } from './objects.ts';
import { PACKET_HELPERS } from './packets.ts';
import { perf_event_output } from './perf-events.ts';
import { PRINT_HELPERS } from './printk.ts';
import { PROBE_HELPERS } from './probe.ts';
import { redirect_map } from './redirect-map.ts';
import {
  ringbuf_discard,
  ringbuf_discard_dynptr,
  ringbuf_output,
  ringbuf_query,
  ringbuf_reserve,
  ringbuf_reserve_dynptr,
  ringbuf_submit,
  ringbuf_submit_dynptr,
  user_ringbuf_drain,
} from './ring-buffers.ts';
import { SEQ_HELPERS } from './seq-file.ts';
import { tail_call } from './tail-call.ts';
import { get_current_task_btf, task_storage_delete, task_storage_get } from './task-storage.ts';
import { TYPED_TEXT_HELPERS } from './typed-text.ts';

/** What each helper does, by its name in the prototypes' table. Helpers without a function are judged, but not run. */

type Row<Name extends HelperName> = Extract<(typeof HELPERS)[number], { name: Name }>;

const FUNCTIONS: { [Name in HelperName]?: HelperFunction<Row<Name>> } = {
  loop,
  tail_call,
  for_each_map_elem,
  kptr_xchg,
  per_cpu_ptr,
  this_cpu_ptr,
  timer_init,
  timer_set_callback,
  timer_start,
  timer_cancel,
  map_lookup_elem,
  map_update_elem,
  map_delete_elem,
  map_push_elem,
  map_pop_elem,
  map_peek_elem,
  ringbuf_discard,
  ringbuf_discard_dynptr,
  ringbuf_output,
  ringbuf_query,
  ringbuf_reserve,
  ringbuf_reserve_dynptr,
  ringbuf_submit,
  user_ringbuf_drain,
  ringbuf_submit_dynptr,
  map_lookup_percpu_elem,
  perf_event_output,
  get_current_task_btf,
  task_storage_get,
  task_storage_delete,
  redirect_map,
  ...PRINT_HELPERS,
  ...SEQ_HELPERS,
  ...TYPED_TEXT_HELPERS,
  ...ENVIRONMENT_HELPERS,
  ...PROBE_HELPERS,
  ...DYNPTR_HELPERS,
  ...LOCK_HELPERS,
  ...NUMBER_HELPERS,
  ...PACKET_HELPERS,
};

/** A helper's row and function, as a caller that reads the row at run time sees them. */
export interface Helper {
  readonly row: (typeof HELPERS)[number];
  readonly call: (...args: unknown[]) => number | bigint | undefined;
}

const BY_ID = new Map<number, Helper>(
  HELPERS.flatMap((row): [number, Helper][] => {
    const call = FUNCTIONS[row.name];
    return call === undefined ? [] : [[row.id, { row, call: call as Helper['call'] }]];
  }),
);

/** The helpers that can be run, by number and name. */
export const RUNNABLE_HELPERS = [...BY_ID.values()].map(({ row: { id, name } }) => ({ id, name }));

/** The helper with this number, or undefined when the embedded kernel has none. */
export function helper(id: number): Helper | undefined {
  return BY_ID.get(id);
}
