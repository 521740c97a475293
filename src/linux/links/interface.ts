import type { BpfError } from '../../errors.ts';
import { findInterface, inNetworkNamespace, type NetworkInterface } from '../interfaces.ts';
import type { Info } from '../layouts.ts';
import type { Attached, LinkInfo } from './link.ts';

/**
 * What links to network interfaces share: naming one, also in another network namespace, and noticing that it is gone.
 */

export interface InterfaceTarget {
  /** Name or index. */
  interface: string | number;
  /** The network namespace it is in: a name (`ip netns`) or a path. Default: this thread's. */
  netns?: string;
}

/** Attaches to an interface, in its namespace. @param create makes the link. @param how for messages: `xdp`. */
export function attachToInterface(
  { interface: wanted, netns }: InterfaceTarget,
  how: string,
  create: (found: NetworkInterface, where: string) => Attached['fd'],
): Attached {
  return inNetworkNamespace(netns, () => {
    const found = findInterface(wanted);
    const where = `interface '${found.name}' (${how})`;
    return {
      fd: create(found, where),
      where,
      // { u32 ifindex; } first, for both kinds.
      decode: ({ extra0 }: Info<'link'>) => ({ interfaceIndex: Number(extra0 & 0xffffffffn) }),
      problem: ({ interfaceIndex }: LinkInfo) => problemOf(found, interfaceIndex, netns),
    };
  });
}

function problemOf(
  { name, index }: NetworkInterface,
  attachedTo: number | undefined,
  netns: string | undefined,
): string | undefined {
  try {
    const { up } = inNetworkNamespace(netns, () => findInterface(index));
    if (!attachedTo) return `it was detached from interface '${name}'`;
    return up ? undefined : `interface '${name}' is down`;
  } catch (error) {
    if (!attachedTo) return `interface '${name}' is gone`;
    return `interface '${name}' cannot be asked: ${(error as BpfError).message}`;
  }
}
