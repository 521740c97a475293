import type { AttachType, ProgramType } from '../object/program-types.ts';
import { CGROUP_HELPERS } from './helpers/cgroups.ts';
import { MAP_HELPERS } from './helpers/maps.ts';
import { PACKET_HELPERS } from './helpers/packets.ts';
import type { HelperGroup, HelperPrototype } from './helpers/prototype.ts';
import { SOCKET_HELPERS } from './helpers/sockets.ts';
import { STREAM_HELPERS } from './helpers/streams.ts';
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

export const HELPERS = [
  ...SYSTEM_HELPERS,
  ...MAP_HELPERS,
  ...PACKET_HELPERS,
  ...SOCKET_HELPERS,
  ...CGROUP_HELPERS,
  ...STREAM_HELPERS,
];

export type HelperName = (typeof HELPERS)[number]['name'];

/** Linux: bpf_sk_base_func_proto, cgroup_common_func_proto, and what is called by nearly all. */
const SOCKETS = ['events', 'socket_types'] as const;
const GROUPS: Partial<Record<ProgramType, readonly HelperGroup[]>> = {
  syscall: ['syscall', 'events'],
  xdp: ['xdp', 'events'],
  sched_cls: ['tc', 'events'],
  sched_act: ['tc', 'events'],
  socket_filter: ['socket_filter', 'events'],
  cgroup_skb: ['cgroup_skb', 'events'],
  raw_tracepoint: ['raw_tracepoint', 'events'],
  raw_tracepoint_writable: ['raw_tracepoint', 'events'],
  tracepoint: ['raw_tracepoint', 'events'],
  perf_event: ['raw_tracepoint', 'perf_event', 'events'],
  kprobe: ['raw_tracepoint', 'events'],
  tracing: ['tracing', 'iterators', 'events'],
  cgroup_sock: ['cgroup_sock', 'cgroup', 'retval', 'events'],
  cgroup_sock_addr: ['cgroup_sock_addr', 'cgroup', 'retval', ...SOCKETS],
  cgroup_sysctl: ['cgroup_sysctl', 'cgroup', 'retval', 'events'],
  cgroup_sockopt: ['cgroup_sockopt', 'cgroup', 'retval', 'events'],
  cgroup_device: ['cgroup', 'retval', 'events'],
  sock_ops: ['sock_ops', 'cgroup', ...SOCKETS],
  sk_skb: ['sk_skb', ...SOCKETS],
  sk_msg: ['sk_msg', ...SOCKETS],
  sk_lookup: ['sk_lookup', ...SOCKETS],
  sk_reuseport: ['sk_reuseport'],
  flow_dissector: ['flow_dissector', 'socket_types'],
  lwt_in: ['lwt', 'encapsulation', ...SOCKETS],
  lwt_out: ['lwt', ...SOCKETS],
  lwt_xmit: ['lwt', 'lwt_xmit', 'encapsulation', ...SOCKETS],
  lwt_seg6local: ['lwt', 'lwt_seg6local', ...SOCKETS],
  netfilter: [],
};

/** Where programs of a type may call other helpers than its others. */
const ATTACHED: Partial<Record<AttachType, readonly HelperGroup[]>> = {
  cgroup_inet4_connect: ['cgroup_sock_addr', 'cgroup', 'retval', 'connect', ...SOCKETS],
  cgroup_inet6_connect: ['cgroup_sock_addr', 'cgroup', 'retval', 'connect', ...SOCKETS],
  ...Object.fromEntries(
    (
      [
        ...['cgroup_udp4_recvmsg', 'cgroup_udp6_recvmsg', 'cgroup_unix_recvmsg'],
        ...['cgroup_inet4_getpeername', 'cgroup_inet6_getpeername', 'cgroup_unix_getpeername'],
        ...['cgroup_inet4_getsockname', 'cgroup_inet6_getsockname', 'cgroup_unix_getsockname'],
      ] as const
    ).map((each) => [each, ['cgroup_sock_addr', 'cgroup', ...SOCKETS]]),
  ),
  trace_raw_tp: ['tracing', 'typed_tracepoint', 'events'],
  cgroup_setsockopt: ['cgroup_sockopt', 'cgroup', 'retval', 'socket_options', 'events'],
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
export function helperFor(
  { type = 'syscall', attachType }: HelperUser,
  id: number,
): HelperPrototype | undefined {
  const groups = (attachType && ATTACHED[attachType]) ?? GROUPS[type];
  return groups === undefined ? undefined : tableOf(groups).get(id);
}

/** Whether a call of a helper may sleep, in a program that may or may not (Linux: might_sleep). */
export function sleeps({ sleepable }: { readonly sleepable: boolean }, row: HelperPrototype): boolean {
  return row.sleeps === 'if_sleepable' ? sleepable : row.sleeps === true;
}
