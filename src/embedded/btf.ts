import { type Btf, BtfBuilder, CTypes } from '../btf/index.ts';
import { ITERATOR_PROTOTYPES, ITERATOR_TYPES } from '../verifier/iterators.ts';
import { KFUNCS } from '../verifier/kfuncs.ts';
import { KERNEL_TYPES } from './kernel-types.ts';
import { OBJECT_TYPES } from './object-types.ts';
import { PACKET_TYPES } from './packet-types.ts';
import { SOCKET_TYPES } from './socket-types.ts';
import { TRACE_TYPES } from './trace-types.ts';
import { UAPI_ENUMS } from './uapi-enums.ts';

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
  map_type: 64,
  key_size: 68,
  value_size: 72,
  max_entries: 76,
  map_extra: 80,
  map_flags: 88,
  id: 92,
  name: 136,
  refcnt: 152,
  usercnt: 160,
  /** Of struct bpf_arena, behind struct bpf_map. */
  user_vm_start: 168,
  user_vm_end: 176,
  size: 184,
} as const;

function build(): Btf {
  const builder = new BtfBuilder();
  const types = new CTypes(builder);
  types.declare(UAPI_ENUMS);
  types.declare(KERNEL_TYPES);
  types.declare(PACKET_TYPES);
  types.declare(OBJECT_TYPES);
  types.declare(TRACE_TYPES);
  types.declare(SOCKET_TYPES);
  types.declare(ITERATOR_TYPES);
  for (const { prototype } of KFUNCS) {
    for (const { name, returns, params } of types.declare(prototype))
      builder.declTag('bpf_kfunc', builder.func(name, returns, params, 'static'));
  }
  for (const prototype of ITERATOR_PROTOTYPES)
    for (const { name, returns, params } of types.declare(prototype))
      builder.func(name, returns, params, 'static');
  types.finish();
  return builder.build();
}
