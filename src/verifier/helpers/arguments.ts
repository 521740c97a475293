import type { DynptrType } from '../state/reg.ts';

/**
 * What an argument of a helper must be: Linux's `enum bpf_arg_type` with its flags, one row for each combination that a
 * prototype uses.
 */

export type ArgumentBase =
  | 'unchecked'
  | 'anything'
  | 'scalar'
  | 'const_map_ptr'
  | 'map_key'
  | 'map_value'
  | 'mem'
  | 'size'
  | 'alloc_size'
  | 'ctx'
  | 'sock'
  | 'sock_common'
  | 'btf_sock_common'
  | 'btf_id'
  | 'percpu_btf_id'
  | 'spin_lock'
  | 'timer'
  | 'kptr_dest'
  | 'func'
  | 'stack'
  | 'const_str'
  | 'ringbuf_mem'
  | 'dynptr';

export interface ArgumentRule {
  readonly base: ArgumentBase;
  /** NULL will do. */
  readonly nullable?: true;
  /** The helper only reads the memory, or the dynptr. */
  readonly readOnly?: true;
  /** The helper fills the memory: nothing needs to be there before. */
  readonly uninit?: true;
  readonly writes?: true;
  /** The object is given back. */
  readonly release?: true;
  /** Of a size: 0 will do. */
  readonly zeroAllowed?: true;
  /** Memory of so many bytes. */
  readonly bytes?: number;
  readonly aligned?: true;
  /** Absent: any. */
  readonly dynptr?: DynptrType;
  /** The kernel's type. */
  readonly type?: string;
}

export const ARGUMENTS = {
  // Whatever is there: what a format string may name, or not.
  unchecked: { base: 'unchecked' },
  anything: { base: 'anything' },
  // A number that holds flags: `anything` of at most 53 bits.
  flags: { base: 'anything' },
  // A number of which only the low half counts: a C unsigned int, or a C int.
  u32: { base: 'anything' },
  int: { base: 'anything' },
  scalar: { base: 'scalar' },
  const_map_ptr: { base: 'const_map_ptr' },
  map_key: { base: 'map_key' },
  map_value: { base: 'map_value' },
  map_value_or_null: { base: 'map_value', nullable: true },
  map_value_uninit: { base: 'map_value', uninit: true, writes: true },
  // Memory; its size is the next argument.
  mem: { base: 'mem', readOnly: true },
  mem_or_null: { base: 'mem', readOnly: true, nullable: true },
  // Memory that the helper writes although its prototype does not say so.
  mem_unmarked: { base: 'mem' },
  mem_write: { base: 'mem', writes: true },
  mem_write_or_null: { base: 'mem', writes: true, nullable: true },
  mem_uninit: { base: 'mem', uninit: true, writes: true },
  // Memory of a size that the helper knows.
  u32_write: { base: 'mem', writes: true, bytes: 4, aligned: true },
  u64_uninit: { base: 'mem', uninit: true, writes: true, bytes: 8, aligned: true },
  iphdr: { base: 'mem', bytes: 20 },
  ipv6hdr: { base: 'mem', bytes: 40 },
  tcphdr: { base: 'mem', bytes: 20 },
  size: { base: 'size' },
  size_or_zero: { base: 'size', zeroAllowed: true },
  alloc_size: { base: 'alloc_size' },
  ctx: { base: 'ctx' },
  ctx_or_null: { base: 'ctx', nullable: true },
  sock_or_null: { base: 'sock', nullable: true },
  sock_common: { base: 'sock_common' },
  btf_sock_common: { base: 'btf_sock_common', type: 'sock_common' },
  btf_sock_common_or_null: { base: 'btf_sock_common', type: 'sock_common', nullable: true },
  btf_sock_common_release: { base: 'btf_sock_common', type: 'sock_common', release: true },
  task: { base: 'btf_id', type: 'task_struct' },
  task_or_null: { base: 'btf_id', type: 'task_struct', nullable: true },
  cgroup_or_null: { base: 'btf_id', type: 'cgroup', nullable: true },
  path: { base: 'btf_id', type: 'path' },
  file: { base: 'btf_id', type: 'file' },
  seq_file: { base: 'btf_id', type: 'seq_file' },
  sock_common_btf_or_null: { base: 'btf_id', type: 'sock_common', nullable: true },
  sk_buff: { base: 'btf_id', type: 'sk_buff' },
  xdp_buff: { base: 'btf_id', type: 'xdp_buff' },
  percpu_btf_id: { base: 'percpu_btf_id' },
  spin_lock: { base: 'spin_lock' },
  timer: { base: 'timer' },
  kptr_dest: { base: 'kptr_dest' },
  kptr_release: { base: 'btf_id', nullable: true, release: true },
  func: { base: 'func' },
  stack_or_null: { base: 'stack', nullable: true },
  const_str: { base: 'const_str' },
  ringbuf_mem_release: { base: 'ringbuf_mem', release: true },
  dynptr: { base: 'dynptr', readOnly: true },
  dynptr_local_uninit: { base: 'dynptr', dynptr: 'local', uninit: true, writes: true },
  dynptr_ringbuf_uninit: { base: 'dynptr', dynptr: 'ringbuf', uninit: true, writes: true },
  dynptr_ringbuf_release: { base: 'dynptr', dynptr: 'ringbuf', release: true },
} as const satisfies Record<string, ArgumentRule>;

export type HelperArgument = keyof typeof ARGUMENTS;
