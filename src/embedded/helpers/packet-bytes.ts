import { ERRNO } from '../../errors.ts';
import { SkBuff } from '../contexts/skb-buff.ts';
import { XdpBuff } from '../contexts/xdp-buff.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';

/** Helpers that copy bytes out of packets and into them (net/core/filter.c). */

const INT_MAX = 0x7fffffff;
/** The largest offset or length in some helpers. */
const U16_MAX = 0xffff;
const BPF_F_RECOMPUTE_CSUM = 1;
const BPF_F_INVALIDATE_HASH = 2;

export function skb_load_bytes(
  cpu: Cpu,
  ctx: KernelOffset,
  offset: number,
  to: KernelOffset,
  size: number,
): number {
  const { memory } = cpu.kernel;
  const skb = new SkBuff(memory, ctx);
  return copyOut(cpu, skb.data, offset > INT_MAX ? INT_MAX : offset, skb.tail, to, size);
}

const BPF_HDR_START_MAC = 0;
const BPF_HDR_START_NET = 1;

export function skb_load_bytes_relative(
  cpu: Cpu,
  ctx: KernelOffset,
  offset: number,
  to: KernelOffset,
  size: number,
  header: number,
): number {
  const skb = new SkBuff(cpu.kernel.memory, ctx);
  const known = header === BPF_HDR_START_MAC || header === BPF_HDR_START_NET;
  const start = skb.get(header === BPF_HDR_START_NET ? 'networkHeader' : 'macHeader');
  return copyOut(cpu, start, known && offset <= U16_MAX ? offset : INT_MAX, skb.tail, to, size);
}

/** Where the bytes are not there, what should hold them is 0 afterwards. */
function copyOut(cpu: Cpu, start: number, offset: number, end: number, to: number, size: number): number {
  const { bytes } = cpu.kernel.memory;
  const at = start + offset;
  if (at + size > end) {
    bytes.fill(0, to, to + size);
    return -ERRNO.EFAULT;
  }
  bytes.copyWithin(to, at, at + size);
  return 0;
}

export function skb_store_bytes(
  cpu: Cpu,
  ctx: KernelOffset,
  offset: number,
  from: KernelOffset,
  size: number,
  flags: number,
): number {
  const { memory } = cpu.kernel;
  if (flags > (BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH)) return -ERRNO.EINVAL;
  const skb = new SkBuff(memory, ctx);
  if (offset > INT_MAX || offset + size > skb.length) return -ERRNO.EFAULT;
  const at = skb.data + offset;
  memory.bytes.copyWithin(at, from, from + size);
  if ((flags & BPF_F_INVALIDATE_HASH) !== 0) skb.clearHash();
  return 0;
}

export function skb_pull_data(cpu: Cpu, ctx: KernelOffset, size: number): number {
  return size > new SkBuff(cpu.kernel.memory, ctx).length ? -ERRNO.ENOMEM : 0;
}

export function xdp_get_buff_len(cpu: Cpu, ctx: KernelOffset): number {
  return new XdpBuff(cpu.kernel.memory, ctx).length;
}

export function xdp_load_bytes(
  cpu: Cpu,
  ctx: KernelOffset,
  offset: number,
  to: KernelOffset,
  size: number,
): number {
  const { memory } = cpu.kernel;
  const buff = new XdpBuff(memory, ctx);
  const problem = outside(buff, offset, size);
  if (problem !== 0) return problem;
  let next: number = to;
  for (const { at, length } of buff.pieces(offset, size)) {
    memory.bytes.copyWithin(next, at, at + length);
    next += length;
  }
  return 0;
}

export function xdp_store_bytes(
  cpu: Cpu,
  ctx: KernelOffset,
  offset: number,
  from: KernelOffset,
  size: number,
): number {
  const { memory } = cpu.kernel;
  const buff = new XdpBuff(memory, ctx);
  const problem = outside(buff, offset, size);
  if (problem !== 0) return problem;
  let next: number = from;
  for (const { at, length } of buff.pieces(offset, size)) {
    memory.bytes.copyWithin(at, next, next + length);
    next += length;
  }
  return 0;
}

function outside(buff: XdpBuff, offset: number, size: number): number {
  if (offset > U16_MAX || size > U16_MAX) return -ERRNO.EFAULT;
  return offset + size > buff.length ? -ERRNO.EINVAL : 0;
}
