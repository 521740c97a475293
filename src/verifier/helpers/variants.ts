import type { HelperPrototype } from './prototype.ts';

/** Helpers whose prototype is another one for some program types: these rows go before those of the same number. */
export const HELPER_VARIANTS = [
  { id: 17, name: 'get_cgroup_classid', args: ['ctx'], returns: 'integer', in: ['tc', 'lwt'] },
  {
    id: 46,
    name: 'get_socket_cookie',
    args: ['btf_sock_common_or_null'],
    returns: 'integer',
    in: ['syscall', 'tracing', 'sk_reuseport'],
  },
  {
    id: 107,
    name: 'sk_storage_get',
    args: ['const_map_ptr', 'sock_common_btf_or_null', 'map_value_or_null', 'flags'],
    returns: 'map_value_or_null',
    in: ['tracing'],
  },
  {
    id: 108,
    name: 'sk_storage_delete',
    args: ['const_map_ptr', 'sock_common_btf_or_null'],
    returns: 'integer',
    in: ['tracing'],
  },
  {
    id: 107,
    name: 'sk_storage_get',
    args: ['const_map_ptr', 'ctx', 'map_value_or_null', 'flags'],
    returns: 'map_value_or_null',
    in: ['cgroup_sock'],
  },
  {
    id: 124,
    name: 'sk_assign',
    args: ['ctx', 'sock_or_null', 'anything'],
    returns: 'integer',
    in: ['sk_lookup'],
  },
  {
    id: 49,
    name: 'setsockopt',
    args: ['btf_sock_common', 'int', 'int', 'mem', 'size'],
    returns: 'integer',
    in: ['socket_options'],
  },
  {
    id: 57,
    name: 'getsockopt',
    args: ['btf_sock_common', 'int', 'int', 'mem_uninit', 'size'],
    returns: 'integer',
    in: ['socket_options'],
  },
  { id: 107, name: 'sk_storage_get', args: [], returns: 'integer', in: ['syscall'], forbidden: true },
  { id: 108, name: 'sk_storage_delete', args: [], returns: 'integer', in: ['syscall'], forbidden: true },
  {
    id: 147,
    name: 'd_path',
    args: [],
    returns: 'integer',
    in: ['syscall', 'typed_tracepoint'],
    forbidden: true,
  },
  { id: 188, name: 'xdp_get_buff_len', args: ['xdp_buff'], returns: 'integer', in: ['syscall', 'tracing'] },
] as const satisfies readonly HelperPrototype[];
