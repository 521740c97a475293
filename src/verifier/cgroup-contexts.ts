import type { AttachType } from '../object/program-types.ts';
import { type ContextField, type ContextRules, numbers, SK_POINTER, start, whole } from './context.ts';
import { MAYBE_NULL } from './state/reg.ts';

/** Contexts of programs that cgroups call: for sockets, addresses, options, settings and devices, as context.ts has them. */

const POST_BIND4: readonly AttachType[] = ['cgroup_inet4_post_bind'];
const POST_BIND6: readonly AttachType[] = ['cgroup_inet6_post_bind'];
const CREATE: readonly AttachType[] = ['cgroup_inet_sock_create', 'cgroup_inet_sock_release'];

const only = (attachTypes: readonly AttachType[], fields: readonly ContextField[]): ContextField[] =>
  fields.map((field) => ({ ...field, attachTypes }));
const written = (fields: readonly ContextField[]): ContextField[] =>
  fields.map((field) => ({ ...field, writable: true }));

/** struct bpf_sock. */
export const CGROUP_SOCK_CONTEXT: ContextRules = {
  fields: [
    // bound_dev_if, mark, priority
    ...only(CREATE, written(whole(0, 16, 20))),
    // family, type, protocol
    ...start(4, 8, 12),
    // src_ip4, src_ip6, src_port
    ...only(POST_BIND4, numbers(24)),
    ...only(POST_BIND6, numbers(28, 32, 36, 40)),
    ...only([...POST_BIND4, ...POST_BIND6], start(44)),
    // dst_port, once a word; dst_ip4, dst_ip6, state, rx_queue_mapping
    { off: 48, size: 2 },
    ...whole(48),
    ...numbers(52, 56, 60, 64, 68),
    ...start(72, 76),
  ],
};

const ADDRESS4: readonly AttachType[] = [
  'cgroup_inet4_bind',
  'cgroup_inet4_connect',
  'cgroup_inet4_getpeername',
  'cgroup_inet4_getsockname',
  'cgroup_udp4_sendmsg',
  'cgroup_udp4_recvmsg',
];
const ADDRESS6: readonly AttachType[] = [
  'cgroup_inet6_bind',
  'cgroup_inet6_connect',
  'cgroup_inet6_getpeername',
  'cgroup_inet6_getsockname',
  'cgroup_udp6_sendmsg',
  'cgroup_udp6_recvmsg',
];

const twoWords = (...offs: number[]): ContextField[] => offs.map((off) => ({ off, size: 8, whole: true }));

/** struct bpf_sock_addr. */
export const CGROUP_SOCK_ADDR_CONTEXT: ContextRules = {
  fields: [
    // user_family, family, type, protocol
    ...whole(0, 28, 32, 36),
    // user_ip4, user_ip6, user_port
    ...only(ADDRESS4, written(numbers(4))),
    ...only(ADDRESS6, written([...numbers(8, 12, 16, 20), ...twoWords(8, 16)])),
    ...written(numbers(24)),
    // msg_src_ip4, msg_src_ip6
    ...only(['cgroup_udp4_sendmsg'], written(numbers(40))),
    ...only(['cgroup_udp6_sendmsg'], written([...numbers(44, 48, 52, 56), ...twoWords(48)])),
    { ...SK_POINTER, off: 64, gives: 'sock' },
  ],
};

/** struct bpf_sysctl. */
export const CGROUP_SYSCTL_CONTEXT: ContextRules = {
  fields: [...numbers(0), ...written(numbers(4))],
};

const GET: readonly AttachType[] = ['cgroup_getsockopt'];
const SET: readonly AttachType[] = ['cgroup_setsockopt'];

/** struct bpf_sockopt. */
export const CGROUP_SOCKOPT_CONTEXT: ContextRules = {
  fields: [
    { ...SK_POINTER, off: 0, gives: 'sock' },
    { off: 8, size: 8, gives: 'pkt', whole: true },
    { off: 16, size: 8, gives: 'pkt_end', whole: true },
    // level, optname, optlen, retval
    ...only(SET, written(whole(24, 28))),
    ...whole(24, 28),
    ...written(whole(32)),
    ...only(GET, written(whole(36))),
  ],
};

/** struct bpf_cgroup_dev_ctx. */
export const CGROUP_DEVICE_CONTEXT: ContextRules = { fields: [...numbers(0), ...whole(4, 8)] };

const words = (from: number, to: number) =>
  whole(...Array.from({ length: (to - from) / 4 + 1 }, (_, index) => from + 4 * index));

/** struct bpf_sock_ops. */
export const SOCK_OPS_CONTEXT: ContextRules = {
  fields: [
    // reply and sk_txhash may be written
    ...whole(0),
    ...written(whole(4)),
    ...words(8, 160),
    ...written(whole(164)),
    // bytes_received, bytes_acked
    ...twoWords(168, 176),
    { ...SK_POINTER, off: 184, gives: 'sock', flags: MAYBE_NULL },
    // skb_data, skb_data_end, skb_len, skb_tcp_flags, skb_hwtstamp
    { off: 192, size: 8, gives: 'pkt', whole: true },
    { off: 200, size: 8, gives: 'pkt_end', whole: true },
    ...whole(208),
    ...start(212),
    ...twoWords(216),
  ],
};
