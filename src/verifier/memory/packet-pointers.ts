import type { Env } from '../env.ts';
import { type Reg, UNKNOWN_SCALAR } from '../state/reg.ts';

/** Packet data may have moved: pointers to it, and slices of it, are mere numbers now (Linux: clear_all_pkt_pointers). */
export function forgetPacketPointers(env: Env): void {
  env.eachReg((reg) => (reachesPacket(reg) ? UNKNOWN_SCALAR : reg));
}

function reachesPacket({ kind, of }: Reg): boolean {
  if (kind === 'mem') return of?.kind === 'mem' && of.slice?.packet === true;
  return kind === 'pkt' || kind === 'pkt_meta' || kind === 'pkt_end';
}
