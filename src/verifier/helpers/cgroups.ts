import type { HelperPrototype } from './prototype.ts';

/** Helpers of programs that cgroups call: answers, settings of the kernel, options of sockets, headers of TCP. */
export const CGROUP_HELPERS = [
  {
    id: 49,
    name: 'setsockopt',
    args: ['ctx', 'int', 'int', 'mem', 'size'],
    returns: 'integer',
    in: ['cgroup_sock_addr', 'sock_ops'],
  },
  {
    id: 57,
    name: 'getsockopt',
    args: ['ctx', 'int', 'int', 'mem_uninit', 'size'],
    returns: 'integer',
    in: ['cgroup_sock_addr', 'sock_ops'],
  },
  { id: 59, name: 'sock_ops_cb_flags_set', args: ['ctx', 'int'], returns: 'integer', in: ['sock_ops'] },
  { id: 64, name: 'bind', args: ['ctx', 'mem', 'size'], returns: 'integer', in: ['connect'] },
  {
    id: 101,
    name: 'sysctl_get_name',
    args: ['ctx', 'mem_write', 'size', 'flags'],
    returns: 'integer',
    in: ['cgroup_sysctl'],
  },
  {
    id: 102,
    name: 'sysctl_get_current_value',
    args: ['ctx', 'mem_uninit', 'size'],
    returns: 'integer',
    in: ['cgroup_sysctl'],
  },
  {
    id: 103,
    name: 'sysctl_get_new_value',
    args: ['ctx', 'mem_uninit', 'size'],
    returns: 'integer',
    in: ['cgroup_sysctl'],
  },
  {
    id: 104,
    name: 'sysctl_set_new_value',
    args: ['ctx', 'mem', 'size'],
    returns: 'integer',
    in: ['cgroup_sysctl'],
  },
  {
    id: 142,
    name: 'load_hdr_opt',
    args: ['ctx', 'mem_write', 'size', 'flags'],
    returns: 'integer',
    in: ['sock_ops'],
  },
  {
    id: 143,
    name: 'store_hdr_opt',
    args: ['ctx', 'mem', 'size', 'flags'],
    returns: 'integer',
    in: ['sock_ops'],
  },
  { id: 144, name: 'reserve_hdr_opt', args: ['ctx', 'u32', 'flags'], returns: 'integer', in: ['sock_ops'] },
  { id: 186, name: 'get_retval', args: [], returns: 'integer', in: ['retval'] },
  { id: 187, name: 'set_retval', args: ['int'], returns: 'integer', in: ['retval'] },
] as const satisfies readonly HelperPrototype[];
