import type { ProgramType } from '../object/program-types.ts';
import { MAP_HELPERS } from './helpers/maps.ts';
import { PACKET_HELPERS } from './helpers/packets.ts';
import type { HelperGroup, HelperPrototype } from './helpers/prototype.ts';
import { SOCKET_HELPERS } from './helpers/sockets.ts';
import { SYSTEM_HELPERS } from './helpers/system.ts';
import { HELPER_VARIANTS } from './helpers/variants.ts';
import type { ProgramToVerify } from './input.ts';

/**
 * The helpers that the verifier knows, by their prototypes: all that programs of the judged types may call on Linux 6.18,
 * one row each. What a helper does in the embedded kernel, where it has it, stands in src/embedded/helpers, under the same
 * name.
 */

export type { HelperArgument } from './helpers/arguments.ts';
export type { HelperGroup, HelperPrototype, HelperResult } from './helpers/prototype.ts';

export const HELPERS = [...SYSTEM_HELPERS, ...MAP_HELPERS, ...PACKET_HELPERS, ...SOCKET_HELPERS];

export type HelperName = (typeof HELPERS)[number]['name'];

const GROUPS: Partial<Record<ProgramType, readonly HelperGroup[]>> = {
  syscall: ['syscall'],
  xdp: ['xdp'],
  sched_cls: ['tc'],
  sched_act: ['tc'],
  socket_filter: ['socket_filter'],
  cgroup_skb: ['cgroup_skb'],
  raw_tracepoint: ['raw_tracepoint'],
  tracepoint: ['raw_tracepoint'],
  perf_event: ['raw_tracepoint', 'perf_event'],
  kprobe: ['raw_tracepoint'],
  tracing: ['tracing'],
};

/** Who calls a helper. */
export type HelperUser = Pick<ProgramToVerify, 'type' | 'attachType'>;

/** Rows by number, for each list of groups that was asked for. */
const TABLES = new Map<readonly HelperGroup[], ReadonlyMap<number, HelperPrototype>>();

function tableOf(groups: readonly HelperGroup[]): ReadonlyMap<number, HelperPrototype> {
  let table = TABLES.get(groups);
  if (table === undefined) {
    const rows: readonly HelperPrototype[] = [...HELPERS, ...HELPER_VARIANTS];
    const theirs = rows.filter((row) => row.in === undefined || row.in.some((each) => groups.includes(each)));
    table = new Map(theirs.map((row) => [row.id, row]));
    TABLES.set(groups, table);
  }
  return table;
}

/** The prototype that a helper has for programs of a type; undefined where they may not call it (Linux: get_func_proto). */
export function helperFor({ type = 'syscall' }: HelperUser, id: number): HelperPrototype | undefined {
  const groups = GROUPS[type];
  return groups === undefined ? undefined : tableOf(groups).get(id);
}

/** Whether a call of a helper may sleep, in a program that may or may not (Linux: might_sleep). */
export function sleeps({ sleepable }: { readonly sleepable: boolean }, row: HelperPrototype): boolean {
  return row.sleeps === 'if_sleepable' ? sleepable : row.sleeps === true;
}
