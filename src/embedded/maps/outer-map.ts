import { BpfError, ERRNO } from '../../errors.ts';
import {
  BPF_ANY,
  BPF_F_INNER_MAP,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
} from '../../object/map-flags.ts';
import { MAP_TYPES } from '../../object/map-types.ts';
import { BPF_MAP_LAYOUT } from '../btf.ts';
import type { KernelOffset } from '../layout.ts';
import { nextIndex } from './array.ts';
import { checkFlags, type MapAttributes, refusedSetting } from './attributes.ts';
import { HashTable } from './hash-table.ts';
import type { MapHost } from './host.ts';
import { EmbeddedMap, USER_CPU } from './map.ts';
import type { ValueField } from './value.ts';

/**
 * Maps that hold maps: BPF_MAP_TYPE_ARRAY_OF_MAPS and BPF_MAP_TYPE_HASH_OF_MAPS. An element is the offset of the inner map's header in
 * kernel memory, which is what a program's lookup gives. Only user space changes them: it puts a map in by its handle, and
 * finds its id. The inner maps stay as long as they are in.
 */

const FLAGS = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY;
const HASH_FLAGS = FLAGS | BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

function checkOuter(attributes: MapAttributes, attached: boolean): void {
  const { name, valueSize, inner } = attributes;
  if (valueSize !== 4) throw refusedSetting(attributes, `a map is a value of 4 bytes, not ${valueSize}`);
  if (attached) return;
  if (inner === undefined) throw refusedSetting(attributes, 'what the maps inside look like is not said');
  if (inner.type === MAP_TYPES.array_of_maps || inner.type === MAP_TYPES.hash_of_maps)
    throw refusedSetting(attributes, 'maps nest one level deep');
  if (inner.type === MAP_TYPES.prog_array)
    throw new BpfError('ENOTSUPP', `map '${name}': a prog_array cannot be inside another map`);
}

/**
 * Whether a map is like what the maps inside are said to look like (Linux: bpf_map_meta_equal). Programs look known indexes of a per-CPU
 * array up without a check, so it has as many elements at least. (Linux 6.18 does not look, and a program may find NULL there.)
 */
function fits(map: EmbeddedMap, template: MapAttributes): boolean {
  const { type, keySize, valueSize, flags, maxEntries, valueFields } = map;
  const same =
    type === template.type &&
    keySize === template.keySize &&
    valueSize === template.valueSize &&
    flags === template.flags &&
    layoutOf(valueFields.fields) === layoutOf(template.fields ?? []);
  if (type === MAP_TYPES.percpu_array) return same && maxEntries >= template.maxEntries;
  if (!same || type !== MAP_TYPES.array || (flags & BPF_F_INNER_MAP) !== 0) return same;
  return maxEntries === template.maxEntries;
}

/** The map that user space names in a value, or a negative errno. */
function innerMap(outer: EmbeddedMap, host: MapHost, handle: number): EmbeddedMap | number {
  const map = host.mapById?.(handle);
  if (map === undefined || map.closed) return -ERRNO.EBADF;
  const { inner } = outer.attributes;
  return inner !== undefined && fits(map, inner) ? map : -ERRNO.EINVAL;
}

function hold(map: EmbeddedMap): void {
  map.holders++;
}

function letGo(header: number, host: MapHost): void {
  const map = header === 0 ? undefined : host.mapAt(header as KernelOffset);
  if (map === undefined) return;
  map.holders--;
  if (map.closed) host.closeMap?.(map);
}

