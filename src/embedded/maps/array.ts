import { BpfError, ERRNO } from '../../errors.ts';
import { MappedArray, strideOf } from '../../mapped-array.ts';
import {
  BPF_EXIST,
  BPF_F_INNER_MAP,
  BPF_F_LOCK,
  BPF_F_MMAPABLE,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_NOEXIST,
} from '../../object/map-flags.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { checkFlags, type MapAttributes } from './attributes.ts';
import type { MapHost } from './host.ts';
import type { ElementCursor, ValueRegion } from './kernel-map.ts';
import { EmbeddedMap } from './map.ts';

/** BPF_MAP_TYPE_ARRAY: elements of one size behind each other, all there from the start. Data sections are such maps. */

const FLAGS =
  BPF_F_NUMA_NODE |
  BPF_F_RDONLY |
  BPF_F_WRONLY |
  BPF_F_RDONLY_PROG |
  BPF_F_WRONLY_PROG |
  BPF_F_MMAPABLE |
  BPF_F_INNER_MAP;

export class ArrayMap extends EmbeddedMap {
  readonly region: ValueRegion;
  /** Mappings that user space has. */
  #mapped = 0;
  /** Where each CPU shows a program the index of the element it visits. */
  readonly #indexes: KernelOffset;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { name, keySize, valueSize, maxEntries } = attributes;
    const refuse = (problem: string) => new BpfError('EINVAL', `map '${name}': ${problem}`);
    if (keySize !== 4) throw refuse(`the key of an array is a 4-byte index, not ${keySize} bytes`);
    if (valueSize === 0) throw refuse('value_size must not be 0');
    if (maxEntries === 0) throw refuse('max_entries must not be 0');
    if (valueSize > 0x7fff_ffff)
      throw new BpfError('E2BIG', `map '${name}': a value of ${valueSize} bytes is too large`);
    checkFlags(attributes, FLAGS);
    super(host, id, attributes, header);
    const stride = strideOf(valueSize);
    const start = this.own(stride * maxEntries);
    this.#indexes = this.own(8 * host.cpus);
    this.region = { start, end: start + stride * maxEntries, stride };
  }

  override find(key: KernelOffset): KernelOffset {
    return this.#element(this.kernel.view.getUint32(key, true));
  }

  override store(key: KernelOffset, value: KernelOffset, flags: number): number {
    const locked = (flags & BPF_F_LOCK) !== 0;
    if (flags > (BPF_EXIST | BPF_F_LOCK) || (flags & 3) === 3) return -ERRNO.EINVAL;
    const element = this.find(key);
    if (element === 0) return -ERRNO.E2BIG;
    if ((flags & 3) === BPF_NOEXIST) return -ERRNO.EEXIST;
    if (locked && this.valueFields.lock < 0) return -ERRNO.EINVAL;
    if (locked) this.valueFields.copyLocked(element, value, element);
    else this.valueFields.copy(element, value);
    this.valueFields.release(element);
    return 0;
  }

  override remove(_key: KernelOffset): number {
    return -ERRNO.EINVAL;
  }

  override next(key: KernelOffset, next: KernelOffset): number {
    return nextIndex(this.kernel, this.maxEntries, key, next);
  }

  override each(visit: (key: KernelOffset, value: KernelOffset) => boolean, cpu: number): number {
    return eachIndex(this.kernel, this.#indexes, cpu, this.maxEntries, (index, key) =>
      visit(key, this.#element(index)),
    );
  }

  override cursor(key: KernelOffset): ElementCursor {
    return new IndexCursor(this.kernel, this.maxEntries, key, (index) => this.#element(index));
  }

  override keyOf(value: KernelOffset): KernelOffset {
    const { start, stride } = this.region;
    this.kernel.view.setUint32(this.#indexes, (value - start) / stride, true);
    return this.#indexes;
  }

  protected override get batches() {
    return 'update' as const;
  }

  override mmap(): MappedArray {
    this.checkOpen();
    const { name, flags, region, kernel } = this;
    const refuse = (code: 'ENOTSUPP' | 'EACCES' | 'EPERM' | 'EINVAL', problem: string) =>
      new BpfError(code, `map '${name}' cannot be mapped: ${problem}`);
    if (this.valueFields.fields.length > 0)
      throw refuse('ENOTSUPP', 'the kernel looks after fields of its values');
    if ((flags & (BPF_F_RDONLY | BPF_F_WRONLY)) !== 0)
      throw refuse('EACCES', 'user space may not read and write it');
    if (this.frozen) throw refuse('EPERM', 'it is frozen');
    if ((flags & BPF_F_RDONLY_PROG) !== 0) throw refuse('EACCES', 'programs may not write it');
    if ((flags & BPF_F_MMAPABLE) === 0) throw refuse('EINVAL', 'it was made without BPF_F_MMAPABLE');
    const bytes = kernel.share(region.start, region.stride * this.maxEntries);
    this.#mapped++;
    return new MappedArray(this, bytes, () => this.#mapped--);
  }

  override freeze(): void {
    if (this.#mapped > 0)
      throw new BpfError('EBUSY', `map '${this.name}': it is mapped, and could be written`);
    super.freeze();
  }

  /** As on Linux only of a map with one element; others have no address that a program could rely on. */
  override valueAddress(offset: number): KernelOffset | undefined {
    const inside = this.maxEntries === 1 && offset < this.valueSize;
    return inside ? ((this.region.start + offset) as KernelOffset) : undefined;
  }

  #element(index: number): KernelOffset {
    return (index < this.maxEntries ? this.region.start + index * this.region.stride : 0) as KernelOffset;
  }
}

/** get_next_key of all arrays: writes the index after the one at `key` (0: the first) to `next`. */
export function nextIndex({ view }: KernelMemory, entries: number, key: number, next: number): number {
  const index = key === 0 ? entries : view.getUint32(key, true);
  if (index === entries - 1) return -ERRNO.ENOENT;
  view.setUint32(next, index >= entries ? 0 : index + 1, true);
  return 0;
}

/** Visits all indexes. @param indexes 8 bytes for each CPU, where the index is shown. @returns how many were visited. */
export function eachIndex(
  { view }: KernelMemory,
  indexes: number,
  cpu: number,
  entries: number,
  visit: (index: number, key: KernelOffset) => boolean,
): number {
  const key = (indexes + 8 * cpu) as KernelOffset;
  for (let index = 0; index < entries; index++) {
    view.setUint32(key, index, true);
    if (!visit(index, key)) return index + 1;
  }
  return entries;
}

/** The cursor of all arrays. */
export class IndexCursor implements ElementCursor {
  readonly key: KernelOffset;
  readonly #kernel: KernelMemory;
  readonly #entries: number;
  readonly #element: (index: number, cpu: number) => KernelOffset;
  #index = 0;

  constructor(
    kernel: KernelMemory,
    entries: number,
    key: KernelOffset,
    element: (index: number, cpu: number) => KernelOffset,
  ) {
    this.#kernel = kernel;
    this.#entries = entries;
    this.key = key;
    this.#element = element;
  }

  start(): boolean {
    this.#kernel.view.setUint32(this.key, this.#index, true);
    return this.#index < this.#entries;
  }

  next(): boolean {
    this.#index++;
    return this.start();
  }

  value(cpu: number): KernelOffset {
    return this.#element(this.#index, cpu);
  }
}
