import { ERRNO } from '../../errors.ts';
import { SkBuff } from '../contexts/skb-buff.ts';
import { LOOPBACK } from '../contexts/structure.ts';
import { XdpBuff } from '../contexts/xdp-buff.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';

/**
 * Helpers that send packets elsewhere, or ask where they would go. Test runs send nothing: what counts is the verdict. There is one
 * interface, the loopback.
 */

const BPF_F_INGRESS = 1;
const XDP_ABORTED = 0;
const XDP_REDIRECT = 4;
const TC_ACT_SHOT = 2;
const TC_ACT_REDIRECT = 7;

export function redirect(cpu: Cpu, _interface: number, flags: number): number {
  if (cpu.program?.type === 'xdp') return flags === 0 ? XDP_REDIRECT : XDP_ABORTED;
  return flags > BPF_F_INGRESS ? TC_ACT_SHOT : TC_ACT_REDIRECT;
}

export function redirect_peer(_: Cpu, _interface: number, flags: number): number {
  return flags === 0 ? TC_ACT_REDIRECT : TC_ACT_SHOT;
}

/** Bytes of struct bpf_redir_neigh. */
const REDIR_NEIGH_BYTES = 20;

export function redirect_neigh(
  _: Cpu,
  _interface: number,
  _neighbour: KernelOffset,
  size: number,
  flags: number,
): number {
  return flags !== 0 || (size > 0 && size < REDIR_NEIGH_BYTES) ? TC_ACT_SHOT : TC_ACT_REDIRECT;
}

export function clone_redirect(_: Cpu, _ctx: KernelOffset, ifindex: number, flags: number): number {
  return flags > BPF_F_INGRESS || ifindex !== LOOPBACK ? -ERRNO.EINVAL : 0;
}

const BPF_MTU_CHK_SEGS = 1;
const MTU = 65_536;
const HARD_HEADER = 14;
const BPF_MTU_CHK_RET_FRAG_NEEDED = 1;

export function check_mtu(
  cpu: Cpu,
  ctx: KernelOffset,
  ifindex: number,
  length: KernelOffset,
  difference: number,
  flags: number,
): number {
  const { memory } = cpu.kernel;
  const isXdp = cpu.program?.type === 'xdp';
  const given = memory.view.getUint32(length, true);
  if (flags > (isXdp ? 0 : BPF_MTU_CHK_SEGS)) return -ERRNO.EINVAL;
  if (flags !== 0 && (difference !== 0 || given !== 0)) return -ERRNO.EINVAL;
  if (ifindex > LOOPBACK) return -ERRNO.ENODEV;
  const buff = isXdp ? new XdpBuff(memory, ctx) : undefined;
  const packet = buff === undefined ? new SkBuff(memory, ctx).length : buff.dataEnd - buff.data;
  const bytes = ((given === 0 ? packet : given + HARD_HEADER) + difference) | 0;
  memory.view.setUint32(length, MTU, true);
  return bytes > MTU + HARD_HEADER ? BPF_MTU_CHK_RET_FRAG_NEEDED : 0;
}

/** No packet has a route realm, or a class by cgroup. */
export const get_route_realm = (): number => 0;
export const skb_cgroup_classid = (): number => 0;
