import { BtfBuilder } from '../btf/index.ts';
import { helperName } from '../isa/helper-names.ts';
import type { Features } from '../kernel.ts';
import { MAP_TYPES, type MapTypeName } from '../object/map-types.ts';
import { ATTACH_TYPES, type AttachType, PROGRAM_TYPES, type ProgramType } from '../object/program-types.ts';
import { requireLinux } from './available.ts';
import { bpf, loadBtf } from './bpf.ts';
import { Fd } from './fd.ts';
import { kernelBtf } from './kernel-types.ts';
import type { Attributes } from './layouts.ts';
import { loadSnippet } from './snippet.ts';

/**
 * What this Linux has, found out by creating a map and loading a program of each kind, as `bpftool feature probe` does:
 * about 2,000 calls. Nothing stays.
 */

const BPF_F_NO_PREALLOC = 1;
const BPF_F_MMAPABLE = 1 << 10;
const ENOTSUPP = 524;

/** What this process's Linux has. Throws EOPNOTSUPP with the reason where it cannot be asked. */
export function linuxFeatures(): Features {
  requireLinux();
  const types = (Object.keys(PROGRAM_TYPES) as ProgramType[]).filter(hasProgramType);
  return {
    kernel: 'linux',
    programTypes: types,
    mapTypes: (Object.keys(MAP_TYPES) as MapTypeName[]).filter(hasMapType),
    helpers: helpers(types),
    kfuncs: kfuncs(),
    iterators: iterators(),
  };
}

const EPERM = 1;

/** What programs can iterate over: each is a function of the kernel, whose first argument says so. */
function iterators(): string[] {
  const btf = kernelBtf();
  if (btf === undefined) return [];
  const names: string[] = [];
  for (let id = 1; id < btf.count; id++) {
    const target = btf.kindOf(id) === 'func' ? /^bpf_iter_(\w+)$/.exec(btf.nameOf(id))?.[1] : undefined;
    if (target !== undefined && isIterator(id)) names.push(target);
  }
  return names.sort();
}

function isIterator(id: number): boolean {
  const attributes = { expected_attach_type: ATTACH_TYPES.trace_iter, attach_btf_id: id };
  const { fd, result } = loadSnippet('r0 = 0\nexit', 'tracing', attributes);
  fd?.close();
  // A machine's policy may forbid what its kernel has.
  return fd !== undefined || result === -EPERM;
}

/** What a program type wants besides its number; by default nothing. `target` names the type to verify against. */
const PROGRAM_NEEDS: Partial<Record<ProgramType, { attachType?: AttachType; target?: string; id?: number }>> =
  {
    cgroup_sock_addr: { attachType: 'cgroup_inet4_bind' },
    cgroup_sock: { attachType: 'cgroup_inet_sock_create' },
    cgroup_sockopt: { attachType: 'cgroup_getsockopt' },
    cgroup_sysctl: { attachType: 'cgroup_sysctl' },
    cgroup_device: { attachType: 'cgroup_device' },
    sock_ops: { attachType: 'cgroup_sock_ops' },
    sk_lookup: { attachType: 'sk_lookup' },
    netfilter: { attachType: 'netfilter' },
    // Iterators may call what other tracing programs may, and write to a file besides.
    tracing: { attachType: 'trace_iter', target: 'bpf_iter_bpf_map' },
    lsm: { attachType: 'lsm_mac', target: 'bpf_lsm_file_open' },
    // Of these two nothing can be loaded that simply: that the verifier complains of the id says that they are there.
    ext: { id: 1 },
    struct_ops: { id: 1 },
  };

/** @returns what a program comes to: whether it is accepted, and the verifier's words. */
function tryProgram(type: ProgramType, text: string): { accepted: boolean; log: string } {
  const { attachType, target, id = 0 } = PROGRAM_NEEDS[type] ?? {};
  const { fd, log } = loadSnippet(text, type, {
    expected_attach_type: attachType === undefined ? 0 : ATTACH_TYPES[attachType],
    attach_btf_id: target === undefined ? id : (kernelBtf()?.idOf(target) ?? 1),
  });
  fd?.close();
  return { accepted: fd !== undefined, log };
}

/** A type that the kernel lacks is refused before the verifier says a word. */
function hasProgramType(type: ProgramType): boolean {
  if (type === 'unspec') return false;
  const { accepted, log } = tryProgram(type, 'r0 = 0\nexit');
  return accepted || log !== '';
}

