import { ERRNO } from '../../errors.ts';
import type { ProgramType } from '../../object/program-types.ts';
import { SkBuff } from '../contexts/skb-buff.ts';
import { XdpBuff } from '../contexts/xdp-buff.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import { DYNPTR, type DynptrKind, makeDynptr, makeNullDynptr } from './dynptr.ts';

/** Dynptrs over the packet that a program sees. Their pointer names the context, which knows where the packet is. */

/** Programs that may write the packet (Linux: may_access_direct_pkt_data). */
const WRITERS: readonly ProgramType[] = ['xdp', 'sched_cls', 'sched_act'];

function make(cpu: Cpu, ctx: KernelOffset, flags: number, at: KernelOffset, kind: DynptrKind, size: number) {
  if (flags !== 0) {
    makeNullDynptr(cpu, at);
    return -ERRNO.EINVAL;
  }
  const type = cpu.program?.type;
  makeDynptr(cpu, at, kind, ctx, size, type === undefined || !WRITERS.includes(type));
  return 0;
}

export const PACKET_DYNPTR_KFUNCS = {
  bpf_dynptr_from_skb: (cpu: Cpu, skb: KernelOffset, flags: number, at: KernelOffset) =>
    make(cpu, skb, flags, at, DYNPTR.skb, new SkBuff(cpu.kernel.memory, skb).length),

  /** No packet has metadata where classifiers run. */
  bpf_dynptr_from_skb_meta: (cpu: Cpu, skb: KernelOffset, flags: number, at: KernelOffset) =>
    make(cpu, skb, flags, at, DYNPTR.skb_meta, 0),

  bpf_dynptr_from_xdp: (cpu: Cpu, xdp: KernelOffset, flags: number, at: KernelOffset) =>
    make(cpu, xdp, flags, at, DYNPTR.xdp, new XdpBuff(cpu.kernel.memory, xdp).length),
};
