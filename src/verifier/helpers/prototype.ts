import type { CallbackShape } from '../calls/callbacks.ts';
import type { HelperArgument } from './arguments.ts';

/** A helper's prototype, in the words of Linux's `struct bpf_func_proto`. */

/** What r0 holds afterwards. A C int or long, or an unsigned number, is a number to the verifier. */
export type HelperResult =
  | 'integer'
  | 'u32'
  | 'u64'
  | 'void'
  | 'map_value'
  | 'map_value_or_null'
  | 'sock_or_null'
  | 'sock_common_or_null'
  | 'tcp_sock_or_null'
  | 'ringbuf_mem_or_null'
  | 'dynptr_mem_or_null'
  | 'mem_or_btf_id'
  | 'mem_or_btf_id_or_null'
  | 'btf_id'
  | 'btf_id_or_null'
  | 'btf_id_trusted';

/**
 * Program types that share their helpers: `tc` stands for classifiers and actions; of `tracing` only iterators are judged. Behind them
 * what several types share, some only where they are attached so.
 */
export type HelperGroup =
  | 'syscall'
  | 'xdp'
  | 'tc'
  | 'socket_filter'
  | 'cgroup_skb'
  | 'raw_tracepoint'
  | 'perf_event'
  | 'tracing'
  | 'iterators'
  | 'typed_tracepoint'
  | 'cgroup_sock'
  | 'cgroup_sock_addr'
  | 'cgroup_sockopt'
  | 'cgroup_sysctl'
  | 'sock_ops'
  | 'sk_skb'
  | 'sk_msg'
  | 'sk_lookup'
  | 'sk_reuseport'
  | 'flow_dissector'
  | 'lwt'
  | 'lwt_xmit'
  | 'lwt_seg6local'
  | 'cgroup'
  | 'events'
  | 'socket_types'
  | 'retval'
  | 'connect'
  | 'socket_options'
  | 'encapsulation';

export interface HelperPrototype {
  /** `enum bpf_func_id`. */
  readonly id: number;
  readonly name: string;
  readonly args: readonly HelperArgument[];
  readonly returns: HelperResult;
  /** The kernel's type that a returned `btf_id` points to. */
  readonly returnsType?: string;
  /** Who may call it. Absent: all. */
  readonly in?: readonly HelperGroup[];
  /** Only for programs under a GPL-compatible licence. */
  readonly gplOnly?: true;
  /** It may sleep; `if_sleepable`: where the program may. */
  readonly sleeps?: true | 'if_sleepable';
  /** Only for maps that programs may write. */
  readonly changesMap?: true;
  /** Its memory arguments may be packet data (Linux: pkt_access). */
  readonly packetAccess?: true;
  /** Packet pointers from before the call are worth nothing behind it (Linux: bpf_helper_changes_pkt_data). */
  readonly changesPacket?: true;
  /** What it returns must be given back. */
  readonly acquires?: true;
  /** What it returns is its argument, seen otherwise: it belongs to the same reference (Linux: is_ptr_cast_function). */
  readonly casts?: true;
  /** How it calls its function argument. */
  readonly callback?: CallbackShape;
  /** Only for programs that attach to certain functions, of which none is judged here. */
  readonly forbidden?: true;
}
