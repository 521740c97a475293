import {
  BTF_INT_BOOL,
  BTF_INT_CHAR,
  BTF_INT_SIGNED,
  type Btf,
  BtfBuilder,
  type BtfMember,
} from '../btf/index.ts';
import { type DwarfSections, type Entry, readEntries, TAG } from './entries.ts';

/**
 * Completes BTF from DWARF. clang leaves a struct that is only reached through pointers in other structs as a forward
 * declaration in BTF, and a struct that only local variables use out of it; its DWARF has both. So an object that was
 * compiled with -g and not stripped shows all its types to TypeScript.
 */

/** DW_ATE_*: what a base type holds. */
const ENCODINGS: Readonly<Record<number, number>> = {
  2: BTF_INT_BOOL,
  5: BTF_INT_SIGNED,
  6: BTF_INT_SIGNED | BTF_INT_CHAR,
  8: BTF_INT_CHAR,
};
const DW_ATE_FLOAT = 4;

/** Types within types; damaged DWARF may go round in circles. */
const MAX_DEPTH = 64;

/**
 * The same types under the same ids, with forward declarations replaced by what DWARF knows, and types that BTF lacks
 * behind them.
 *
 * @throws FormatError when the DWARF is damaged.
 */
export function completeTypes(btf: Btf, sections: DwarfSections): Btf {
  const entries = readEntries(sections);
  const completion = new Completion(btf, entries);
  for (const entry of entries.values()) completion.offer(entry);
  return completion.build();
}

class Completion {
  readonly #entries: Map<number, Entry>;
  readonly #types: BtfBuilder;
  /** Entry → type id. */
  readonly #ids = new Map<number, number>();
  /** `struct node` → the id that stands for it in BTF, declared or defined. */
  readonly #named = new Map<string, number>();
  /** Names that are only declared in BTF. */
  readonly #declared = new Set<string>();

  constructor(btf: Btf, entries: Map<number, Entry>) {
    this.#entries = entries;
    this.#types = BtfBuilder.from(btf);
    for (let id = btf.startId; id < btf.count; id++) {
      const type = btf.type(id);
      const word = type.kind === 'fwd' ? type.fwdKind : type.kind;
      if (type.name === '' || !['struct', 'union', 'enum', 'typedef', 'int', 'float'].includes(word))
        continue;
      const key = `${word} ${type.name}`;
      const isDeclared = type.kind === 'fwd';
      if (this.#named.has(key) && (isDeclared || !this.#declared.has(key))) continue;
      this.#named.set(key, id);
      if (isDeclared) this.#declared.add(key);
      else this.#declared.delete(key);
    }
  }

  /** Takes a named struct or union that BTF declares or lacks. */
  offer(entry: Entry): void {
    const isComposite = entry.tag === TAG.structure || entry.tag === TAG.union;
    if (isComposite && entry.name !== '' && entry.values.declaration === undefined)
      this.#idOf(entry.offset, 0);
  }

  build(): Btf {
    return this.#types.build();
  }

  /** The type id for an entry; 0, void, for none and for what BTF cannot say. */
  #idOf(offset: number | undefined, depth: number): number {
    const entry = offset === undefined ? undefined : this.#entries.get(offset);
    if (entry === undefined || depth > MAX_DEPTH) return 0;
    const known = this.#ids.get(entry.offset);
    if (known !== undefined) return known;
    const { name, values } = entry;
    const inner = () => this.#idOf(values.type, depth + 1);
    switch (entry.tag) {
      case TAG.structure:
        return this.#composite(entry, 'struct', depth);
      case TAG.union:
        return this.#composite(entry, 'union', depth);
      case TAG.base:
        return this.#remember(
          entry,
          this.#existing(`int ${name}`) ?? this.#existing(`float ${name}`) ?? this.#base(entry),
        );
      case TAG.enumeration:
        return this.#remember(entry, this.#existing(`enum ${name}`) ?? this.#enumeration(entry));
      case TAG.typedef:
        return this.#remember(
          entry,
          this.#existing(`typedef ${name}`) ?? this.#types.modifier('typedef', inner(), name),
        );
      case TAG.pointer:
        return this.#pointer(entry, depth);
      case TAG.array:
        return this.#remember(entry, this.#array(entry, inner()));
      case TAG.const:
        return this.#remember(entry, this.#types.modifier('const', inner()));
      case TAG.volatile:
        return this.#remember(entry, this.#types.modifier('volatile', inner()));
      case TAG.restrict:
        return this.#remember(entry, this.#types.modifier('restrict', inner()));
      case TAG.subroutine:
        return this.#remember(entry, this.#types.funcProto(0, []));
      default:
        return 0;
    }
  }

  #remember(entry: Entry, id: number): number {
    this.#ids.set(entry.offset, id);
    return id;
  }

  #existing(key: string): number | undefined {
    return key.endsWith(' ') ? undefined : this.#named.get(key);
  }

  /** Before its members, so that they can point back to it. */
  #composite(entry: Entry, kind: 'struct' | 'union', depth: number): number {
    const { name, values } = entry;
    const key = `${kind} ${name}`;
    const existing = this.#existing(key);
    const isComplete = values.declaration === undefined;
    if (existing !== undefined && (!isComplete || !this.#declared.has(key)))
      return this.#remember(entry, existing);
    if (!isComplete) return this.#remember(entry, this.#types.add({ kind: 'fwd', name, fwdKind: kind }));
    const id = this.#remember(entry, existing ?? this.#types.reserve());
    this.#declared.delete(key);
    if (name !== '') this.#named.set(key, id);
    const members = entry.children
      .filter(({ tag }) => tag === TAG.member)
      .map((member) => this.#member(member, depth));
    this.#types.set(id, { kind, name, size: values.byteSize ?? 0, members });
    return id;
  }

  #member({ name, values }: Entry, depth: number): BtfMember {
    const bitOffset = values.dataBitOffset ?? (values.memberLocation ?? 0) * 8;
    return { name, type: this.#idOf(values.type, depth + 1), bitOffset, bitfieldSize: values.bitSize ?? 0 };
  }

  #pointer(entry: Entry, depth: number): number {
    const id = this.#remember(entry, this.#types.reserve());
    this.#types.set(id, { kind: 'ptr', name: '', type: this.#idOf(entry.values.type, depth + 1) });
    return id;
  }

  #array(entry: Entry, element: number): number {
    const dimensions = entry.children
      .filter(({ tag }) => tag === TAG.subrange)
      .map(({ values }) => values.count ?? (values.upperBound === undefined ? 0 : values.upperBound + 1));
    return dimensions.reduceRight((type, nelems) => this.#types.array(type, nelems), element);
  }

  #base({ name, values }: Entry): number {
    const size = values.byteSize ?? 0;
    if (values.encoding === DW_ATE_FLOAT) return this.#types.add({ kind: 'float', name, size });
    return this.#types.int(name, size, ENCODINGS[values.encoding ?? 0] ?? 0);
  }

  #enumeration({ name, values, children }: Entry): number {
    const list = children
      .filter(({ tag }) => tag === TAG.enumerator)
      .map((child) => ({ name: child.name, value: child.values.constValue ?? 0 }));
    const signed = list.some(({ value }) => value < 0);
    const size = values.byteSize ?? 4;
    if (size !== 8) return this.#types.add({ kind: 'enum', name, size, signed, values: list });
    const wide = list.map(({ name: text, value }) => ({ name: text, value: BigInt(value) }));
    return this.#types.add({ kind: 'enum64', name, size, signed, values: wide });
  }
}
