/**
 * Reads BTF lazily: opening finds where each type starts and nothing more, so that the 5 MB of a Linux kernel open in a
 * few milliseconds; types are decoded, and names indexed, when first asked for. Split BTF continues the ids and strings
 * of its base. Format: Documentation/bpf/btf.rst.
 */

import { FormatError } from '../errors.ts';
import { decodeType } from './decode.ts';
import { Alignments, resolve, sizeOf, typeError } from './layout.ts';
import { NameIndex } from './names.ts';
import { StringSection } from './strings.ts';
import type { BtfDeclTag, BtfKind, BtfType, TypeSource } from './types.ts';
import { BTF_KIND } from './types.ts';

export const BTF_MAGIC = 0xeb9f;
const HEADER_SIZE = 24;
const VOID: BtfType = { kind: 'void', name: '' };
const KIND_NAMES = Object.keys(BTF_KIND) as BtfKind[];

/** Bytes that follow a type's common 12, per kind: fixed ones, and per element of its vlen. */
const EXTRA_BYTES: Readonly<Record<BtfKind, readonly [fixed: number, each: number]>> = {
  void: [0, 0],
  int: [4, 0],
  ptr: [0, 0],
  array: [12, 0],
  struct: [0, 12],
  union: [0, 12],
  enum: [0, 8],
  fwd: [0, 0],
  typedef: [0, 0],
  volatile: [0, 0],
  const: [0, 0],
  restrict: [0, 0],
  func: [0, 0],
  func_proto: [0, 8],
  var: [4, 0],
  datasec: [0, 12],
  float: [0, 0],
  decl_tag: [4, 0],
  type_tag: [0, 0],
  enum64: [0, 12],
};
const FIXED = Uint8Array.from(KIND_NAMES, (kind) => EXTRA_BYTES[kind][0]);
const EACH = Uint8Array.from(KIND_NAMES, (kind) => EXTRA_BYTES[kind][1]);

export class Btf implements TypeSource {
  /** Valid ids are 0 to count − 1, those of the base and void included. */
  readonly count: number;
  /** The first id that is not the base's. */
  readonly startId: number;
  readonly base: Btf | undefined;
  readonly #view: DataView;
  /** Of each own type, in bytes into .BTF. */
  readonly #offsets: Uint32Array;
  readonly #strings: StringSection;
  readonly #types: (BtfType | undefined)[];
  #names: NameIndex | undefined;
  #alignments: Alignments | undefined;
  #declTags: Map<number, Map<number, BtfDeclTag[]>> | undefined;

  private constructor(view: DataView, offsets: Uint32Array, strings: StringSection, base: Btf | undefined) {
    this.#view = view;
    this.#offsets = offsets;
    this.#strings = strings;
    this.base = base;
    this.startId = base?.count ?? 1;
    this.count = this.startId + offsets.length;
    this.#types = new Array(offsets.length);
  }

  /**
   * Opens the contents of a `.BTF` section or of `/sys/kernel/btf/*`. The bytes are kept and must not change.
   *
   * @param options.base what split BTF (a module's) continues: `vmlinux`
   * @throws FormatError when header, type boundaries or strings are damaged; single types are checked when read
   */
  static read(bytes: Uint8Array, { base }: { base?: Btf } = {}): Btf {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { typesStart, typesEnd, stringsStart, stringsEnd } = readHeader(bytes, view);
    const strings = new StringSection(
      bytes.subarray(stringsStart, stringsEnd),
      stringsStart,
      base === undefined ? undefined : base.#strings,
    );
    if (base === undefined && strings.bytes[0] !== 0) {
      throw new FormatError(
        '.BTF',
        stringsStart,
        'the strings do not start with an empty one; split BTF needs its base',
      );
    }
    return new Btf(view, findTypes(view, typesStart, typesEnd), strings, base);
  }

  /** One past the last string offset: where split BTF on this base continues. */
  get stringEnd(): number {
    return this.#strings.end;
  }

