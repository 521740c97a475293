import type { ProgramType } from '../object/program-types.ts';
import {
  CGROUP_SKB_CONTEXT,
  type ContextRules,
  RAW_TRACEPOINT_CONTEXT,
  SCHED_CLS_CONTEXT,
  SOCKET_FILTER_CONTEXT,
  SYSCALL_CONTEXT,
  XDP_CONTEXT,
} from './context.ts';

/** What the verifier asks of a program's type: one row each. Programs of other types are unsupported, never accepted. */
export interface ProgramRules {
  readonly context: ContextRules;
  /** May programs of the type sleep? */
  readonly sleepable?: boolean;
  readonly writesPacket?: boolean;
  /** What r0 may be at the end, by attach type. Absent: anything. */
  readonly returns?: (attachType: string | undefined) => readonly [number, number];
}

export const PROGRAM_RULES: Partial<Record<ProgramType, ProgramRules>> = {
  syscall: { context: SYSCALL_CONTEXT, sleepable: true },
  xdp: { context: XDP_CONTEXT, writesPacket: true },
  sched_cls: { context: SCHED_CLS_CONTEXT, writesPacket: true },
  sched_act: { context: SCHED_CLS_CONTEXT, writesPacket: true },
  socket_filter: { context: SOCKET_FILTER_CONTEXT },
  cgroup_skb: {
    context: CGROUP_SKB_CONTEXT,
    returns: (attachType) => (attachType === 'cgroup_inet_egress' ? [0, 3] : [0, 1]),
  },
  raw_tracepoint: { context: RAW_TRACEPOINT_CONTEXT },
};
