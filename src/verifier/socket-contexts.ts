import type { Btf } from '../btf/index.ts';
import {
  type ContextField,
  type ContextRules,
  numbers,
  RAW_TRACEPOINT_CONTEXT,
  SK_POINTER,
  SKB,
  SKB_CB,
  SKB_PACKET,
  start,
  whole,
  writable,
} from './context.ts';
import type { ProgramRules } from './rules.ts';
import { MAYBE_NULL, PTR_TRUSTED } from './state/reg.ts';

/** Contexts of programs of sockets, routes and packet filters, as context.ts has them. */

/** struct __sk_buff, of a socket's stream. */
export const SK_SKB_CONTEXT: ContextRules = {
  fields: [
    ...SKB,
    { off: 48, size: 20 },
    ...SKB_PACKET,
    // priority, tc_index
    writable(32),
    writable(44, 4, 'u16'),
    // family, addresses, remote_port, local_port
    ...numbers(88, 132, 136),
    ...whole(92, 96, 100, 104, 108, 112, 116, 120, 124, 128),
  ],
};

/** struct __sk_buff, of a lightweight tunnel. */
export const LWT_CONTEXT: ContextRules = {
  fields: [...SKB, ...SKB_CB, ...SKB_PACKET, writable(8), writable(32), ...numbers(44)],
};

/** Where the data of struct sk_msg_md and struct sk_reuseport_md lie. */
const DATA: readonly ContextField[] = [
  { off: 0, size: 8, gives: 'pkt', whole: true },
  { off: 8, size: 8, gives: 'pkt_end', whole: true },
];

/** struct sk_msg_md. */
export const SK_MSG_CONTEXT: ContextRules = {
  fields: [
    ...DATA,
    // family, addresses, ports, size
    ...whole(16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68),
    { ...SK_POINTER, off: 72, gives: 'sock' },
  ],
};

/** struct bpf_sk_lookup. */
export const SK_LOOKUP_CONTEXT: ContextRules = {
  fields: [
    { ...SK_POINTER, off: 0, gives: 'sock', flags: MAYBE_NULL },
    ...numbers(8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64),
  ],
};

/** struct sk_reuseport_md. */
export const SK_REUSEPORT_CONTEXT: ContextRules = {
  fields: [
    ...DATA,
    // len; eth_protocol, of which either half may be read; ip_protocol, bind_inany, hash
    ...numbers(16),
    ...whole(20),
    { off: 20, size: 2, whole: true },
    { off: 22, size: 2, whole: true },
    ...numbers(24, 28),
    ...whole(32),
    { ...SK_POINTER, off: 40, gives: 'sock' },
    { ...SK_POINTER, off: 48, gives: 'sock_common', flags: MAYBE_NULL },
  ],
};

/** struct __sk_buff, of which a flow dissector sees the packet and what it is to fill in. */
export const FLOW_DISSECTOR_CONTEXT: ContextRules = {
  fields: [...SKB_PACKET, { off: 144, size: 8, gives: 'flow_keys', whole: true }],
};

/** As of raw tracepoints; but the first argument is a buffer that may be written. */
export const WRITABLE_TRACEPOINT_CONTEXT: ContextRules = {
  fields: [
    ...start(4),
    { off: 2, size: 2 },
    { off: 1, size: 1 },
    ...numbers(4),
    { off: 0, size: 8, gives: 'tp_buffer', whole: true },
    ...RAW_TRACEPOINT_CONTEXT.fields.slice(1),
  ],
};

/** struct bpf_nf_ctx: pointers to types of the kernel. */
export function netfilterRules(btf: Btf): ProgramRules | undefined {
  const ids = ['nf_hook_state', 'sk_buff'].map((name) => btf.idOf(name, 'struct'));
  const fields = ids.map((id, index): ContextField | undefined =>
    id === undefined
      ? undefined
      : {
          off: 8 * index,
          size: 8,
          whole: true,
          gives: 'btf_id',
          flags: PTR_TRUSTED,
          of: { kind: 'btf', btf, id },
        },
  );
  if (!fields.every((field) => field !== undefined)) return undefined;
  return { context: { fields }, returns: () => [0, 1] };
}