  /** The type with this id; decoded once. @throws FormatError when there is none or its record is damaged */
  type(id: number): BtfType {
    if (id === 0) return VOID;
    if (id < this.startId && this.base !== undefined) return this.base.type(id);
    const index = this.#indexOf(id);
    const known = this.#types[index];
    if (known !== undefined) return known;
    const type = decodeType(this, this.#view, this.#offsets[index]);
    this.#types[index] = type;
    return type;
  }

  /** The kind of a type, without decoding it. */
  kindOf(id: number): BtfKind {
    if (id === 0) return 'void';
    if (id < this.startId && this.base !== undefined) return this.base.kindOf(id);
    return KIND_NAMES[this.#view.getUint8(this.#offsets[this.#indexOf(id)] + 7) & 0x1f];
  }

  /** The name of a type, without decoding it; empty when anonymous. */
  nameOf(id: number): string {
    if (id === 0) return '';
    if (id < this.startId && this.base !== undefined) return this.base.nameOf(id);
    return this.name(this.#view.getUint32(this.#offsets[this.#indexOf(id)], true));
  }

  offsetOf(id: number): number {
    if (id < this.startId && this.base !== undefined) return this.base.offsetOf(id);
    return this.#offsets[this.#indexOf(id)];
  }

  /** The string at an offset, of any length (source lines of `.BTF.ext`, access strings). */
  string(offset: number): string {
    return this.#strings.at(offset);
  }

  /** @throws FormatError when no string is at that offset */
  checkString(offset: number): void {
    this.#strings.holding(offset);
  }

  /** The name at a string offset: at most 4095 bytes. */
  name(offset: number): string {
    return this.#strings.nameAt(offset);
  }

  /** The lowest id with this name, of this kind if given; the base is searched first (libbpf: btf__find_by_name_kind). */
  idOf(name: string, kind?: BtfKind): number | undefined {
    if (name === 'void' && (kind ?? 'void') === 'void') return 0;
    const inBase = this.base?.idOf(name, kind);
    if (inBase !== undefined) return inBase;
    for (const id of this.#nameIndex().withName(name)) {
      if (kind === undefined || this.kindOf(id) === kind) return id;
    }
    return undefined;
  }

  /** Own ids, ascending, whose name is this one when flavours (`___suffix`) are ignored on both sides. */
  ownIdsWithEssentialName(name: string): number[] {
    return this.#nameIndex().withEssentialName(name);
  }

  /** Size in bytes (libbpf: btf__resolve_size). @throws FormatError for types without one: void, functions, fwd */
  sizeOf(id: number): number {
    return sizeOf(this, id);
  }

  /** Alignment in bytes (libbpf: btf__align_of). @throws FormatError for types without one */
  alignOf(id: number): number {
    this.#alignments ??= new Alignments(this);
    return this.#alignments.of(id);
  }

  /** The id behind typedefs, const, volatile, restrict and type tags. @throws FormatError when they go in a circle */
  resolve(id: number): number {
    return resolve(this, id);
  }

  /** The texts of the declaration tags on a type, or on its member or parameter `componentIdx`. */
  declTags(id: number, componentIdx = -1): string[] {
    return this.declTagsOf(id, componentIdx).map(({ name }) => name);
  }

  /** As `declTags`, with what else BTF says of each tag. */
  declTagsOf(id: number, componentIdx = -1): readonly BtfDeclTag[] {
    this.#declTags ??= this.#indexDeclTags();
    const own = this.#declTags.get(id)?.get(componentIdx) ?? [];
    if (this.base === undefined || id >= this.startId) return own;
    return [...this.base.declTagsOf(id, componentIdx), ...own];
  }

  /** By tagged type, then by component. */
  #indexDeclTags(): Map<number, Map<number, BtfDeclTag[]>> {
    const index = new Map<number, Map<number, BtfDeclTag[]>>();
    for (let id = this.startId; id < this.count; id++) {
      const tag = this.kindOf(id) === 'decl_tag' ? this.type(id) : undefined;
      if (tag?.kind !== 'decl_tag') continue;
      const byComponent = index.get(tag.type) ?? new Map<number, BtfDeclTag[]>();
      index.set(tag.type, byComponent);
      const tags = byComponent.get(tag.componentIdx);
      if (tags === undefined) byComponent.set(tag.componentIdx, [tag]);
      else tags.push(tag);
    }
    return index;
  }

  #indexOf(id: number): number {
    const index = id - this.startId;
    if (!(index >= 0 && index < this.#offsets.length)) {
      throw typeError(this, id, `no such type; there are ${this.count}`);
    }
    return index;
  }

  #nameIndex(): NameIndex {
    this.#names ??= new NameIndex(this.#view, this.#offsets, this.#strings, this.startId);
    return this.#names;
  }
}

function readHeader(bytes: Uint8Array, view: DataView) {
  if (bytes.length < HEADER_SIZE)
    throw new FormatError('.BTF', 0, `${bytes.length} bytes are too few for BTF`);
  const magic = view.getUint16(0, true);
  if (magic === 0x9feb) {
    throw new FormatError('.BTF', 0, 'the BTF is big-endian; compile with clang -target bpfel');
  }
  if (magic !== BTF_MAGIC)
    throw new FormatError('.BTF', 0, `not BTF: it starts with 0x${magic.toString(16)}`);
  if (bytes[2] !== 1) throw new FormatError('.BTF', 2, `BTF version ${bytes[2]}; only 1 is known`);
  const headerSize = view.getUint32(4, true);
  if (headerSize < HEADER_SIZE || headerSize > bytes.length) {
    throw new FormatError('.BTF', 4, `header of ${headerSize} bytes`);
  }
  const typesStart = headerSize + view.getUint32(8, true);
  const typesEnd = typesStart + view.getUint32(12, true);
  const stringsStart = headerSize + view.getUint32(16, true);
  const stringsEnd = stringsStart + view.getUint32(20, true);
  if (typesEnd > bytes.length) throw new FormatError('.BTF', 12, 'the types end beyond the section');
  if (stringsEnd > bytes.length) throw new FormatError('.BTF', 20, 'the strings end beyond the section');
  return { typesStart, typesEnd, stringsStart, stringsEnd };
}

/** The one pass over all types that opening makes. */
function findTypes(view: DataView, start: number, end: number): Uint32Array {
  const offsets = new Uint32Array(Math.floor((end - start) / 12));
  let count = 0;
  for (let at = start; at < end; count++) {
    if (at + 12 > end) throw new FormatError('.BTF', at, 'the last type is cut off');
    const info = view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 0x1f;
    if (kind === 0 || kind >= FIXED.length) throw new FormatError('.BTF', at + 4, `unknown kind ${kind}`);
    offsets[count] = at;
    at += 12 + FIXED[kind] + EACH[kind] * (info & 0xffff);
    if (at > end) throw new FormatError('.BTF', offsets[count], 'the last type is cut off');
  }
  return offsets.slice(0, count);
}
