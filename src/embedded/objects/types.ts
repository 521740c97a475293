import type { Btf } from '../../btf/index.ts';
import { FIELD_KINDS, type FieldKind, type SpecialField, structFields } from '../../verifier/fields.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';

/**
 * What has to be known of a type that programs allocate: its size, and where the kernel's fields in it are. It stands in kernel
 * memory, so that a compiled program hands it over as a number and every CPU reads it (Linux: struct btf_struct_meta).
 *
 * Layout, words: the size in bytes; the number of fields; 1 where programs may see an object that somebody else gives up; for
 * each field its kind, its offset, the record of the type that it points to or holds (0: none of the program's own), and where in
 * that the node lies.
 */

const HEAD_WORDS = 3;
const SEEN = 2;
const FIELD_WORDS = 4;
const KINDS = Object.keys(FIELD_KINDS) as FieldKind[];

/** Stands for the record of struct bpf_cpumask, the one type of the kernel's own that programs make. */
export const CPUMASK = 1 as KernelOffset;

/** A field of a type that programs allocate. */
export interface ObjectField {
  readonly kind: FieldKind;
  /** Bytes from the object's start. */
  readonly off: number;
  /** The record of what it points to, or holds; {@link CPUMASK}, or 0 for none. */
  readonly type: KernelOffset;
  /** Bytes from the start of what a list or tree holds to its node. */
  readonly nodeOff: number;
}

/** A type that programs allocate, as it stands in kernel memory. */
export interface ObjectType {
  /** Bytes. */
  readonly size: number;
  /** Programs may find an object without holding it: through a pointer in a map value, or since it is counted. */
  readonly isSeen: boolean;
  readonly fields: readonly ObjectField[];
}

/** Reads the record at an offset. */
export function readObjectType({ int32 }: KernelMemory, record: KernelOffset): ObjectType {
  if (record === 0) throw new TypeError('an object whose type nobody has noted');
  const at = record >>> 2;
  const fields = Array.from({ length: int32[at + 1] }, (_, index): ObjectField => {
    const field = at + HEAD_WORDS + FIELD_WORDS * index;
    const [kind, off, type, nodeOff] = int32.subarray(field, field + FIELD_WORDS);
    return { kind: KINDS[kind], off, type: (type >>> 0) as KernelOffset, nodeOff };
  });
  return { size: int32[at], isSeen: int32[at + SEEN] !== 0, fields };
}

/** Writes records: one a type, made when it is first asked for, and there until the kernel closes. */
export class ObjectTypes {
  readonly #memory: KernelMemory;
  readonly #kernelBtf: Btf;
  readonly #records = new WeakMap<Btf, Map<number, KernelOffset>>();

  constructor(memory: KernelMemory, kernelBtf: Btf) {
    this.#memory = memory;
    this.#kernelBtf = kernelBtf;
  }

  /** The record of a struct; 0 for the kernel's own, which programs do not allocate. */
  of(btf: Btf, id: number): KernelOffset {
    if (btf === this.#kernelBtf) return 0 as KernelOffset;
    let records = this.#records.get(btf);
    if (records === undefined) {
      records = new Map();
      this.#records.set(btf, records);
    }
    const known = records.get(id);
    if (known !== undefined) return known;
    const fields = structFields(btf, id, this.#kernelBtf)?.fields ?? [];
    const words = HEAD_WORDS + FIELD_WORDS * fields.length;
    const record = this.#memory.heap.allocate(4 * words);
    // Before its fields: a type may lead back to itself.
    records.set(id, record);
    const { int32 } = this.#memory;
    int32[record >>> 2] = btf.sizeOf(id);
    int32[(record >>> 2) + 1] = fields.length;
    if (fields.some(({ kind }) => kind === 'refcount')) int32[(record >>> 2) + SEEN] = 1;
    fields.forEach((field, index) => {
      const { kind, off, type, nodeOff } = this.fieldOf(field);
      const at = (record >>> 2) + HEAD_WORDS + FIELD_WORDS * index;
      int32.set([KINDS.indexOf(kind), off, type, nodeOff], at);
    });
    return record;
  }

  /** A field of a type or of a map's values, as it is needed when programs run. */
  fieldOf({ kind, off, pointee, root }: SpecialField): ObjectField {
    if (root !== undefined)
      return { kind, off, type: this.of(root.btf, root.valueId), nodeOff: root.nodeOff };
    if (pointee === undefined) return { kind, off, type: 0 as KernelOffset, nodeOff: 0 };
    const isCpumask = pointee.btf === this.#kernelBtf && pointee.btf.nameOf(pointee.id) === 'bpf_cpumask';
    const type = isCpumask ? CPUMASK : this.of(pointee.btf, pointee.id);
    if (type > CPUMASK) this.#memory.int32[(type >>> 2) + SEEN] = 1;
    return { kind, off, type, nodeOff: 0 };
  }
}
