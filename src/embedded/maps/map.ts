import { BpfError, ERRNO, type ErrnoName, errnoName } from '../../errors.ts';
import type { Batch, BpfMap, NewMap } from '../../kernel.ts';
import type { MappedArray } from '../../mapped-array.ts';
import {
  BPF_ANY,
  BPF_F_LOCK,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
} from '../../object/map-flags.ts';
import { MAP_TYPES, mapTypeName } from '../../object/map-types.ts';
import type { PerfBufferOptions, PerfRecord } from '../../perf-ring.ts';
import type { RecordReader } from '../../record-reader.ts';
import type { RecordWriter } from '../../record-ring.ts';
import type { SharedArena } from '../arena.ts';
import { BPF_MAP_LAYOUT } from '../btf.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { type ValueField, ValueFields } from './value.ts';

/**
 * What all maps of the embedded kernel have in common: the header in kernel memory that a program's map pointer points
 * to, and user space's operations, which copy key and value into kernel memory and go the way programs go.
 */

/** What BPF_MAP_CREATE takes. Sizes in bytes. */
export interface MapAttributes {
  name: string;
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  mapExtra: bigint;
  /** Fields of the value that the kernel looks after: they are not copied with it. */
  fields?: readonly ValueField[] | undefined;
  /** What the maps inside look like. */
  inner?: MapAttributes | undefined;
}

/** Bytes of kernel memory where each element holds a value that programs may access. */
export interface ValueRegion {
  start: KernelOffset;
  /** One past the last byte. */
  end: number;
  /** From one value to the next. */
  stride: number;
}

/** What a map needs of the kernel it is in; each CPU has its own object that is one. */
export interface MapHost {
  readonly memory: KernelMemory;
  /** CPUs that the kernel has: what a per-CPU map has a value for. */
  readonly cpus: number;
  /** The map whose header is at an offset of kernel memory. */
  mapAt(header: KernelOffset): EmbeddedMap | undefined;
  /** What another CPU told of the arena of map `id`; user space's CPU makes them all. */
  arenaOf?(id: number): SharedArena | undefined;
  /** The map with this id; needed where user space works only. */
  mapById?(id: number): EmbeddedMap | undefined;
  /** Forgets a map that user space has closed and nothing holds any more. */
  closeMap?(map: EmbeddedMap): void;
  /** Runs an action when no program has what it found before; where user space is only. */
  whenQuiet?(action: () => void): void;
  /** The program with this number, for arrays of programs; only where user space is. */
  tailCaller?(id: number): { readonly id: number; readonly owner: string } | undefined;
}

/** How to make a map's object: anew, or over a map that another CPU has made, whose header is given. */
export type MapConstructor = new (
  host: MapHost,
  id: number,
  attributes: MapAttributes,
  header?: KernelOffset,
) => EmbeddedMap;

/** Pieces of kernel memory that a map can {@link EmbeddedMap.own}, besides its header. */
const MAX_PIECES = 6;

export abstract class EmbeddedMap implements BpfMap {
  readonly attributes: Readonly<MapAttributes>;
  readonly id: number;
  /** struct bpf_map in kernel memory: what a program's map pointer points to. */
  readonly header: KernelOffset;
  /** Set by BPF_MAP_FREEZE: user space may no longer change it. */
  frozen = false;
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
  readonly #key: KernelOffset;
  readonly #value: KernelOffset;
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
    this.#key = (this.header + fixed) as KernelOffset;
    this.#value = (this.#key + keyBytes) as KernelOffset;
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

