import type { Env } from '../env.ts';
import { alignedTo } from '../scalar/scalar.ts';
import type { Reg, RegKind } from '../state/reg.ts';
import { tnumText } from './stack.ts';

/**
 * Alignment (Linux: check_ptr_alignment). The stack is always accessed aligned; other memory only where the program was
 * loaded with BPF_F_STRICT_ALIGNMENT, for the machines that Linux calls efficient. The arena never.
 */

const BPF_F_STRICT_ALIGNMENT = 1;
/** Ethernet headers of 14 bytes are placed so that what follows is aligned (Linux: NET_IP_ALIGN). */
const IP_ALIGN = 2;

const WORDS: Partial<Record<RegKind, string>> = {
  flow_keys: 'flow keys ',
  map_key: 'key ',
  map_value: 'value ',
  ctx: 'context ',
  fp: 'stack ',
  sock: 'sock ',
  sock_common: 'sock_common ',
  tcp_sock: 'tcp_sock ',
  xdp_sock: 'xdp_sock ',
};

export function checkAlignment(env: Env, reg: Reg, off: number, size: number, strictOnce: boolean): void {
  if (size === 1 || reg.kind === 'arena') return;
  const strict = strictOnce || ((env.program.flags ?? 0) & BPF_F_STRICT_ALIGNMENT) !== 0;
  const packet = reg.kind === 'pkt' || reg.kind === 'pkt_meta';
  if (!strict && reg.kind !== 'fp') return;
  if (alignedTo(reg.scalar, (packet ? IP_ALIGN : 0) + reg.off + off, size)) return;
  const where = `${tnumText(reg.scalar)}+${reg.off}+${off} size ${size}`;
  // One that may be NULL is of a type of its own.
  const word = (reg.flags === 0 && WORDS[reg.kind]) || '';
  throw env.reject(
    'EACCES',
    packet ? `misaligned packet access off ${IP_ALIGN}+${where}` : `misaligned ${word}access off ${where}`,
  );
}
