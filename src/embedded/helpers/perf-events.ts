import { ERRNO } from '../../errors.ts';
import { skbPieces, xdpPieces } from '../contexts/pieces.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import type { PerfEventArrayMap } from '../maps/perf-event-array.ts';

/** Sending data to user space through perf events. There are none that count anything: reading one is refused at load. */

const BPF_F_INDEX_MASK = 0xffff_ffff;
const BPF_F_CURRENT_CPU = BPF_F_INDEX_MASK;
/** Bytes of the packet behind the data: flags >> 32, in 20 bits. */
const MOST_OF_PACKET = 0xfffff;

/** How bytes of a packet are found, by type of program; the others send none. */
const PACKETS: Readonly<Record<string, typeof skbPieces>> = {
  xdp: xdpPieces,
  sched_cls: skbPieces,
  sched_act: skbPieces,
  socket_filter: skbPieces,
  cgroup_skb: skbPieces,
};

/** bpf_perf_event_output, bpf_skb_event_output and bpf_xdp_event_output. */
export function perf_event_output(
  cpu: Cpu,
  ctx: KernelOffset,
  map: EmbeddedMap,
  flags: number,
  data: KernelOffset,
  size: number,
): number {
  const length = Math.floor(flags / 2 ** 32);
  const index = flags % 2 ** 32;
  const piecesOf = PACKETS[cpu.program?.type ?? ''];
  if (length > (piecesOf === undefined ? 0 : MOST_OF_PACKET)) return -ERRNO.EINVAL;
  const pieces = [{ at: data as number, length: size }];
  if (length > 0) {
    const packet = (piecesOf as typeof skbPieces)(cpu, ctx, 0, length);
    if (typeof packet === 'number') return -ERRNO.EFAULT;
    pieces.push(...packet);
  }
  const slot = index === BPF_F_CURRENT_CPU ? cpu.id : index;
  return (map as PerfEventArrayMap).output(slot, pieces, cpu.id);
}
