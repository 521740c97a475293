import { ERRNO } from '../../errors.ts';
import { ETH_HLEN } from '../contexts/context.ts';
import { ETH_P_IP, ETH_P_IPV6, SkBuff } from '../contexts/skb-buff.ts';
import { XDP_FRAME_BYTES, XdpBuff } from '../contexts/xdp-buff.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';

/** Helpers that make packets longer or shorter, at either end or behind a header (net/core/filter.c). */

const { ENOTSUPP } = ERRNO;
const EALREADY = 114;
/** The largest socket buffer (Linux: BPF_SKB_MAX_LEN). */
const MAX_SKB = 16_384 - 320;
const MAX_META = 255;

export function xdp_adjust_head(cpu: Cpu, ctx: KernelOffset, offset: number): number {
  const { memory } = cpu.kernel;
  const buff = new XdpBuff(memory, ctx);
  const { dataMeta } = buff;
  const meta = buff.data - dataMeta;
  const data = buff.data + offset;
  if (data < buff.frame + XDP_FRAME_BYTES + meta || data > buff.dataEnd - ETH_HLEN) return -ERRNO.EINVAL;
  memory.bytes.copyWithin(dataMeta + offset, dataMeta, dataMeta + meta);
  buff.dataMeta = dataMeta + offset;
  buff.data = data;
  return 0;
}

export function xdp_adjust_meta(cpu: Cpu, ctx: KernelOffset, offset: number): number {
  const buff = new XdpBuff(cpu.kernel.memory, ctx);
  const dataMeta = buff.dataMeta + offset;
  const meta = buff.data - dataMeta;
  if (dataMeta < buff.frame + XDP_FRAME_BYTES || meta < 0) return -ERRNO.EINVAL;
  if (meta % 4 !== 0 || meta > MAX_META) return -ERRNO.EACCES;
  buff.dataMeta = dataMeta;
  return 0;
}

export function xdp_adjust_tail(cpu: Cpu, ctx: KernelOffset, offset: number): number {
  const { memory } = cpu.kernel;
  const buff = new XdpBuff(memory, ctx);
  if (buff.fragCount > 0)
    return offset < 0 ? shrinkFragments(buff, -offset) : growFragment(cpu, buff, offset);
  const end = buff.dataEnd + offset;
  if (end > buff.hardEnd || end < buff.data + ETH_HLEN) return -ERRNO.EINVAL;
  if (offset > 0) memory.bytes.fill(0, buff.dataEnd, end);
  buff.dataEnd = end;
  return 0;
}

export const PACKET_SIZE_KFUNCS = {
  /** Moves bytes from fragments into the frame until `length` of the packet are there, the packet towards the front if need be. */
  bpf_xdp_pull_data: (cpu: Cpu, ctx: KernelOffset, length: number): number => {
    const buff = new XdpBuff(cpu.kernel.memory, ctx);
    const { data, dataMeta, dataEnd } = buff;
    const missing = length - (dataEnd - data);
    if (missing <= 0) return 0;
    const before = dataMeta - buff.frame - XDP_FRAME_BYTES;
    const behind = buff.hardEnd - dataEnd;
    if (length > buff.length || missing > before + behind) return -ERRNO.EINVAL;
    const shift = Math.max(0, missing - behind);
    cpu.kernel.memory.bytes.copyWithin(dataMeta - shift, dataMeta, dataEnd);
    buff.dataMeta = dataMeta - shift;
    buff.data = data - shift;
    buff.dataEnd = dataEnd - shift;
    buff.pull(missing);
    return 0;
  },
};

function shrinkFragments(buff: XdpBuff, bytes: number): number {
  if (bytes > buff.length - ETH_HLEN) return -ERRNO.EINVAL;
  let left = bytes;
  for (let last = buff.fragCount - 1; last >= 0 && left > 0; last--) {
    const { length } = buff.fragment(last);
    const less = Math.min(length, left);
    left -= less;
    buff.setFragment(last, length - less);
    if (less === length) buff.fragCount = last;
  }
  if (left > 0) buff.dataEnd -= left;
  return 0;
}

function growFragment(cpu: Cpu, buff: XdpBuff, bytes: number): number {
  const last = buff.fragCount - 1;
  const { at, length } = buff.fragment(last);
  if (bytes > buff.fragmentRoom(last)) return -ERRNO.EINVAL;
  cpu.kernel.memory.bytes.fill(0, at + length, at + length + bytes);
  buff.setFragment(last, length + bytes);
  return 0;
}

export function skb_change_tail(cpu: Cpu, ctx: KernelOffset, length: number, flags: number): number {
  const skb = new SkBuff(cpu.kernel.memory, ctx);
  const least = Math.max(0, skb.get('networkHeader') - skb.data);
  if (flags !== 0 || length > MAX_SKB || length < least) return -ERRNO.EINVAL;
  if (!skb.resize(length)) return -ERRNO.ENOMEM;
  for (const field of ['gsoSize', 'gsoSegs'] as const) skb.set(field, 0);
  return 0;
}

export function skb_change_head(cpu: Cpu, ctx: KernelOffset, bytes: number, flags: number): number {
  const skb = new SkBuff(cpu.kernel.memory, ctx);
  const isGso = skb.get('gsoSize') !== 0;
  if (flags !== 0 || (!isGso && skb.length + bytes > MAX_SKB) || skb.length + bytes > 0xffffffff)
    return -ERRNO.EINVAL;
  if (!skb.insert(0, bytes)) return -ERRNO.ENOMEM;
  skb.set('macHeader', skb.data);
  return 0;
}

