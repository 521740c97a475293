import type { ProgramType } from '../object/program-types.ts';
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

/** What the verifier asks of a program's type: one row each. Programs of other types are unsupported, never accepted. */
export interface ProgramRules {
  readonly context: ContextRules;
  /** May programs of the type sleep? */
  readonly sleepable?: boolean;
  /** Its context holds pointers to packet data (Linux: may_access_direct_pkt_data). */
  readonly readsPacket?: boolean;
  readonly writesPacket?: boolean;
  /** The context is plain memory: nothing of it is translated (Linux: no convert_ctx_access). */
  readonly bareContext?: boolean;
  /** May it load packet data by BPF_ABS and BPF_IND (Linux: may_access_skb)? */
  readonly loadsPacket?: boolean;
  /** What r0 may be at the end, by attach type. Absent, or undefined: anything. */
  readonly returns?: (attachType: string | undefined) => readonly [number, number] | undefined;
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
  kprobe: {
    context: KPROBE_CONTEXT,
    bareContext: true,
    returns: (attachType) => (attachType?.endsWith('probe_session') ? [0, 1] : undefined),
  },
};

/** SEC("iter/…"). */
export const isIterator = ({ type, attachType }: Kind) => type === 'tracing' && attachType === 'trace_iter';

type Kind = Pick<ProgramToVerify, 'type' | 'attachType'>;

/** Whether programs of a kind are judged, iterators as far as what they iterate over is known. */
export function isJudged(program: Kind): boolean {
  return isIterator(program) || PROGRAM_RULES[program.type ?? 'syscall'] !== undefined;
}

/** The rules for a program; undefined where it is not judged. Throws EINVAL for an iterator that does not say over what. */
export function rulesFor(program: ProgramToVerify): ProgramRules | undefined {
  return isIterator(program) ? iteratorRules(program) : PROGRAM_RULES[program.type ?? 'syscall'];
}
