import type { Cpu } from '../cpu.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import type { RedirectMap } from '../maps/redirect-map.ts';

const XDP_ABORTED = 0;
const XDP_REDIRECT = 4;
/** The verdict for when there is no element: the lower bits of the flags. */
const ACTION_MASK = 3;
const BPF_F_BROADCAST = 8;

/** bpf_redirect_map. The verifier lets no other maps get here. */
export function redirect_map(cpu: Cpu, map: EmbeddedMap, key: number, flags: number): number {
  const to = map as EmbeddedMap & RedirectMap;
  const known = ACTION_MASK | to.redirectFlags;
  if (flags > known || (flags & ~known) !== 0) return XDP_ABORTED;
  const all = (flags & to.redirectFlags & BPF_F_BROADCAST) !== 0;
  return all || to.leads(key, cpu.id) ? XDP_REDIRECT : flags & ACTION_MASK;
}
