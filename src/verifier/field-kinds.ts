import type { Btf, BtfType } from '../btf/index.ts';
import type { ErrnoName } from '../errors.ts';

/** Kinds of fields that the kernel looks after, and the record of those that a type has (Linux: enum btf_field_type, struct btf_record). */

export type FieldKind =
  | 'spin_lock'
  | 'res_spin_lock'
  | 'timer'
  | 'wq'
  | 'task_work'
  | 'kptr_unref'
  | 'kptr_ref'
  | 'kptr_percpu'
  | 'uptr'
  | 'list_head'
  | 'list_node'
  | 'rb_root'
  | 'rb_node'
  | 'refcount';

/** Bytes and alignment of each kind, and what messages call it (Linux: btf_field_type_size, btf_field_type_name). */
export const FIELD_KINDS = {
  spin_lock: { size: 4, align: 4, name: 'bpf_spin_lock' },
  res_spin_lock: { size: 4, align: 4, name: 'bpf_res_spin_lock' },
  timer: { size: 16, align: 8, name: 'bpf_timer' },
  wq: { size: 16, align: 8, name: 'bpf_wq' },
  task_work: { size: 8, align: 8, name: 'bpf_task_work' },
  kptr_unref: { size: 8, align: 8, name: 'kptr' },
  kptr_ref: { size: 8, align: 8, name: 'kptr' },
  kptr_percpu: { size: 8, align: 8, name: 'percpu_kptr' },
  uptr: { size: 8, align: 8, name: 'uptr' },
  list_head: { size: 16, align: 8, name: 'bpf_list_head' },
  list_node: { size: 24, align: 8, name: 'bpf_list_node' },
  rb_root: { size: 16, align: 8, name: 'bpf_rb_root' },
  rb_node: { size: 32, align: 8, name: 'bpf_rb_node' },
  refcount: { size: 4, align: 4, name: 'bpf_refcount' },
} as const satisfies Record<FieldKind, { size: number; align: number; name: string }>;

export const KPTRS: readonly FieldKind[] = ['kptr_unref', 'kptr_ref', 'kptr_percpu'];
export const GRAPH_ROOTS: readonly FieldKind[] = ['list_head', 'rb_root'];
export const GRAPH_NODES: readonly FieldKind[] = ['list_node', 'rb_node'];

export interface SpecialField {
  readonly kind: FieldKind;
  /** Bytes from the value's start. */
  readonly off: number;
  /** Bytes. */
  readonly size: number;
  /** Of a kptr: what it points to. `btf` is the kernel's, or the program's for what the program allocates. */
  readonly pointee?: { readonly btf: Btf; readonly id: number };
  /** Of a list or tree: the struct it holds, and where in that the node lies. */
  readonly root?: { readonly btf: Btf; readonly valueId: number; readonly nodeOff: number };
}

/** The special fields of a type, in the order of their offsets. */
export class FieldRecord {
  readonly fields: readonly SpecialField[];

  constructor(fields: readonly SpecialField[]) {
    this.fields = [...fields].sort((a, b) => a.off - b.off);
  }

  has(...kinds: readonly FieldKind[]): boolean {
    return this.fields.some(({ kind }) => kinds.includes(kind));
  }

  /** The field of one of these kinds at an offset (Linux: btf_record_find). */
  find(off: number, ...kinds: readonly FieldKind[]): SpecialField | undefined {
    return this.fields.find((field) => field.off === off && kinds.includes(field.kind));
  }

  /** Where the last field of a kind lies; −22 where there is none, as Linux's messages say. */
  offsetOf(kind: FieldKind): number {
    return this.fields.findLast((field) => field.kind === kind)?.off ?? -22;
  }
}

/** The type cannot have the fields that it has: the errno that Linux gives. */
export class FieldError extends Error {
  override name = 'FieldError';
  readonly code: ErrnoName;

  constructor(code: ErrnoName) {
    super(code);
    this.code = code;
  }
}

/** The text of the tag between a pointer and its type (Linux: btf_find_kptr). */
export function kptrTag(btf: Btf, id: number): string | undefined {
  let type: BtfType = btf.type(id);
  if (type.kind === 'volatile') type = btf.type(type.type);
  if (type.kind !== 'ptr') return undefined;
  const tag = btf.type(type.type);
  return tag.kind === 'type_tag' ? tag.name : undefined;
}