export class ArrayOfMaps extends EmbeddedMap {
  readonly region = undefined;
  readonly #headers: Int32Array;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { keySize, maxEntries } = attributes;
    checkOuter(attributes, header !== undefined);
    if (keySize !== 4)
      throw refusedSetting(attributes, `the key of an array is a 4-byte index, not ${keySize} bytes`);
    if (maxEntries === 0) throw refusedSetting(attributes, 'max_entries must not be 0');
    checkFlags(attributes, FLAGS);
    super(host, id, attributes, header);
    this.#headers = host.memory.words(this.own(4 * maxEntries), maxEntries);
  }

  override find(key: KernelOffset): KernelOffset {
    const index = this.kernel.view.getUint32(key, true);
    return (index < this.maxEntries ? this.#headers[index] >>> 0 : 0) as KernelOffset;
  }

  protected override fetch(key: KernelOffset, value: KernelOffset): number {
    return fetchId(this.find(key), value, this.kernel.view);
  }

  protected override insert(key: KernelOffset, value: KernelOffset, flags: number): number {
    const { view } = this.kernel;
    const index = view.getUint32(key, true);
    if (flags !== BPF_ANY) return -ERRNO.EINVAL;
    if (index >= this.maxEntries) return -ERRNO.E2BIG;
    const inner = innerMap(this, this.host, view.getUint32(value, true));
    if (typeof inner === 'number') return inner;
    hold(inner);
    letGo(Atomics.exchange(this.#headers, index, inner.header) >>> 0, this.host);
    return 0;
  }

  protected override discard(key: KernelOffset): number {
    const index = this.kernel.view.getUint32(key, true);
    if (index >= this.maxEntries) return -ERRNO.E2BIG;
    const old = Atomics.exchange(this.#headers, index, 0) >>> 0;
    letGo(old, this.host);
    return old === 0 ? -ERRNO.ENOENT : 0;
  }

  override next(key: KernelOffset, next: KernelOffset): number {
    return nextIndex(this.kernel, this.maxEntries, key, next);
  }

  protected override get batches() {
    return 'delete' as const;
  }

  override store(): number {
    return -ERRNO.EINVAL;
  }

  override remove(): number {
    return -ERRNO.EINVAL;
  }

  override release(): void {
    for (const header of this.#headers) letGo(header >>> 0, this.host);
    super.release();
  }
}

export class HashOfMaps extends HashTable {
  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    checkOuter(attributes, header !== undefined);
    checkFlags(attributes, HASH_FLAGS);
    super(host, id, attributes, header);
  }

  override find(key: KernelOffset, cpu: number): KernelOffset {
    const value = super.find(key, cpu);
    return (value === 0 ? 0 : this.kernel.view.getUint32(value, true)) as KernelOffset;
  }

  protected override fetch(key: KernelOffset, value: KernelOffset): number {
    return fetchId(this.find(key, USER_CPU), value, this.kernel.view);
  }

  protected override insert(key: KernelOffset, value: KernelOffset, flags: number): number {
    const { view } = this.kernel;
    const inner = innerMap(this, this.host, view.getUint32(value, true));
    if (typeof inner === 'number') return inner;
    const old = this.find(key, USER_CPU);
    view.setUint32(value, inner.header, true);
    const result = super.store(key, value, flags, USER_CPU);
    if (result !== 0) return result;
    hold(inner);
    letGo(old, this.host);
    return 0;
  }

  protected override discard(key: KernelOffset): number {
    const old = this.find(key, USER_CPU);
    const result = super.remove(key, USER_CPU);
    if (result === 0) letGo(old, this.host);
    return result;
  }

  protected override takeOut(): number {
    return -ERRNO.ENOTSUPP;
  }

  protected override takeInBatch(key: KernelOffset, value: KernelOffset): number {
    const result = this.fetch(key, value);
    return result === 0 ? this.discard(key) : result;
  }

  override store(): number {
    return -ERRNO.EINVAL;
  }

  override remove(): number {
    return -ERRNO.EINVAL;
  }

  override release(): void {
    const headers: number[] = [];
    this.each((_, value) => headers.push(this.kernel.view.getUint32(value, true)) > 0, USER_CPU);
    for (const header of headers) letGo(header, this.host);
    super.release();
  }
}

/** What user space sees of an element: the inner map's id. */
function fetchId(header: KernelOffset, value: KernelOffset, view: DataView): number {
  if (header === 0) return -ERRNO.ENOENT;
  view.setUint32(value, view.getUint32(header + BPF_MAP_LAYOUT.id, true), true);
  return 0;
}

/** Where a value's special fields are, and of which kind, as text that can be compared. */
function layoutOf(fields: readonly ValueField[]): string {
  return fields.map(({ kind, off, type, nodeOff }) => `${kind} ${off} ${type} ${nodeOff}`).join();
}
