import { ERRNO } from '../../errors.ts';
import { ETH_HLEN } from '../contexts/context.ts';
import { ETH_P_8021AD, ETH_P_8021Q, isVlan, SkBuff, VLAN_HLEN } from '../contexts/skb-buff.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';

/** Helpers on what a socket buffer knows of its packet: its hash, type, VLAN tag and time (net/core/filter.c, skbuff.c). */

const PACKET_OTHERHOST = 3;
/** The two addresses of an Ethernet header. */
const ADDRESSES = 12;

/** A hash of the flow. Linux's has a secret that differs by boot, so nobody can rely on its value; ours has none. */
export function get_hash_recalc(cpu: Cpu, ctx: KernelOffset): number {
  const { memory } = cpu.kernel;
  const skb = new SkBuff(memory, ctx);
  if (skb.get('hash') !== 0 || skb.get('hashKind') !== 0) return skb.get('hash');
  const at = skb.get('networkHeader');
  const end = Math.min(skb.tail, at + (skb.isIpv4 ? 24 : 44));
  let hash = skb.protocol;
  for (let i = at + (skb.isIpv4 ? 9 : 6); i < end; i++) hash = Math.imul(hash ^ memory.bytes[i], 0x01000193);
  skb.set('hash', hash >>> 0 || 1);
  skb.set('hashKind', 2);
  return skb.get('hash');
}

export function set_hash_invalid(cpu: Cpu, ctx: KernelOffset): number {
  new SkBuff(cpu.kernel.memory, ctx).clearHash();
  return 0;
}

export function set_hash(cpu: Cpu, ctx: KernelOffset, hash: number): number {
  const skb = new SkBuff(cpu.kernel.memory, ctx);
  skb.set('hash', hash);
  skb.set('hashKind', 3);
  return 0;
}

export function skb_change_type(cpu: Cpu, ctx: KernelOffset, type: number): number {
  const skb = new SkBuff(cpu.kernel.memory, ctx);
  if (skb.get('pktType') > PACKET_OTHERHOST || type > PACKET_OTHERHOST) return -ERRNO.EINVAL;
  skb.set('pktType', type);
  return 0;
}

/** The tag stands beside the packet; one that stood there goes into it. */
export function skb_vlan_push(cpu: Cpu, ctx: KernelOffset, given: number, tci: number): number {
  const { memory } = cpu.kernel;
  const skb = new SkBuff(memory, ctx);
  const protocol = given & 0xffff;
  if (skb.get('vlanPresent') !== 0) {
    if (!skb.insert(ADDRESSES, VLAN_HLEN)) return -ERRNO.ENOMEM;
    skb.moveHeaders(-VLAN_HLEN);
    const at = skb.data + ADDRESSES;
    memory.view.setUint16(at, skb.get('vlanProto'), true);
    memory.view.setUint16(at + 2, skb.get('vlanTci'), false);
    skb.set('protocol', skb.get('vlanProto'));
  }
  skb.setVlan(protocol === ETH_P_8021AD ? protocol : ETH_P_8021Q, tci & 0xffff);
  return 0;
}

/** Takes a tag away, the one beside the packet first; the next one in the packet then stands beside it. */
export function skb_vlan_pop(cpu: Cpu, ctx: KernelOffset): number {
  const skb = new SkBuff(cpu.kernel.memory, ctx);
  if (skb.get('vlanPresent') !== 0) skb.setVlan(undefined);
  else if (!isVlan(skb.protocol)) return 0;
  else if (untag(cpu, skb) === undefined) return -ERRNO.ENOMEM;
  if (!isVlan(skb.protocol)) return 0;
  const { protocol } = skb;
  const tci = untag(cpu, skb);
  if (tci === undefined) return -ERRNO.ENOMEM;
  skb.setVlan(protocol, tci);
  return 0;
}

/** Takes a tag out of the packet. @returns what it holds; undefined where the packet is too short. */
function untag(cpu: Cpu, skb: SkBuff): number | undefined {
  const { view } = cpu.kernel.memory;
  if (skb.length < ETH_HLEN + VLAN_HLEN) return undefined;
  const at = skb.data + ADDRESSES;
  const tci = view.getUint16(at + 2, false);
  const protocol = view.getUint16(at + 4, true);
  skb.remove(ADDRESSES, VLAN_HLEN);
  skb.set('macHeader', skb.data);
  if (skb.get('networkHeader') - skb.data < ETH_HLEN) skb.set('networkHeader', skb.data + ETH_HLEN);
  skb.set('protocol', protocol);
  return tci;
}

const TSTAMP_REALTIME = 0;
const TSTAMP_TAI = 2;

export function skb_set_tstamp(cpu: Cpu, ctx: KernelOffset, time: bigint, type: number): number {
  const { view } = cpu.kernel.memory;
  const skb = new SkBuff(cpu.kernel.memory, ctx);
  if (!skb.isIpv4 && !skb.isIpv6) return -ERRNO.EOPNOTSUPP;
  if (type > TSTAMP_TAI || (type !== TSTAMP_REALTIME && time === 0n)) return -ERRNO.EINVAL;
  view.setBigUint64(ctx + 152, time, true);
  view.setUint8(ctx + 180, type);
  return 0;
}
