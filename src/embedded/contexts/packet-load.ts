import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { SkBuff } from './skb-buff.ts';

/** What BPF_ABS and BPF_IND load (net/core/filter.c, bpf_skb_load_helper_32 and its like): numbers in network order. */

/** Offsets from here on are from the network header, and below from the Ethernet header (Linux: SKF_NET_OFF, SKF_LL_OFF). */
const NETWORK = -0x100000;
const ETHERNET = -0x200000;

/** @param offset signed; from the packet's first byte where not negative. @returns the number, or −1 where there is none. */
export function loadFromPacket(
  memory: KernelMemory,
  ctx: KernelOffset,
  offset: number,
  size: number,
): number {
  const skb = new SkBuff(memory, ctx);
  const at = placeOf(skb, offset);
  if (at === undefined || at + size > skb.tail) return -1;
  const { view } = memory;
  return size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at, false) : view.getUint32(at, false);
}

function placeOf(skb: SkBuff, offset: number): number | undefined {
  if (offset >= 0) return skb.data + offset;
  if (offset >= NETWORK) return skb.get('networkHeader') + offset - NETWORK;
  return offset >= ETHERNET ? skb.get('macHeader') + offset - ETHERNET : undefined;
}
