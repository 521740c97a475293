import type { Env } from '../env.ts';
import { typeName } from '../state/print.ts';
import type { RegKind } from '../state/reg.ts';

/**
 * Loads from sockets (Linux: check_sock_access): `struct bpf_sock`, `bpf_tcp_sock` and `bpf_xdp_sock` of
 * include/uapi/linux/bpf.h, as tables.
 */

interface SocketField {
  /** From this byte on, up to the next field's. */
  readonly off: number;
  /** Sizes in bytes that a load may have. */
  readonly sizes: readonly number[];
}

const WHOLE = [4];
const PARTS = [1, 2, 4];

/** struct bpf_sock. dst_port is 2 bytes, which may be read with the 2 behind it; those alone may not. */
const SOCK: readonly SocketField[] = [
  { off: 0, sizes: WHOLE },
  // family, type, protocol
  { off: 4, sizes: PARTS },
  // mark, priority
  { off: 16, sizes: WHOLE },
  // src_ip4, src_ip6, src_port
  { off: 24, sizes: PARTS },
  { off: 48, sizes: PARTS },
  { off: 50, sizes: [] },
  // dst_ip4, dst_ip6, state, rx_queue_mapping
  { off: 52, sizes: PARTS },
];

const FIELDS: Partial<Record<RegKind, { readonly size: number; readonly fields: readonly SocketField[] }>> = {
  sock: { size: 80, fields: SOCK },
  // Only what every kind of socket has: not type, protocol, mark, priority.
  sock_common: {
    size: 80,
    fields: SOCK.flatMap((row) =>
      row.off === 4 ? [row, { off: 8, sizes: [] }] : row.off === 16 ? [] : [row],
    ),
  },
  tcp_sock: {
    size: 112,
    fields: [
      { off: 0, sizes: WHOLE },
      // bytes_received, bytes_acked; their upper halves are refused late, see below
      { off: 80, sizes: [8] },
      { off: 84, sizes: WHOLE },
      { off: 88, sizes: [8] },
      { off: 92, sizes: WHOLE },
    ],
  },
  xdp_sock: { size: 4, fields: [{ off: 0, sizes: WHOLE }] },
};

/** Fields whose first byte alone begins a part: a part may not begin inside them. */
const FIRST_BYTE_ONLY: readonly number[] = [4, 8, 12, 44, 72, 76];

export function checkSocketAccess(env: Env, base: number, off: number, size: number): void {
  const reg = env.reg(base);
  if (reg.scalar.sminNumber() < 0) {
    const advice = 'either use unsigned index or do a if (index >=0) check.';
    throw env.reject('EACCES', `R${base} min value is negative, ${advice}`);
  }
  const table = FIELDS[reg.kind];
  const inside = table !== undefined && off >= 0 && off < table.size && off % size === 0;
  const field = inside ? table.fields.findLast((each) => each.off <= off) : undefined;
  const socket = reg.kind === 'sock' || reg.kind === 'sock_common';
  const fits = field?.sizes.includes(size) && (!socket || size === 4 || startsPart(off));
  // Linux takes these for fields of 4 bytes here, and finds none when it translates the load.
  if (fits && reg.kind === 'tcp_sock' && (off === 84 || off === 92))
    throw env.reject('EFAULT', 'verifier bug: error during ctx access conversion (0)');
  if (!fits) throw env.reject('EACCES', `R${base} invalid ${typeName(reg)} access off=${off} size=${size}`);
}

/** Whether a part of a field of struct bpf_sock may begin here. */
function startsPart(off: number): boolean {
  const field = off & ~3;
  return off === field || !FIRST_BYTE_ONLY.includes(field);
}
