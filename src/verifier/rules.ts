import type { ProgramType } from '../object/program-types.ts';
import {
  CGROUP_DEVICE_CONTEXT,
  CGROUP_SOCK_ADDR_CONTEXT,
  CGROUP_SOCK_CONTEXT,
  CGROUP_SOCKOPT_CONTEXT,
  CGROUP_SYSCTL_CONTEXT,
  SOCK_OPS_CONTEXT,
} from './cgroup-contexts.ts';
import {
  CGROUP_SKB_CONTEXT,
  type ContextRules,
  KPROBE_CONTEXT,
  PERF_EVENT_CONTEXT,
  RAW_TRACEPOINT_CONTEXT,
  SCHED_CLS_CONTEXT,
  SOCKET_FILTER_CONTEXT,
  SYSCALL_CONTEXT,
  TRACEPOINT_CONTEXT,
  XDP_CONTEXT,
} from './context.ts';
import type { ProgramToVerify } from './input.ts';
import { iteratorRules } from './iterators.ts';
import {
  FLOW_DISSECTOR_CONTEXT,
  LWT_CONTEXT,
  netfilterRules,
  SK_LOOKUP_CONTEXT,
  SK_MSG_CONTEXT,
  SK_REUSEPORT_CONTEXT,
  SK_SKB_CONTEXT,
  WRITABLE_TRACEPOINT_CONTEXT,
} from './socket-contexts.ts';
import { tracepointRules } from './tracepoints.ts';

/** What the verifier asks of a program's type: one row each. Programs of other types are unsupported, never accepted. */
export interface ProgramRules {
  readonly context: ContextRules;
  /** May programs of the type sleep? */
  readonly sleepable?: boolean;
  /** Its context holds pointers to packet data (Linux: may_access_direct_pkt_data). */
  readonly readsPacket?: boolean;
  readonly writesPacket?: boolean;
  /** What is called packet here may be handed to any helper, not only to those that say so. */
  readonly anyHelperReadsPacket?: boolean;
  /** The context is plain memory: nothing of it is translated (Linux: no convert_ctx_access). */
  readonly bareContext?: boolean;
  /** May it load packet data by BPF_ABS and BPF_IND (Linux: may_access_skb)? */
  readonly loadsPacket?: boolean;
  /** What r0 may be at the end, by attach type. Absent, or undefined: anything. */
  readonly returns?: (attachType: string | undefined) => readonly [number, number] | undefined;
}

/** What is answered is not asked of programs that see an address once it is there. */
function returnsOfAddress(attachType: string | undefined): readonly [number, number] {
  if (/recvmsg|getpeername|getsockname/.test(attachType ?? '')) return [1, 1];
  return /_bind$/.test(attachType ?? '') ? [0, 3] : [0, 1];
}

export const PROGRAM_RULES: Partial<Record<ProgramType, ProgramRules>> = {
  syscall: { context: SYSCALL_CONTEXT, sleepable: true, bareContext: true },
  xdp: { context: XDP_CONTEXT, readsPacket: true, writesPacket: true },
  sched_cls: { context: SCHED_CLS_CONTEXT, readsPacket: true, writesPacket: true, loadsPacket: true },
  sched_act: { context: SCHED_CLS_CONTEXT, readsPacket: true, writesPacket: true, loadsPacket: true },
  socket_filter: { context: SOCKET_FILTER_CONTEXT, loadsPacket: true },
  cgroup_skb: {
    context: CGROUP_SKB_CONTEXT,
    readsPacket: true,
    returns: (attachType) => (attachType === 'cgroup_inet_egress' ? [0, 3] : [0, 1]),
  },
  raw_tracepoint: { context: RAW_TRACEPOINT_CONTEXT, bareContext: true },
  tracepoint: { context: TRACEPOINT_CONTEXT, bareContext: true },
  perf_event: { context: PERF_EVENT_CONTEXT },
  cgroup_sock: { context: CGROUP_SOCK_CONTEXT, returns: () => [0, 1] },
  cgroup_sock_addr: { context: CGROUP_SOCK_ADDR_CONTEXT, returns: returnsOfAddress },
  cgroup_sysctl: { context: CGROUP_SYSCTL_CONTEXT, returns: () => [0, 1] },
  cgroup_sockopt: {
    context: CGROUP_SOCKOPT_CONTEXT,
    readsPacket: true,
    writesPacket: true,
    anyHelperReadsPacket: true,
    returns: () => [0, 1],
  },
  cgroup_device: { context: CGROUP_DEVICE_CONTEXT, returns: () => [0, 1] },
  sock_ops: { context: SOCK_OPS_CONTEXT, returns: () => [0, 1] },
  sk_skb: { context: SK_SKB_CONTEXT, readsPacket: true, writesPacket: true },
  sk_msg: { context: SK_MSG_CONTEXT, readsPacket: true, writesPacket: true },
  sk_lookup: { context: SK_LOOKUP_CONTEXT, returns: () => [0, 1] },
  sk_reuseport: { context: SK_REUSEPORT_CONTEXT, readsPacket: true },
  flow_dissector: { context: FLOW_DISSECTOR_CONTEXT, readsPacket: true },
  lwt_in: { context: LWT_CONTEXT, readsPacket: true },
  lwt_out: { context: LWT_CONTEXT, readsPacket: true },
  lwt_xmit: { context: LWT_CONTEXT, readsPacket: true, writesPacket: true },
  lwt_seg6local: { context: LWT_CONTEXT, readsPacket: true },
  raw_tracepoint_writable: { context: WRITABLE_TRACEPOINT_CONTEXT, bareContext: true },
  kprobe: {
    context: KPROBE_CONTEXT,
    bareContext: true,
    returns: (attachType) => (attachType?.endsWith('probe_session') ? [0, 1] : undefined),
  },
};

/** SEC("iter/…"). */
export const isIterator = ({ type, attachType }: Kind) => type === 'tracing' && attachType === 'trace_iter';

/** SEC("tp_btf/…"). */
const isTypedTracepoint = ({ type, attachType }: Kind) => type === 'tracing' && attachType === 'trace_raw_tp';

type Kind = Pick<ProgramToVerify, 'type' | 'attachType'>;

/** Types of which all programs are judged. */
export const JUDGED_TYPES: readonly string[] = [...Object.keys(PROGRAM_RULES), 'netfilter'];

/** Whether programs of a kind are judged, iterators as far as what they iterate over is known. */
export function isJudged(program: Kind): boolean {
  const { type = 'syscall' } = program;
  return isIterator(program) || isTypedTracepoint(program) || JUDGED_TYPES.includes(type);
}

/** The rules for a program; undefined where it is not judged. Throws EINVAL for an iterator that does not say over what. */
export function rulesFor(program: ProgramToVerify): ProgramRules | undefined {
  const { type = 'syscall', kernelBtf } = program;
  if (type === 'netfilter') return kernelBtf && netfilterRules(kernelBtf);
  if (isTypedTracepoint(program)) return tracepointRules(program);
  return isIterator(program) ? iteratorRules(program) : PROGRAM_RULES[type];
}
