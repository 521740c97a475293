import type { Btf } from '../btf/index.ts';
import type { ErrnoName } from '../errors.ts';
import {
  FIELD_KINDS,
  FieldError,
  type FieldKind,
  type FieldRecord,
  GRAPH_NODES,
  GRAPH_ROOTS,
  KPTRS,
  kptrTag,
} from './field-kinds.ts';
import { readFields } from './field-parse.ts';

export * from './field-kinds.ts';

/**
 * Fields of map values and of objects that a program allocates which the kernel looks after: locks, timers, pointers to its
 * objects, lists, trees (Linux: struct btf_record). Programs may touch them by certain helpers and kfuncs only.
 */

const MAP_FIELDS: readonly FieldKind[] = [
  'spin_lock',
  'res_spin_lock',
  'timer',
  'wq',
  'task_work',
  ...KPTRS,
  'uptr',
  'list_head',
  'rb_root',
  'refcount',
];

const STRUCT_FIELDS: readonly FieldKind[] = [
  'spin_lock',
  'res_spin_lock',
  ...GRAPH_ROOTS,
  ...GRAPH_NODES,
  'refcount',
  ...KPTRS,
];

/* Map types by their numbers. */
const [HASH, ARRAY, PERCPU_HASH, PERCPU_ARRAY, LRU_HASH, LRU_PERCPU_HASH] = [1, 2, 5, 6, 9, 10];
const [CGROUP_STORAGE, SK_STORAGE, INODE_STORAGE, TASK_STORAGE, CGRP_STORAGE] = [19, 24, 28, 29, 32];
const STORAGES = [SK_STORAGE, INODE_STORAGE, TASK_STORAGE, CGRP_STORAGE];
const LOCKS = [HASH, ARRAY, CGROUP_STORAGE, ...STORAGES];
const TIMERS = [HASH, LRU_HASH, ARRAY];
const POINTERS = [HASH, PERCPU_HASH, LRU_HASH, LRU_PERCPU_HASH, ARRAY, PERCPU_ARRAY, ...STORAGES];

/** Which maps may hold a kind of field (Linux: map_check_btf). */
const MAP_TYPES: Partial<Record<FieldKind, readonly number[]>> = {
  spin_lock: LOCKS,
  res_spin_lock: LOCKS,
  timer: TIMERS,
  wq: TIMERS,
  task_work: TIMERS,
  kptr_unref: POINTERS,
  kptr_ref: POINTERS,
  kptr_percpu: POINTERS,
  refcount: POINTERS,
  uptr: [TASK_STORAGE],
  list_head: TIMERS,
  rb_root: TIMERS,
};

/** Linux: BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG. */
const BPF_F_PROG = (1 << 7) | (1 << 8);

/**
 * The fields of a map's values. Types that Linux does not take for a map are no types of it: loaders create it again without
 * them, and so `typed` says whether the map has its types.
 */
export function mapFields(
  btf: Btf,
  valueType: number,
  map: { readonly type: number; readonly flags: number },
  kernelBtf: Btf | undefined,
): { readonly typed: boolean; readonly fields: FieldRecord | undefined } {
  let fields: FieldRecord | undefined;
  try {
    fields = readFields(btf, btf.resolve(valueType), MAP_FIELDS, kernelBtf);
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    // The map is created, and has no such fields.
    return { typed: true, fields: undefined };
  }
  if (fields === undefined) return { typed: true, fields };
  const fits = fields.fields.every(({ kind }) => MAP_TYPES[kind]?.includes(map.type));
  if (!fits || (map.flags & BPF_F_PROG) !== 0) return { typed: false, fields: undefined };
  const owned = fields.fields.every(
    ({ root }) => root === undefined || structFields(root.btf, root.valueId, kernelBtf) !== undefined,
  );
  return owned ? { typed: true, fields } : { typed: false, fields: undefined };
}

interface Structs {
  readonly records: ReadonlyMap<number, FieldRecord>;
  readonly problem: ErrnoName | undefined;
}

const known = new WeakMap<Btf, Structs>();

/** The fields of a struct that the program may allocate (Linux: btf_find_struct_meta); undefined when it has none. */
export function structFields(btf: Btf, id: number, kernelBtf: Btf | undefined): FieldRecord | undefined {
  return structsOf(btf, kernelBtf).records.get(id);
}

/** Why Linux does not take an object's types at all; its programs are then loaded without. */
export function typesProblem(btf: Btf, kernelBtf: Btf | undefined): ErrnoName | undefined {
  return structsOf(btf, kernelBtf).problem;
}

function structsOf(btf: Btf, kernelBtf: Btf | undefined): Structs {
  let found = known.get(btf);
  if (found === undefined) {
    found = readStructs(btf, kernelBtf);
    known.set(btf, found);
  }
  return found;
}

/** Linux: btf_parse_struct_metas: structs that have a special field as a member. */
function readStructs(btf: Btf, kernelBtf: Btf | undefined): Structs {
  const records = new Map<number, FieldRecord>();
  try {
    for (let id = btf.startId; id < btf.count; id++) {
      const type = btf.kindOf(id) === 'struct' ? btf.type(id) : undefined;
      if (type?.kind !== 'struct') continue;
      if (!type.members.some((member) => isSpecial(btf, member.type))) continue;
      const record = readFields(btf, id, STRUCT_FIELDS, kernelBtf);
      if (record === undefined) throw new FieldError('EFAULT');
      records.set(id, record);
    }
    for (const record of records.values()) checkOwnership(record, records);
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    return { records: new Map(), problem: error.code };
  }
  return { records, problem: undefined };
}

/** Members by which a struct is found to be special; a bpf_res_spin_lock alone does not make it so (Linux: alloc_obj_fields). */
const OBJECT_FIELDS: readonly string[] = ['spin_lock', ...GRAPH_ROOTS, ...GRAPH_NODES, 'refcount'].map(
  (kind) => FIELD_KINDS[kind as FieldKind].name,
);

function isSpecial(btf: Btf, id: number): boolean {
  if (btf.kindOf(id) === 'struct') return OBJECT_FIELDS.includes(btf.nameOf(id));
  return kptrTag(btf, id) !== undefined;
}

/** What a list or tree holds must have nodes, and no lists or trees when its owner can be owned (Linux: btf_check_and_fixup_fields). */
function checkOwnership(record: FieldRecord, records: ReadonlyMap<number, FieldRecord>): void {
  for (const { root } of record.fields) {
    if (root === undefined) continue;
    const owned = records.get(root.valueId);
    if (owned === undefined) throw new FieldError('EFAULT');
    if (record.has(...GRAPH_NODES) && owned.has(...GRAPH_ROOTS)) throw new FieldError('ELOOP');
  }
}