/** What a map of a type must look like; by default key and value have 4 bytes, and there is one element. */
const MAP_NEEDS: Partial<Record<MapTypeName, Attributes<'map_create'>>> = {
  stack_trace: { value_size: 8 },
  lpm_trie: { key_size: 8, value_size: 8, map_flags: BPF_F_NO_PREALLOC },
  cgroup_storage: { key_size: 16, max_entries: 0 },
  percpu_cgroup_storage: { key_size: 16, max_entries: 0 },
  queue: { key_size: 0 },
  stack: { key_size: 0 },
  bloom_filter: { key_size: 0 },
  ringbuf: { key_size: 0, value_size: 0, max_entries: 4096 },
  user_ringbuf: { key_size: 0, value_size: 0, max_entries: 4096 },
  arena: { key_size: 0, value_size: 0, map_flags: BPF_F_MMAPABLE },
  struct_ops: { btf_vmlinux_value_type_id: 1 },
};

/** Types whose elements belong to kernel objects: described by BTF, without a number of elements. */
const STORAGE: readonly MapTypeName[] = ['sk_storage', 'inode_storage', 'task_storage', 'cgrp_storage'];
const OF_MAPS: readonly MapTypeName[] = ['array_of_maps', 'hash_of_maps'];

function hasMapType(type: MapTypeName): boolean {
  const plain = { map_type: MAP_TYPES[type], key_size: 4, value_size: 4, max_entries: 1, ...MAP_NEEDS[type] };
  if (STORAGE.includes(type)) return withStorageBtf((btf) => creates({ ...plain, ...btf }));
  if (!OF_MAPS.includes(type)) return creates(plain);
  const inner = bpf('map_create', { map_type: MAP_TYPES.array, key_size: 4, value_size: 4, max_entries: 1 });
  if (inner.result < 0) return false;
  const fd = new Fd(inner.result, 'inner map');
  try {
    return creates({ ...plain, inner_map_fd: fd.number });
  } finally {
    fd.close();
  }
}

function creates(attributes: Attributes<'map_create'>): boolean {
  const { result } = bpf('map_create', attributes);
  if (result >= 0) new Fd(result, 'probe').close();
  // A struct_ops map gets this far only where there are struct_ops: type 1 is none of them.
  return result >= 0 || (attributes.map_type === MAP_TYPES.struct_ops && result === -ENOTSUPP);
}

function withStorageBtf(work: (attributes: Attributes<'map_create'>) => boolean): boolean {
  const builder = new BtfBuilder();
  const int = builder.int('int', 4);
  const btf = loadBtf(builder.write());
  if (!(btf instanceof Fd)) return false;
  try {
    return work({
      max_entries: 0,
      map_flags: BPF_F_NO_PREALLOC,
      btf_fd: btf.number,
      btf_key_type_id: int,
      btf_value_type_id: int,
    });
  } finally {
    btf.close();
  }
}

/** The verifier's words for a helper that a program type does not have. */
const NO_HELPER = /invalid func |unknown func |program of this type cannot use helper /;

/** Helpers that programs of at least one type may call. */
function helpers(types: readonly ProgramType[]): Features['helpers'] {
  const callers = types.filter((type) => type !== 'ext' && type !== 'struct_ops' && callsHelpers(type));
  const found: Features['helpers'] = [];
  let last: ProgramType | undefined;
  for (let id = 1; ; id++) {
    const name = helperName(id);
    if (name === undefined) return found;
    // Most helpers are there for the type that had the one before.
    const order = last === undefined ? callers : [last, ...callers.filter((type) => type !== last)];
    const type = order.find((each) => {
      const { accepted, log } = tryProgram(each, `call ${id}\nexit`);
      return accepted || (log !== '' && !NO_HELPER.test(log));
    });
    if (type === undefined) continue;
    last = type;
    found.push({ id, name: `bpf_${name}` });
  }
}

/** Whether the verifier gets as far as calls in programs of this type. */
function callsHelpers(type: ProgramType): boolean {
  return NO_HELPER.test(tryProgram(type, 'call 99999\nexit').log);
}

/** Functions of the kernel that are tagged as callable. */
function kfuncs(): string[] {
  const btf = kernelBtf();
  if (btf === undefined) return [];
  const names = new Set<string>();
  for (let id = 1; id < btf.count; id++) {
    if (btf.kindOf(id) !== 'decl_tag' || btf.nameOf(id) !== 'bpf_kfunc') continue;
    const tag = btf.type(id);
    if (tag.kind === 'decl_tag') names.add(btf.nameOf(tag.type));
  }
  return [...names].sort();
}
