import { ERRNO } from '../../errors.ts';
import { ETH_P_IP, ETH_P_IPV6, SkBuff } from '../contexts/skb-buff.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';

/** Helpers on Internet checksums (RFC 1071, RFC 1624; net/core/filter.c). Sums are of 16-bit words as they lie in memory. */

const BPF_F_HDR_FIELD_MASK = 0xf;
const BPF_F_PSEUDO_HDR = 1 << 4;
const BPF_F_MARK_MANGLED_0 = 1 << 5;
const BPF_F_MARK_ENFORCE = 1 << 6;
const BPF_F_IPV6 = 1 << 7;
const U16_MAX = 0xffff;
const { ENOTSUPP } = ERRNO;
/** Linux: CSUM_MANGLED_0. */
const MANGLED_0 = 0xffff;
const CHECKSUM_NONE = 0;
const CHECKSUM_UNNECESSARY = 1;
const CHECKSUM_COMPLETE = 2;

/** One's complement addition in 32 bits. */
export function add(a: number, b: number): number {
  const sum = (a >>> 0) + (b >>> 0);
  return sum > 0xffffffff ? (sum + 1) >>> 0 : sum;
}

/** 32 bits in 16, one's complement (Linux: csum_from32to16). */
function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** The checksum after bytes of it changed. @param check as it stands in memory. */
function replaced(check: number, from: number, to: number): number {
  return ~fold(add(add(~check >>> 0, ~from >>> 0), to)) & 0xffff;
}

/** The sum of bytes, the last one of an odd number on its own. */
function sumOf(bytes: Uint8Array, at: number, size: number, seed: number): number {
  let sum = seed;
  for (let i = 0; i < size; i += 2)
    sum = add(sum, bytes[at + i] | (i + 1 < size ? bytes[at + i + 1] << 8 : 0));
  return sum;
}

/** How a checksum in the packet changes: from one value to another of so many bytes, or, with 0, by a difference. */
function change(check: number, from: bigint, to: bigint, bytes: number): number | undefined {
  const [old, now] = [Number(from & 0xffffffffn), Number(to & 0xffffffffn)];
  switch (bytes) {
    case 0:
      return from === 0n ? ~fold(add(now, ~check >>> 0)) & 0xffff : undefined;
    case 2:
      return replaced(check, old & 0xffff, now & 0xffff);
    case 4:
      return replaced(check, old, now);
    default:
      return undefined;
  }
}

export function l3_csum_replace(
  cpu: Cpu,
  ctx: KernelOffset,
  offset: number,
  from: bigint,
  to: bigint,
  flags: number,
): number {
  if (flags > BPF_F_HDR_FIELD_MASK) return -ERRNO.EINVAL;
  return replaceIn(cpu, ctx, offset, (check) => change(check, from, to, flags));
}

export function l4_csum_replace(
  cpu: Cpu,
  ctx: KernelOffset,
  offset: number,
  from: bigint,
  to: bigint,
  flags: number,
): number {
  const all =
    BPF_F_HDR_FIELD_MASK | BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_IPV6;
  if (flags > all) return -ERRNO.EINVAL;
  const mangled = (flags & BPF_F_MARK_MANGLED_0) !== 0;
  const enforced = (flags & BPF_F_MARK_ENFORCE) !== 0;
  return replaceIn(cpu, ctx, offset, (check) => {
    // UDP without a checksum stays without.
    if (mangled && !enforced && check === 0) return 0;
    const next = change(check, from, to, flags & BPF_F_HDR_FIELD_MASK);
    return mangled && next === 0 ? MANGLED_0 : next;
  });
}

function replaceIn(
  cpu: Cpu,
  ctx: KernelOffset,
  offset: number,
  replace: (check: number) => number | undefined,
): number {
  const { memory } = cpu.kernel;
  const skb = new SkBuff(memory, ctx);
  if (offset > U16_MAX || offset % 2 !== 0 || offset + 2 > skb.length) return -ERRNO.EFAULT;
  const at = skb.data + offset;
  const next = replace(memory.view.getUint16(at, true));
  if (next === undefined) return -ERRNO.EINVAL;
  memory.view.setUint16(at, next, true);
  return 0;
}

export function csum_diff(
  cpu: Cpu,
  from: KernelOffset,
  fromSize: number,
  to: KernelOffset,
  toSize: number,
  seed: number,
): number {
  const { bytes } = cpu.kernel.memory;
  if (fromSize === 0) return fold(sumOf(bytes, to, toSize, seed));
  if (toSize === 0) return fold(~sumOf(bytes, from, fromSize, ~seed >>> 0) >>> 0);
  return fold(add(sumOf(bytes, to, toSize, seed), ~sumOf(bytes, from, fromSize, 0) >>> 0));
}

export function csum_update(cpu: Cpu, ctx: KernelOffset, csum: number): number {
  const skb = new SkBuff(cpu.kernel.memory, ctx);
  if (skb.get('ipSummed') !== CHECKSUM_COMPLETE) return -ENOTSUPP;
  skb.set('csum', add(skb.get('csum'), csum));
  return skb.get('csum');
}

const BPF_CSUM_LEVEL_QUERY = 0;
const BPF_CSUM_LEVEL_INC = 1;
const BPF_CSUM_LEVEL_DEC = 2;
const BPF_CSUM_LEVEL_RESET = 3;
/** Linux: SKB_MAX_CSUM_LEVEL. */
const MAX_LEVEL = 3;

export function csum_level(cpu: Cpu, ctx: KernelOffset, level: number): number {
  const skb = new SkBuff(cpu.kernel.memory, ctx);
  const unnecessary = skb.get('ipSummed') === CHECKSUM_UNNECESSARY;
  const now = skb.get('csumLevel');
  const none = () => {
    skb.set('ipSummed', CHECKSUM_NONE);
    skb.set('csumLevel', 0);
  };
  switch (level) {
    case BPF_CSUM_LEVEL_QUERY:
      return unnecessary ? now : -ERRNO.EACCES;
    case BPF_CSUM_LEVEL_INC:
      if (unnecessary) skb.set('csumLevel', Math.min(now + 1, MAX_LEVEL));
      else if (skb.get('ipSummed') === CHECKSUM_NONE) skb.set('ipSummed', CHECKSUM_UNNECESSARY);
      return 0;
    case BPF_CSUM_LEVEL_DEC:
      if (unnecessary && now > 0) skb.set('csumLevel', now - 1);
      else if (unnecessary) none();
      return 0;
    case BPF_CSUM_LEVEL_RESET:
      if (unnecessary) none();
      return 0;
    default:
      return -ERRNO.EINVAL;
  }
}

export function skb_ecn_set_ce(cpu: Cpu, ctx: KernelOffset): number {
  const { memory } = cpu.kernel;
  const skb = new SkBuff(memory, ctx);
  const { bytes, view } = memory;
  const at = skb.get('networkHeader');
  const protocol = skb.innerProtocol;
  if (protocol === ETH_P_IP) {
    if (at + 20 > skb.tail) return 0;
    const ecn = bytes[at + 1] & 3;
    if (ecn === 0 || ecn === 3) return ecn === 0 ? 0 : 1;
    const before = view.getUint16(at, true);
    bytes[at + 1] |= 3;
    view.setUint16(at + 10, replaced(view.getUint16(at + 10, true), before, view.getUint16(at, true)), true);
    return 1;
  }
  if (protocol !== ETH_P_IPV6 || at + 40 > skb.tail) return 0;
  const ecn = (bytes[at + 1] >> 4) & 3;
  if (ecn === 0) return 0;
  bytes[at + 1] |= 3 << 4;
  return 1;
}
