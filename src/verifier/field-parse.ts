import type { Btf, BtfType } from '../btf/index.ts';
import {
  FIELD_KINDS,
  FieldError,
  type FieldKind,
  FieldRecord,
  kptrTag,
  type SpecialField,
} from './field-kinds.ts';

/** Finds the special fields of a type (Linux: btf_parse_fields): by the names of structs and the tags of pointers. */

/** Structs and arrays in each other deeper than this are not followed (Linux: MAX_RESOLVE_DEPTH). */
const MAX_DEPTH = 32;
/** Linux: BTF_FIELDS_MAX. */
const MAX_FIELDS = 11;

const BY_NAME = new Map<string, FieldKind>(
  Object.entries(FIELD_KINDS)
    .filter(([, { name }]) => name.startsWith('bpf_'))
    .map(([kind, { name }]) => [name, kind as FieldKind]),
);

/** Kinds of which a struct has one at most, those of structs inside of it not counted. */
const SINGLE: readonly FieldKind[] = ['spin_lock', 'res_spin_lock', 'timer', 'wq', 'task_work'];
/** Kinds that may be elements of an array. */
const REPEATED: readonly FieldKind[] = [
  'kptr_unref',
  'kptr_ref',
  'kptr_percpu',
  'uptr',
  'list_head',
  'rb_root',
];

const TAGS: Readonly<Record<string, FieldKind>> = {
  kptr_untrusted: 'kptr_unref',
  kptr: 'kptr_ref',
  percpu_kptr: 'kptr_percpu',
  uptr: 'uptr',
};

/** Kernel types that a map may own: those whose release the kernel knows (Linux: register_btf_id_dtor_kfuncs). */
const OWNED: readonly string[] = [
  'task_struct',
  'cgroup',
  'bpf_cpumask',
  'bpf_crypto_ctx',
  'prog_test_ref_kfunc',
  'prog_test_member',
];

/** The fields of a struct or data section; undefined where it has none. Throws FieldError. */
export function readFields(
  btf: Btf,
  id: number,
  kinds: readonly FieldKind[],
  kernelBtf: Btf | undefined,
): FieldRecord | undefined {
  const reader = new Reader(btf, kinds, kernelBtf);
  const fields = reader.read(id);
  if (fields.length === 0) return undefined;
  let end = 0;
  for (const { off, size } of fields) {
    if (off < end) throw new FieldError('EEXIST');
    end = off + size;
  }
  const record = new FieldRecord(fields);
  const locks = [record.has('spin_lock'), record.has('res_spin_lock')];
  if (locks[0] && locks[1]) throw new FieldError('EINVAL');
  if (record.has('list_head', 'rb_root') && !locks[0] && !locks[1]) throw new FieldError('EINVAL');
  if (!record.has('refcount') && record.has('list_node') && record.has('rb_node'))
    throw new FieldError('EINVAL');
  return record;
}

class Reader {
  readonly #btf: Btf;
  readonly #kinds: readonly FieldKind[];
  readonly #kernelBtf: Btf | undefined;

  constructor(btf: Btf, kinds: readonly FieldKind[], kernelBtf: Btf | undefined) {
    this.#btf = btf;
    this.#kinds = kinds;
    this.#kernelBtf = kernelBtf;
  }

  read(id: number): SpecialField[] {
    const type = this.#btf.type(id);
    if (type.kind === 'struct') return this.#struct(id, type, 0);
    if (type.kind !== 'datasec') throw new FieldError('EINVAL');
    const found: SpecialField[] = [];
    const seen = new Set<FieldKind>();
    for (const { type: variable, offset, size } of type.variables) {
      const each = this.#btf.type(variable);
      if (each.kind === 'var') this.#one(found, seen, variable, -1, each.type, offset, size, 0);
    }
    return found;
  }

