import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import { SkBuff } from './skb-buff.ts';
import { type Piece, XdpBuff } from './xdp-buff.ts';

/** Where the bytes of a packet are, for dynptrs: it is found through its context each time, since it may have moved. */

export function skbPieces(
  { kernel: { memory } }: Cpu,
  ctx: KernelOffset,
  offset: number,
  length: number,
): readonly Piece[] | number {
  const skb = new SkBuff(memory, ctx);
  return offset + length > skb.length ? -ERRNO.EFAULT : [{ at: skb.data + offset, length }];
}

export function xdpPieces(
  { kernel: { memory } }: Cpu,
  ctx: KernelOffset,
  offset: number,
  length: number,
): readonly Piece[] | number {
  const buff = new XdpBuff(memory, ctx);
  return offset + length > buff.length ? -ERRNO.EINVAL : [...buff.pieces(offset, length)];
}
