import { type Btf, BtfBuilder } from '../btf/index.ts';
import { KFUNCS } from '../verifier/kfuncs.ts';
import { PAGE_SIZE } from './layout.ts';

/**
 * The type information of the embedded kernel, its `/sys/kernel/btf/vmlinux`: CO-RE relocations, kfunc declarations and
 * type ids resolve against it. It describes what programs can see of this kernel, and nothing else.
 */

let built: Btf | undefined;

/** The embedded kernel's BTF; built once. */
export function embeddedBtf(): Btf {
  built ??= build();
  return built;
}

/** A BPF_MAP_TYPE_ARENA map's and any map's header, as programs can read it; offsets in bytes. */
export const BPF_MAP_LAYOUT = {
  map_type: 0,
  key_size: 4,
  value_size: 8,
  max_entries: 12,
  map_extra: 16,
  map_flags: 24,
  id: 28,
  name: 32,
  /** Of struct bpf_arena, behind struct bpf_map. */
  user_vm_start: 48,
  user_vm_end: 56,
  size: 64,
} as const;

function build(): Btf {
  const types = new BtfBuilder();
  const char = types.int('char', 1);
  const int = types.int('int', 4);
  const unsigned = types.int('unsigned int', 4);
  const long = types.int('long long unsigned int', 8);
  const typedef = (name: string, type: number) => types.modifier('typedef', type, name);
  const u8 = typedef('__u8', types.int('unsigned char', 1));
  const u32 = typedef('__u32', unsigned);
  const u64 = typedef('__u64', long);
  const kernelU32 = typedef('u32', u32);
  const kernelU64 = typedef('u64', u64);
  types.int('_Bool', 1);

  types.add({
    kind: 'enum',
    name: 'page_size_enum',
    size: 4,
    signed: false,
    values: [{ name: '__PAGE_SIZE', value: PAGE_SIZE }],
  });
  const map = types.composite('struct', 'bpf_map', [
    { name: 'map_type', type: kernelU32 },
    { name: 'key_size', type: kernelU32 },
    { name: 'value_size', type: kernelU32 },
    { name: 'max_entries', type: kernelU32 },
    { name: 'map_extra', type: kernelU64 },
    { name: 'map_flags', type: kernelU32 },
    { name: 'id', type: kernelU32 },
    { name: 'name', type: types.array(char, 16) },
  ]);
  types.composite('struct', 'bpf_arena', [
    { name: 'map', type: map },
    { name: 'user_vm_start', type: kernelU64 },
    { name: 'user_vm_end', type: kernelU64 },
  ]);
  for (const [name, fields] of Object.entries(CONTEXTS)) {
    const kinds = { u8, u32, u64 };
    const list = fields.map(([field, type, nelems]) => ({
      name: field,
      type: nelems === undefined ? kinds[type] : types.array(kinds[type], nelems),
    }));
    types.composite('struct', name, list);
  }

  const arena = types.ptr(types.typeTag('address_space(1)', 0));
  const kinds = {
    void: 0,
    int,
    u32: kernelU32,
    u64: kernelU64,
    'void *': types.ptr(0),
    'void __arena *': arena,
  };
  for (const { name, returns, params } of KFUNCS) {
    const list = Object.entries(params).map(([param, type]) => ({ name: param, type: kinds[type] }));
    const func = types.func(name, kinds[returns], list, 'static');
    types.declTag('bpf_kfunc', func);
  }
  return types.build();
}

type ContextField = readonly [name: string, type: 'u8' | 'u32' | 'u64', nelems?: number];
const words = (...names: string[]) => names.map((name): ContextField => [name, 'u32']);

/** Contexts of the program types that packets go through (include/uapi/linux/bpf.h). */
const CONTEXTS: Readonly<Record<string, readonly ContextField[]>> = {
  xdp_md: words('data', 'data_end', 'data_meta', 'ingress_ifindex', 'rx_queue_index', 'egress_ifindex'),
  __sk_buff: [
    ...words(
      'len',
      'pkt_type',
      'mark',
      'queue_mapping',
      'protocol',
      'vlan_present',
      'vlan_tci',
      'vlan_proto',
    ),
    ...words('priority', 'ingress_ifindex', 'ifindex', 'tc_index'),
    ['cb', 'u32', 5],
    ...words('hash', 'tc_classid', 'data', 'data_end', 'napi_id', 'family', 'remote_ip4', 'local_ip4'),
    ['remote_ip6', 'u32', 4],
    ['local_ip6', 'u32', 4],
    ...words('remote_port', 'local_port', 'data_meta'),
    ['flow_keys', 'u64'],
    ['tstamp', 'u64'],
    ...words('wire_len', 'gso_segs'),
    ['sk', 'u64'],
    ['gso_size', 'u32'],
    ['tstamp_type', 'u8'],
    ['hwtstamp', 'u64'],
  ],
};
