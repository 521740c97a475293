import type { ProgramType } from '../../object/program-types.ts';
import { bytesContext } from './bytes.ts';
import { type Context, MAX_CTX } from './context.ts';
import { SKB_L2, SKB_L3 } from './skb.ts';
import { XDP } from './xdp.ts';

/** The context of each program type that runs here. */

/** Linux: MAX_BPF_FUNC_ARGS words. */
const RAW_TRACEPOINT_BYTES = 12 * 8;
/** Linux: PERF_MAX_TRACE_SIZE. */
const TRACEPOINT_BYTES = 8192;
/** struct bpf_perf_event_data on x86-64: the registers, the sample's period and its address. */
const PERF_EVENT_BYTES = 184;
/** struct pt_regs on x86-64. */
const REGISTERS_BYTES = 168;

const tracingContext = (most: number) => bytesContext({ most, makesTailCalls: true, comesBack: false });

export const CONTEXTS: Partial<Record<ProgramType, Context>> = {
  // They can sleep, which no array for tail calls allows.
  syscall: bytesContext({ most: MAX_CTX, makesTailCalls: false, comesBack: true }),
  xdp: XDP,
  sched_cls: SKB_L2,
  sched_act: SKB_L2,
  socket_filter: SKB_L3,
  cgroup_skb: SKB_L3,
  raw_tracepoint: tracingContext(RAW_TRACEPOINT_BYTES),
  // Linux runs these only where they are attached.
  tracepoint: tracingContext(TRACEPOINT_BYTES),
  perf_event: tracingContext(PERF_EVENT_BYTES),
  kprobe: tracingContext(REGISTERS_BYTES),
};

/** How programs of a type run. Throws TypeError for one that does not. */
export function contextOfType(type: ProgramType): Context {
  const context = CONTEXTS[type];
  if (context === undefined) throw new TypeError(`programs of type ${type} do not run`);
  return context;
}
