import { ERRNO } from '../../errors.ts';
import { BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG } from '../../object/map-flags.ts';
import { BPF_MAP_LAYOUT } from '../btf.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { holdsObjects, releaseFields } from '../objects/object.ts';
import { align8, type MapAttributes } from './attributes.ts';
import type { MapHost } from './host.ts';
import { ValueFields } from './value.ts';

/**
 * The half of a map that programs see: the header in kernel memory that a program's map pointer points to, the memory behind it, which
 * every CPU finds through the header, and what types do with elements.
 */

/** Bytes of kernel memory where each element holds a value that programs may access. */
export interface ValueRegion {
  start: KernelOffset;
  /** One past the last byte. */
  end: number;
  /** From one value to the next. */
  stride: number;
}

/** Where an iterator program stands among a map's elements. It goes on from there however much the map has changed meanwhile. */
export interface ElementCursor {
  /** Finds the element at which it stands, at first the first one. @returns whether there is any. */
  start(): boolean;
  /** Goes on to the next. @returns whether there is any. */
  next(): boolean;
  readonly key: KernelOffset;
  /** @param cpu whose value, of per-CPU maps. */
  value(cpu: number): KernelOffset;
}

/** Pieces of kernel memory that a map can {@link EmbeddedMap.own}, besides its header. */
const MAX_PIECES = 6;

export abstract class KernelMap {
  readonly attributes: Readonly<MapAttributes>;
  readonly id: number;
  /** struct bpf_map in kernel memory: what a program's map pointer points to. */
  readonly header: KernelOffset;
  closed = false;
  protected readonly host: MapHost;
  protected readonly kernel: KernelMemory;
  /** This object looks at a map that another CPU has made: there is nothing to set up. */
  protected readonly attached: boolean;
  /** The special fields of values. */
  readonly valueFields: ValueFields;
  /** Objects whose programs use this map, and maps that hold it: they keep it alive. */
  holders = 0;
  /** One key and one value for user space's operations, behind the header. */
  protected readonly userKey: KernelOffset;
  protected readonly userValue: KernelOffset;
  /** Where {@link own} notes what it hands out, so that an attached object finds the same: words behind struct bpf_map. */
  readonly #pieces: Int32Array;
  #piece = 0;