  /** Whether a bloom filter may hold a value. Throws EOPNOTSUPP for maps of other types. */
  contains(value: Uint8Array): boolean {
    this.checkReadable();
    if (this.type !== MAP_TYPES.bloom_filter) this.check(-ERRNO.EOPNOTSUPP, 'lookup');
    const result = this.peek(this.#put(this.#value, value, this.valueSize, 'value'));
    if (result === -ERRNO.ENOENT) return false;
    this.check(result, 'lookup');
    return true;
  }

  /** A reader of a ring buffer. Throws EINVAL for maps of other types. */
  reader(): RecordReader<Uint8Array> {
    throw new BpfError('EINVAL', `map '${this.name}' is of type ${mapTypeName(this.type)}, not ringbuf`);
  }

  /** A reader of a perf event array. Throws EINVAL for maps of other types. */
  perfReader(_options?: PerfBufferOptions): RecordReader<PerfRecord> {
    throw new BpfError(
      'EINVAL',
      `map '${this.name}' is of type ${mapTypeName(this.type)}, not perf_event_array`,
    );
  }

  /** A writer of a user ring buffer. Throws EINVAL for maps of other types. */
  writer(): RecordWriter {
    throw new BpfError('EINVAL', `map '${this.name}' is of type ${mapTypeName(this.type)}, not user_ringbuf`);
  }

  /** Shares an array's memory with user space. Throws ENOTSUPP for maps of other types. */
  mmap(): MappedArray {
    throw new BpfError('ENOTSUPP', `map '${this.name}' of type ${mapTypeName(this.type)} cannot be mapped`);
  }

  /** What user space names the map by, in the value of a map that holds maps. */
  get handle(): number {
    return this.id;
  }

  /** Bytes that user space's lookup gives and update takes; per-CPU maps have a value for each CPU. */
  get elementSize(): number {
    return this.attributes.valueSize;
  }

  lookup(key: Uint8Array, flags = BPF_ANY): Uint8Array | undefined {
    this.checkReadable();
    this.#put(this.#key, key, this.keySize, 'key');
    this.check(this.#lockFlag(flags, BPF_F_LOCK), 'lookup');
    const result = this.fetch(this.#key, this.#value, flags);
    if (result === -ERRNO.ENOENT) return undefined;
    this.check(result, 'lookup');
    return this.kernel.bytes.slice(this.#value, this.#value + this.elementSize);
  }

  lookupAndDelete(key: Uint8Array, flags = BPF_ANY): Uint8Array | undefined {
    this.checkReadable();
    this.checkWritable();
    this.#put(this.#key, key, this.keySize, 'key');
    this.check(this.#lockFlag(flags, BPF_F_LOCK), 'lookup_and_delete');
    const result = this.takeOut(this.#key, this.#value, flags);
    if (result === -ERRNO.ENOENT) return undefined;
    this.check(result, 'lookup_and_delete');
    return this.kernel.bytes.slice(this.#value, this.#value + this.elementSize);
  }

  update(key: Uint8Array, value: Uint8Array, flags = BPF_ANY): void {
    this.checkWritable();
    if (!Number.isSafeInteger(flags) || flags < 0)
      throw new BpfError('EINVAL', `map '${this.name}': ${flags} are no flags`);
    this.#put(this.#key, key, this.keySize, 'key');
    this.#put(this.#value, value, this.elementSize, 'value');
    this.check(this.#lockFlag(flags), 'update');
    this.check(this.insert(this.#key, this.#value, flags), 'update');
  }

  delete(key: Uint8Array): boolean {
    this.checkWritable();
    const result = this.discard(this.#put(this.#key, key, this.keySize, 'key'));
    if (result === -ERRNO.ENOENT) return false;
    this.check(result, 'delete');
    return true;
  }

  nextKey(key?: Uint8Array): Uint8Array | undefined {
    this.checkReadable();
    const from = key === undefined ? (0 as KernelOffset) : this.#put(this.#key, key, this.keySize, 'key');
    // The value's scratch place may be smaller than a key, so the answer goes where the question was.
    const result = this.next(from, this.#key);
    if (result === -ERRNO.ENOENT) return undefined;
    this.check(result, 'get_next_key');
    return this.kernel.bytes.slice(this.#key, this.#key + this.keySize);
  }

  *keys(): Generator<Uint8Array> {
    const seen = this.maxEntries;
    let key = this.nextKey();
    for (let count = 0; key !== undefined && count <= seen; count++) {
      yield key;
      key = this.nextKey(key);
    }
  }

  *lookupBatches(size = BATCH_SIZE, andDelete = false): Generator<Batch> {
    this.#requireBatches(andDelete ? 'take' : 'update');
    let batch: Batch = { keys: [], values: [] };
    for (const key of this.keys()) {
      const value = andDelete ? this.#takeInBatch(key) : this.lookup(key);
      if (value === undefined) continue;
      batch.keys.push(key);
      batch.values.push(value);
      if (batch.keys.length < size) continue;
      yield batch;
      batch = { keys: [], values: [] };
    }
    yield batch;
  }

  updateBatch({ keys, values }: Batch, flags = BPF_ANY): number {
    this.#requireBatches('update');
    keys.forEach((key, i) => {
      this.update(key, values[i], flags);
    });
    return keys.length;
  }

  deleteBatch(keys: readonly Uint8Array[]): number {
    this.#requireBatches('delete');
    for (const key of keys)
      if (!this.delete(key)) throw new BpfError('ENOENT', `map '${this.name}': no such element`);
    return keys.length;
  }

  /** What user space can do with many elements at once: nothing, look up and update, delete too, look up and delete in one. */
  protected get batches(): 'none' | 'update' | 'delete' | 'take' {
    return 'none';
  }

  #requireBatches(need: 'update' | 'delete' | 'take'): void {
    const order = ['none', 'update', 'delete', 'take'];
    if (order.indexOf(this.batches) < order.indexOf(need))
      throw new BpfError('ENOTSUPP', `map '${this.name}': this type of map has no batch operation like this`);
  }

  /** User space's lookup: copies all that it sees of an element to `value`. @returns 0 or a negative errno. */
  protected fetch(key: KernelOffset, value: KernelOffset, flags: number): number {
    const found = this.find(key, USER_CPU);
    if (found === 0) return -ERRNO.ENOENT;
    if ((flags & BPF_F_LOCK) !== 0) this.valueFields.copyLocked(value, found, found);
    else this.valueFields.copy(value, found);
    this.valueFields.clear(value);
    return 0;
  }

  /** User space's update. */
  protected insert(key: KernelOffset, value: KernelOffset, flags: number): number {
    return this.store(key, value, flags, USER_CPU);
  }

  /** User space's lookup_and_delete. */
  protected takeOut(_key: KernelOffset, _value: KernelOffset, _flags: number): number {
    return -ERRNO.ENOTSUPP;
  }

  /** User space's lookup_and_delete of many. */
  protected takeInBatch(key: KernelOffset, value: KernelOffset): number {
    return this.takeOut(key, value, BPF_ANY);
  }

  #takeInBatch(key: Uint8Array): Uint8Array | undefined {
    this.checkWritable();
    const result = this.takeInBatch(this.#put(this.#key, key, this.keySize, 'key'), this.#value);
    if (result === -ERRNO.ENOENT) return undefined;
    this.check(result, 'lookup_and_delete');
    return this.kernel.bytes.slice(this.#value, this.#value + this.elementSize);
  }

  /** User space's delete. */
  protected discard(key: KernelOffset): number {
    return this.remove(key, USER_CPU);
  }

  /** BPF_MAP_FREEZE. Throws EPERM when user space could not change it anyway. */
  freeze(): void {
    this.checkWritable();
    this.frozen = true;
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

  /** Gives user space's hold of the map up; its memory is free when no map holds it any more, either. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.host.closeMap?.(this);
  }

  /** Gives its kernel memory back. */
  release(): void {
    this.closed = true;
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

  #put(place: KernelOffset, bytes: Uint8Array, size: number, what: string): KernelOffset {
    if (!(bytes instanceof Uint8Array))
      throw new BpfError('EINVAL', `map '${this.name}': a ${what} is a Uint8Array`);
    if (bytes.length !== size) {
      throw new BpfError('EINVAL', `map '${this.name}': a ${what} has ${size} bytes, not ${bytes.length}`);
    }
    this.kernel.bytes.set(bytes, place);
    return place;
  }

  #lockFlag(flags: number, allowed = ~0): number {
    const refused = (flags & ~allowed) !== 0 || ((flags & BPF_F_LOCK) !== 0 && this.valueFields.lock < 0);
    return refused ? -ERRNO.EINVAL : 0;
  }

  /** Throws EBADF when the map is closed. */
  protected checkOpen(): void {
    this.#checkOpen();
  }

  protected checkReadable(): void {
    this.#checkOpen();
    this.#refuseFlag(BPF_F_WRONLY, 'user space may not read it (BPF_F_WRONLY)');
  }

  #checkOpen(): void {
    if (this.closed) throw new BpfError('EBADF', `map '${this.name}' is closed`);
  }

  protected checkWritable(): void {
    this.#checkOpen();
    if (this.frozen)
      throw new BpfError('EPERM', `map '${this.name}': user space cannot change it, it is frozen`);
    this.#refuseFlag(BPF_F_RDONLY, 'user space may not write it (BPF_F_RDONLY)');
  }

  #refuseFlag(flag: number, problem: string): void {
    if ((this.flags & flag) !== 0) throw new BpfError('EPERM', `map '${this.name}': ${problem}`);
  }

  /** Throws what a negative errno means for a map operation. */
  protected check(result: number, operation: string): void {
    if (result === 0) return;
    const code = errnoName(result) as ErrnoName;
    throw new BpfError(code, `map '${this.name}': ${operation} failed: ${REASONS[code] ?? code}`);
  }
}

/** What a map is made of, with 0 for what is left out. */
export function newAttributes(settings: NewMap & Pick<MapAttributes, 'fields'>): MapAttributes {
  const {
    type,
    name = 'map',
    keySize = 0,
    valueSize = 0,
    maxEntries = 0,
    flags = 0,
    mapExtra = 0n,
  } = settings;
  const { fields, inner } = settings;
  const own = { type, name, keySize, valueSize, maxEntries, flags, mapExtra, fields };
  return { ...own, inner: inner && newAttributes(inner) };
}

/** What a map's header in kernel memory says that it was made of; of the name the first 15 bytes. */
export function attributesAt({ view, bytes }: KernelMemory, header: KernelOffset): MapAttributes {
  const word = (field: keyof typeof BPF_MAP_LAYOUT) => view.getUint32(header + BPF_MAP_LAYOUT[field], true);
  const name = bytes.slice(header + BPF_MAP_LAYOUT.name, header + BPF_MAP_LAYOUT.name + 16);
  return {
    name: new TextDecoder().decode(name.subarray(0, name.indexOf(0))),
    type: word('map_type'),
    keySize: word('key_size'),
    valueSize: word('value_size'),
    maxEntries: word('max_entries'),
    flags: word('map_flags'),
    mapExtra: view.getBigUint64(header + BPF_MAP_LAYOUT.map_extra, true),
  };
}

/** The id in a map's header: 0 where there is no map any more. */
export function mapIdAt({ view }: KernelMemory, header: KernelOffset): number {
  return view.getUint32(header + BPF_MAP_LAYOUT.id, true);
}

/** User space works on the thread of CPU 0. */
export const USER_CPU = 0;

const REASONS: Partial<Record<ErrnoName, string>> = {
  E2BIG: 'no room for another element, or an index beyond max_entries',
  EEXIST: 'the element exists (BPF_NOEXIST)',
  ENOENT: 'the element does not exist (BPF_EXIST)',
  EINVAL: 'the operation or its flags are not for this type of map',
  EOPNOTSUPP: 'this type of map does not support it',
  ENOTSUPP: 'this type of map does not support it',
  EBADF: 'the value is the handle of no map that is open',
  ENOSPC: 'no room for another element',
};

/** Elements in a batch where nothing else is said. */
const BATCH_SIZE = 256;

/** Rounds up to a multiple of 8: elements start aligned, as on Linux. */
export function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Refuses map flags that a type does not know, and settings it cannot have, with what BPF_MAP_CREATE answers. */
export function checkFlags({ name, flags, mapExtra }: MapAttributes, allowed: number): void {
  const refuse = (problem: string) => new BpfError('EINVAL', `map '${name}': ${problem}`);
  const unknown = (flags & ~allowed) >>> 0;
  if (unknown !== 0) throw refuse(`map_flags 0x${unknown.toString(16)} are not for its type`);
  for (const both of [BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG, BPF_F_RDONLY | BPF_F_WRONLY])
    if ((flags & both) === both) throw refuse('it cannot be read-only and write-only');
  if (mapExtra !== 0n) throw refuse('map_extra is not for its type');
}

/** The error for settings that a map type cannot have. */
export function refusedSetting({ name }: MapAttributes, problem: string): BpfError {
  return new BpfError('EINVAL', `map '${name}': ${problem}`);
}

/** Bytes of an element as user space sees it. */
export function percpuBytes({ valueSize }: MapAttributes, { cpus }: MapHost, perCpu: boolean): number {
  return perCpu ? align8(valueSize) * cpus : valueSize;
}

/** Linux: PCPU_MIN_UNIT_SIZE, the most that a value may have for each CPU. */
const MAX_PERCPU_VALUE = 32_768;

/** Throws E2BIG. */
export function checkPercpuValue({ name, valueSize }: MapAttributes): void {
  if (align8(valueSize) <= MAX_PERCPU_VALUE) return;
  const problem = `a value of ${valueSize} bytes for each CPU is too large; at most ${MAX_PERCPU_VALUE}`;
  throw new BpfError('E2BIG', `map '${name}': ${problem}`);
}