const BPF_ADJ_ROOM_NET = 0;
const BPF_ADJ_ROOM_MAC = 1;
const FLAG = {
  fixedGso: 1 << 0,
  encapIpv4: 1 << 1,
  encapIpv6: 1 << 2,
  gre: 1 << 3,
  udp: 1 << 4,
  noCsumReset: 1 << 5,
  ethernet: 1 << 6,
  decapIpv4: 1 << 7,
  decapIpv6: 1 << 8,
} as const satisfies Record<string, number>;
const ALL_FLAGS = 0x1ff;
/** Bits 56 and up: bytes of the inner Ethernet header. */
const INNER_MAC = 2 ** 56;
const MAX_ROOM = 0xfff;

export function skb_adjust_room(
  cpu: Cpu,
  ctx: KernelOffset,
  difference: number,
  mode: number,
  given: number,
): number {
  const skb = new SkBuff(cpu.kernel.memory, ctx);
  const innerMac = Math.floor(given / INNER_MAC);
  const flags = given % INNER_MAC;
  if (flags > ALL_FLAGS) return -ERRNO.EINVAL;
  const bytes = Math.abs(difference);
  if (bytes > MAX_ROOM) return -ERRNO.EFAULT;
  if (!skb.isIpv4 && !skb.isIpv6) return -ENOTSUPP;
  const header = skb.isIpv4 ? 20 : 40;
  const network = skb.get('networkHeader') - skb.data;
  const at = skb.get('networkHeader') - skb.get('macHeader') + (mode === BPF_ADJ_ROOM_NET ? header : 0);
  if (mode !== BPF_ADJ_ROOM_NET && mode !== BPF_ADJ_ROOM_MAC) return -ENOTSUPP;
  const decap = flags & (FLAG.decapIpv4 | FLAG.decapIpv6);
  const shrinks = difference < 0;
  if (decap !== 0 && (!shrinks || decap === (FLAG.decapIpv4 | FLAG.decapIpv6))) return -ERRNO.EINVAL;
  const least = decap === FLAG.decapIpv4 ? 20 : decap === FLAG.decapIpv6 ? 40 : header;
  const isGso = skb.get('gsoSize') !== 0;
  if (shrinks && skb.length - network - bytes < Math.max(1, least)) return -ENOTSUPP;
  if (!shrinks && skb.length + bytes > MAX_SKB && !isGso) return -ENOTSUPP;
  return shrinks ? shrink(skb, at, bytes, flags, isGso) : grow(skb, at, bytes, flags, innerMac, isGso);
}

function shrink(skb: SkBuff, at: number, bytes: number, flags: number, isGso: boolean): number {
  if ((flags & ~(FLAG.fixedGso | FLAG.decapIpv4 | FLAG.decapIpv6 | FLAG.noCsumReset)) !== 0)
    return -ERRNO.EINVAL;
  if (isGso) return -ENOTSUPP;
  if (at + bytes > skb.length) return -ERRNO.ENOMEM;
  skb.remove(at, bytes);
  skb.moveHeaders(bytes);
  if ((flags & FLAG.decapIpv6) !== 0) skb.set('protocol', ETH_P_IPV6);
  else if ((flags & FLAG.decapIpv4) !== 0) skb.set('protocol', ETH_P_IP);
  return 0;
}

function grow(
  skb: SkBuff,
  at: number,
  bytes: number,
  flags: number,
  innerMac: number,
  isGso: boolean,
): number {
  if (isGso) return -ENOTSUPP;
  const both = (one: number, other: number) => (flags & one) !== 0 && (flags & other) !== 0;
  const encap = (flags & (FLAG.encapIpv4 | FLAG.encapIpv6)) !== 0;
  if (encap) {
    if (both(FLAG.encapIpv4, FLAG.encapIpv6) || both(FLAG.gre, FLAG.udp)) return -ERRNO.EINVAL;
    if ((flags & FLAG.ethernet) !== 0 && innerMac < ETH_HLEN) return -ERRNO.EINVAL;
    if (skb.get('encapsulation') !== 0) return -EALREADY;
    if (innerMac > bytes) return -ERRNO.EINVAL;
  }
  if (at > skb.length) return -ERRNO.EFAULT;
  if (!skb.insert(at, bytes)) return -ERRNO.ENOMEM;
  skb.moveHeaders(-bytes);
  if (!encap) return 0;
  skb.set('encapsulation', 1);
  skb.set('protocol', (flags & FLAG.encapIpv6) !== 0 ? ETH_P_IPV6 : ETH_P_IP);
  return 0;
}

/** From IPv4 to IPv6 or back: room for the other header; the program writes it. */
export function skb_change_proto(cpu: Cpu, ctx: KernelOffset, protocol: number, flags: number): number {
  const skb = new SkBuff(cpu.kernel.memory, ctx);
  if (flags !== 0) return -ERRNO.EINVAL;
  const to = protocol & 0xffff;
  const at = skb.get('networkHeader') - skb.get('macHeader');
  if (skb.isIpv4 && to === ETH_P_IPV6) {
    if (!skb.insert(at, 20)) return -ERRNO.ENOMEM;
    skb.moveHeaders(-20);
  } else if (skb.isIpv6 && to === ETH_P_IP) {
    if (at + 20 > skb.length) return -ERRNO.ENOMEM;
    skb.remove(at, 20);
    skb.moveHeaders(20);
  } else return -ENOTSUPP;
  skb.set('protocol', to);
  skb.clearHash();
  return 0;
}