  /** @param header of the map to attach to; absent: make a new map. */
  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    this.host = host;
    this.kernel = host.memory;
    this.id = id;
    this.attributes = { ...attributes };
    this.attached = header !== undefined;
    const pieces = align8(4 * MAX_PIECES);
    const keyBytes = align8(attributes.keySize);
    const fixed = BPF_MAP_LAYOUT.size + pieces + ValueFields.BYTES;
    this.header = header ?? this.kernel.allocate(fixed + keyBytes + this.elementSize);
    this.#pieces = this.kernel.words((this.header + BPF_MAP_LAYOUT.size) as KernelOffset, MAX_PIECES);
    const fields = (this.header + BPF_MAP_LAYOUT.size + pieces) as KernelOffset;
    this.userKey = (this.header + fixed) as KernelOffset;
    this.userValue = (this.userKey + keyBytes) as KernelOffset;
    if (!this.attached) this.#writeHeader(fields);
    this.valueFields = new ValueFields(this.kernel, fields, attributes.valueSize);
  }

  get name(): string {
    return this.attributes.name;
  }
  get type(): number {
    return this.attributes.type;
  }
  get keySize(): number {
    return this.attributes.keySize;
  }
  get valueSize(): number {
    return this.attributes.valueSize;
  }
  get maxEntries(): number {
    return this.attributes.maxEntries;
  }
  get flags(): number {
    return this.attributes.flags;
  }

  /** Where programs find values, for the guard; undefined when they get no pointers to any. */
  abstract readonly region: ValueRegion | undefined;
  /** The value for a key, both in kernel memory; 0 when there is no such element. @param cpu that asks. */
  abstract find(key: KernelOffset, cpu: number): KernelOffset;
  /** @returns 0 or a negative errno. @param cpu that stores. */
  abstract store(key: KernelOffset, value: KernelOffset, flags: number, cpu: number): number;
  /** @returns 0 or a negative errno. @param cpu that removes. */
  abstract remove(key: KernelOffset, cpu: number): number;
  /** Writes the key after the one at `key` (0: the first) to `next`. @returns 0 or a negative errno. */
  abstract next(key: KernelOffset, next: KernelOffset): number;

  /** Where a direct reference (`ld_imm64` of a map value) leads, or undefined when the type has none there. */
  valueAddress(_offset: number): KernelOffset | undefined {
    return undefined;
  }

  /** The value that a CPU has for a key; only per-CPU maps have several. */
  findOn(_key: KernelOffset, _cpu: number): KernelOffset {
    return 0 as KernelOffset;
  }

  /**
   * Visits all elements, as bpf_for_each_map_elem does: it ends however much others write meanwhile. Both are in kernel memory.
   * @param visit returns whether to go on. @param cpu whose values it sees. @returns how many were visited, or a negative errno.
   */
  each(_visit: (key: KernelOffset, value: KernelOffset) => boolean, _cpu: number): number {
    return -ERRNO.EINVAL;
  }

  /** For iterator programs. @param key 8 bytes, where an index is shown. @returns undefined for types that have none of that. */
  cursor(_key: KernelOffset): ElementCursor | undefined {
    return undefined;
  }

  /** The value that has a byte of kernel memory in it, of maps with a {@link region}. */
  valueAround(offset: number): KernelOffset | undefined {
    const { region } = this;
    if (region === undefined || offset < region.start || offset >= region.end) return undefined;
    return (offset - ((offset - region.start) % region.stride)) as KernelOffset;
  }

  /** The key of a value; only of maps whose values may have timers. On CPU 0. */
  keyOf(_value: KernelOffset): KernelOffset {
    return 0 as KernelOffset;
  }

  /** bpf_map_push_elem, _pop_elem and _peek_elem; @returns 0 or a negative errno. */
  push(_value: KernelOffset, _flags: number): number {
    return -ERRNO.EOPNOTSUPP;
  }
  pop(_value: KernelOffset): number {
    return -ERRNO.EOPNOTSUPP;
  }
  peek(_value: KernelOffset): number {
    return -ERRNO.EOPNOTSUPP;
  }

  /** Bytes that user space's lookup gives and update takes; per-CPU maps have a value for each CPU. */
  get elementSize(): number {
    return this.attributes.valueSize;
  }

  /** Why a program may not access `size` bytes at an offset within {@link region}; undefined when it may. */
  refusal(offset: number, size: number, writes: boolean): string | undefined {
    const { region, valueSize, flags } = this;
    if (region === undefined) return undefined;
    const at = (offset - region.start) % region.stride;
    const where = `value_size=${valueSize} off=${at} size=${size}`;
    if (at + size > valueSize) return `invalid access to map value, ${where}`;
    if (writes && (flags & BPF_F_RDONLY_PROG) !== 0) return `write into map forbidden, ${where}`;
    if (!writes && (flags & BPF_F_WRONLY_PROG) !== 0) return `read from map forbidden, ${where}`;
    return undefined;
  }

  /** Gives its kernel memory back, and the objects that its values hold. */
  release(): void {
    this.closed = true;
    const { region, kernel, valueSize } = this;
    const { fields } = this.valueFields;
    if (region !== undefined && fields.some(holdsObjects))
      for (let value = region.start as number; value + valueSize <= region.end; value += region.stride)
        releaseFields(kernel, value, fields);
    this.#release();
  }

  /**
   * Zeroed kernel memory that is freed with the map; when there is none left, the map that is being made is undone. To be called
   * in the same order whenever a map of the type is made: an attached object gets what the map has.
   */
  protected own(bytes: number): KernelOffset {
    const piece = this.#piece++;
    if (piece === MAX_PIECES) throw new TypeError(`a map has at most ${MAX_PIECES} pieces of memory`);
    if (this.attached) return (this.#pieces[piece] >>> 0) as KernelOffset;
    try {
      const offset = this.kernel.allocate(bytes);
      this.#pieces[piece] = offset;
      return offset;
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  #release(): void {
    for (const piece of this.#pieces) if (piece !== 0) this.kernel.free((piece >>> 0) as KernelOffset);
    this.kernel.free(this.header);
  }

  #writeHeader(fields: KernelOffset): void {
    const { view, bytes } = this.kernel;
    const { type, keySize, valueSize, maxEntries, mapExtra, flags, name } = this.attributes;
    ValueFields.write(this.kernel, fields, this.attributes.fields ?? []);
    const word = (field: keyof typeof BPF_MAP_LAYOUT, value: number) =>
      view.setUint32(this.header + BPF_MAP_LAYOUT[field], value, true);
    word('map_type', type);
    word('key_size', keySize);
    word('value_size', valueSize);
    word('max_entries', maxEntries);
    word('map_flags', flags);
    word('id', this.id);
    view.setBigUint64(this.header + BPF_MAP_LAYOUT.map_extra, mapExtra, true);
    bytes.set(new TextEncoder().encode(name).subarray(0, 15), this.header + BPF_MAP_LAYOUT.name);
  }
}