  #struct(id: number, type: BtfType, level: number): SpecialField[] {
    const found: SpecialField[] = [];
    if (type.kind !== 'struct') return found;
    const seen = new Set<FieldKind>();
    type.members.forEach((member, index) => {
      if (member.bitOffset % 8 !== 0) {
        // Valid C gives bit fields only; those are numbers.
        if (member.bitfieldSize === 0) throw new FieldError('EINVAL');
        return;
      }
      this.#one(found, seen, id, index, member.type, member.bitOffset / 8, 0, level);
    });
    return found;
  }

  /** A member or variable of `owner` (Linux: btf_find_field_one). */
  #one(
    found: SpecialField[],
    seen: Set<FieldKind>,
    owner: number,
    component: number,
    typeId: number,
    off: number,
    expected: number,
    level: number,
  ): void {
    let id = typeId;
    let count = 1;
    for (let depth = 0; ; depth++) {
      const type = this.#btf.type(id);
      if (type.kind !== 'array') break;
      if (depth === MAX_DEPTH) throw new FieldError('E2BIG');
      count *= type.nelems;
      id = type.type;
    }
    if (count === 0) return;
    const type = this.#btf.type(id);
    const kind = this.#kindOf(id, type, seen);
    if (kind === undefined) {
      // Unions are not looked into.
      if (type.kind !== 'struct' || (expected !== 0 && expected !== type.size * count)) return;
      if (level + 1 >= MAX_DEPTH) throw new FieldError('E2BIG');
      const inner = this.#struct(id, type, level + 1).map((field) => ({ ...field, off: field.off + off }));
      if (inner.length > 0) this.#repeat(found, inner, count, type.size);
      return;
    }
    const { size, align } = FIELD_KINDS[kind];
    if ((expected !== 0 && expected !== size * count) || off % align !== 0) return;
    const field = this.#field(kind, owner, component, id, type, off);
    if (field !== undefined) this.#repeat(found, [field], count, size);
  }

  #kindOf(id: number, type: BtfType, seen: Set<FieldKind>): FieldKind | undefined {
    const named = BY_NAME.get(type.name);
    if (named !== undefined && this.#kinds.includes(named)) {
      if (SINGLE.includes(named)) {
        if (seen.has(named)) throw new FieldError('E2BIG');
        seen.add(named);
      }
      return named;
    }
    if (!this.#kinds.includes('kptr_ref')) return undefined;
    const tag = kptrTag(this.#btf, id);
    if (tag === undefined) return undefined;
    const kind = Object.hasOwn(TAGS, tag) ? TAGS[tag] : undefined;
    if (kind === undefined) throw new FieldError('EINVAL');
    return this.#kinds.includes(kind) ? kind : undefined;
  }

  #repeat(found: SpecialField[], fields: readonly SpecialField[], count: number, size: number): void {
    if (count > 1 && fields.some(({ kind }) => !REPEATED.includes(kind))) throw new FieldError('EINVAL');
    if (found.length + fields.length * count > MAX_FIELDS) throw new FieldError('E2BIG');
    for (let i = 0; i < count; i++)
      for (const field of fields) found.push({ ...field, off: field.off + i * size });
  }

  #field(
    kind: FieldKind,
    owner: number,
    component: number,
    id: number,
    type: BtfType,
    off: number,
  ): SpecialField | undefined {
    const { size } = FIELD_KINDS[kind];
    if (kind === 'kptr_unref' || kind === 'kptr_ref' || kind === 'kptr_percpu' || kind === 'uptr')
      return { kind, off, size, pointee: this.#pointee(kind, id) };
    // A struct of that name which is something else.
    if (type.kind !== 'struct' || type.size !== size) return undefined;
    if (kind !== 'list_head' && kind !== 'rb_root') return { kind, off, size };
    return { kind, off, size, root: this.#root(kind, owner, component) };
  }

  /** The type behind a kptr: the kernel's of that name, else the program's own (Linux: btf_parse_kptr). */
  #pointee(kind: FieldKind, id: number): { btf: Btf; id: number } {
    const btf = this.#btf;
    let type = btf.type(id);
    if (type.kind === 'volatile') type = btf.type(type.type);
    const tag = type.kind === 'ptr' ? btf.type(type.type) : undefined;
    if (tag?.kind !== 'type_tag' || btf.kindOf(tag.type) === 'type_tag') throw new FieldError('EINVAL');
    const target = btf.resolve(tag.type);
    if (btf.kindOf(target) !== 'struct') throw new FieldError('EINVAL');
    const name = btf.nameOf(target);
    const kernelId = this.#kernelBtf?.idOf(name, 'struct');
    if (kernelId === undefined || this.#kernelBtf === undefined) return { btf, id: target };
    if (kind === 'uptr') throw new FieldError('EINVAL');
    if (kind === 'kptr_ref' && !OWNED.includes(name)) throw new FieldError('ENOENT');
    return { btf: this.#kernelBtf, id: kernelId };
  }

  /** What a list or tree holds, by its tag `contains:STRUCT:MEMBER` (Linux: btf_find_graph_root, btf_parse_graph_root). */
  #root(kind: FieldKind, owner: number, component: number): NonNullable<SpecialField['root']> {
    const btf = this.#btf;
    const tags = btf.declTags(owner, component).filter((each) => each.startsWith('contains:'));
    if (tags.length !== 1) throw new FieldError('EINVAL');
    const [, name, ...rest] = tags[0].split(':');
    const member = rest.join(':');
    if (rest.length === 0) throw new FieldError('EINVAL');
    const valueId = btf.idOf(name, 'struct');
    if (valueId === undefined) throw new FieldError('ENOENT');
    if (member === '') throw new FieldError('EINVAL');
    const value = btf.type(valueId);
    const members = value.kind === 'struct' ? value.members.filter((each) => each.name === member) : [];
    if (members.length === 0) throw new FieldError('ENOENT');
    const node = kind === 'list_head' ? FIELD_KINDS.list_node : FIELD_KINDS.rb_node;
    const [{ type, bitOffset }] = members;
    const fits =
      members.length === 1 &&
      btf.kindOf(type) === 'struct' &&
      btf.nameOf(type) === node.name &&
      bitOffset % (8 * node.align) === 0;
    if (!fits) throw new FieldError('EINVAL');
    return { btf, valueId, nodeOff: bitOffset / 8 };
  }
}
