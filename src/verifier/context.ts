import type { AttachType } from '../object/program-types.ts';
import { MAYBE_NULL, type Referent, type RegKind } from './state/reg.ts';

/**
 * What programs may read and write of their context, by program type: Linux's is_valid_access functions as tables.
 * Offsets and sizes are those of the structures in include/uapi/linux/bpf.h.
 */

export interface ContextField {
  readonly off: number;
  /** Bytes. */
  readonly size: number;
  /** What a load gives; a number unless said. */
  readonly gives?: RegKind;
  /** Of the pointer that it gives. */
  readonly flags?: number;
  /** What it points to, where its kind does not say. */
  readonly of?: Referent;
  /** What the log says of a load. */
  readonly says?: string;
  readonly writable?: boolean;
  /** Parts of it may be read. Default true for numbers of 4 bytes. */
  readonly whole?: boolean;
  /** Any aligned part may be written too. */
  readonly parts?: boolean;
  /** How a store differs from one to plain memory. */
  readonly stores?: 'u16' | 'queue';
  /** Only for programs of these attach types. */
  readonly attachTypes?: readonly AttachType[];
}

export interface ContextRules {
  readonly fields: readonly ContextField[];
  /** All of so many bytes may be read and written, aligned: the context is the caller's buffer. */
  readonly buffer?: number;
  /** But not written. */
  readonly readOnly?: boolean;
}

/** Words that may be read in parts; whole; and in parts that begin where they do. */
export const numbers = (...offs: number[]): ContextField[] => offs.map((off) => ({ off, size: 4 }));
export const whole = (...offs: number[]): ContextField[] =>
  offs.map((off) => ({ off, size: 4, whole: true }));
export const start = (...offs: number[]): ContextField[] =>
  offs.flatMap((off) => [1, 2, 4].map((size) => ({ off, size, whole: true })));

/** A pointer to a socket: where it is, and what it gives, is each context's matter. */
export const SK_POINTER = { size: 8, whole: true } as const;

export const SYSCALL_CONTEXT: ContextRules = { fields: [], buffer: 0xffff };

/** struct xdp_md. */
export const XDP_CONTEXT: ContextRules = {
  fields: [
    { off: 0, size: 4, gives: 'pkt', whole: true },
    { off: 4, size: 4, gives: 'pkt_end', whole: true },
    { off: 8, size: 4, gives: 'pkt_meta', whole: true },
    // ingress_ifindex, rx_queue_index, egress_ifindex
    { off: 12, size: 4, whole: true },
    { off: 16, size: 4, whole: true },
    { off: 20, size: 4, whole: true, attachTypes: ['xdp_devmap'] },
  ],
};

/** The fields of struct __sk_buff that all program types which see one share. */
export const SKB: readonly ContextField[] = [
  // len, pkt_type, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, ingress_ifindex, ifindex, hash, napi_id
  ...numbers(0, 4, 12, 16, 20, 24, 28, 36, 40, 68, 84),
  // gso_segs, gso_size
  ...numbers(164, 176),
  // sk
  { off: 168, size: 8, gives: 'sock_common', flags: MAYBE_NULL, whole: true },
];

/** cb, five words that are the program's own: any part may be read and written. */
export const SKB_CB: readonly ContextField[] = [{ off: 48, size: 20, writable: true, parts: true }];
export const SKB_PACKET: readonly ContextField[] = [
  { off: 76, size: 4, gives: 'pkt', whole: true },
  { off: 80, size: 4, gives: 'pkt_end', whole: true },
];
export const writable = (off: number, size = 4, stores?: ContextField['stores']): ContextField => ({
  off,
  size,
  writable: true,
  whole: size === 8,
  ...(stores && { stores }),
});

export const SCHED_CLS_CONTEXT: ContextRules = {
  fields: [
    ...SKB.filter(({ off }) => off !== 12),
    ...SKB_CB,
    ...SKB_PACKET,
    { off: 140, size: 4, gives: 'pkt_meta', whole: true },
    // mark, queue_mapping, priority, tc_index, tc_classid, tstamp
    writable(8),
    writable(12, 4, 'queue'),
    writable(32),
    writable(44, 4, 'u16'),
    writable(72, 4, 'u16'),
    writable(152, 8),
    // wire_len, tstamp_type, hwtstamp
    ...numbers(160),
    { off: 180, size: 1 },
    { off: 184, size: 8, whole: true },
  ],
};

export const SOCKET_FILTER_CONTEXT: ContextRules = {
  fields: [...SKB, ...SKB_CB, ...numbers(8, 32, 44)],
};

export const CGROUP_SKB_CONTEXT: ContextRules = {
  fields: [
    ...SKB,
    ...SKB_CB,
    ...SKB_PACKET,
    writable(8),
    writable(32),
    ...numbers(44),
    // family, remote_port, local_port; the addresses between them are read whole
    ...numbers(88, 132, 136),
    ...[92, 96, 100, 104, 108, 112, 116, 120, 124, 128].map((off) => ({ off, size: 4, whole: true })),
    writable(152, 8),
    { off: 184, size: 8, whole: true },
  ],
};

/** Arguments of a tracepoint, 12 words at most, of which nothing is known. */
export const RAW_TRACEPOINT_CONTEXT: ContextRules = {
  fields: Array.from({ length: 12 }, (_, index) => ({ off: 8 * index, size: 8 })),
};

/** The record of a tracepoint, which is read only (Linux: PERF_MAX_TRACE_SIZE). */
export const TRACEPOINT_CONTEXT: ContextRules = { fields: [], buffer: 8192, readOnly: true };

/** struct pt_regs of x86-64: the registers of whoever came by, which may be read in parts. */
export const KPROBE_CONTEXT: ContextRules = { fields: [], buffer: 168, readOnly: true };

/** struct bpf_perf_event_data on x86-64: registers, then the sample's period and address, which may be read in parts. */
export const PERF_EVENT_CONTEXT: ContextRules = {
  fields: [
    ...Array.from({ length: 21 }, (_, index) => ({ off: 8 * index, size: 8, whole: true })),
    { off: 168, size: 8 },
    { off: 176, size: 8 },
  ],
};
