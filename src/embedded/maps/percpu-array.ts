import { ERRNO } from '../../errors.ts';
import {
  BPF_EXIST,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_NOEXIST,
} from '../../object/map-flags.ts';
import type { KernelOffset } from '../layout.ts';
import { eachIndex, IndexCursor, nextIndex } from './array.ts';
import {
  align8,
  checkFlags,
  checkPercpuValue,
  type MapAttributes,
  percpuBytes,
  refusedSetting,
} from './attributes.ts';
import type { MapHost } from './host.ts';
import type { ElementCursor, ValueRegion } from './kernel-map.ts';
import { EmbeddedMap } from './map.ts';
import { copyBytes } from './value.ts';

/**
 * BPF_MAP_TYPE_PERCPU_ARRAY: an array for each CPU, one behind the other, so that what different CPUs write lies apart. User space
 * sees an element as all CPUs' values in a row, each padded to 8 bytes.
 */

const FLAGS = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

export class PercpuArrayMap extends EmbeddedMap {
  readonly region: ValueRegion;
  readonly #stride: number;
  readonly #indexes: KernelOffset;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { keySize, valueSize, maxEntries } = attributes;
    if (keySize !== 4)
      throw refusedSetting(attributes, `the key of an array is a 4-byte index, not ${keySize} bytes`);
    if (valueSize === 0) throw refusedSetting(attributes, 'value_size must not be 0');
    if (maxEntries === 0) throw refusedSetting(attributes, 'max_entries must not be 0');
    checkFlags(attributes, FLAGS);
    checkPercpuValue(attributes);
    super(host, id, attributes, header);
    this.#stride = align8(valueSize);
    const bytes = this.#stride * maxEntries * host.cpus;
    const start = this.own(bytes);
    this.#indexes = this.own(8 * host.cpus);
    this.region = { start, end: start + bytes, stride: this.#stride };
  }

  /** Bytes from a CPU's elements to the next CPU's; 0 where there is no other. */
  get cpuStride(): number {
    return this.host.cpus === 1 ? 0 : this.#stride * this.maxEntries;
  }

  override get elementSize(): number {
    return percpuBytes(this.attributes, this.host.cpus, true);
  }

  override find(key: KernelOffset, cpu: number): KernelOffset {
    return this.#element(this.kernel.view.getUint32(key, true), cpu);
  }

  override findOn(key: KernelOffset, cpu: number): KernelOffset {
    return cpu < this.host.cpus ? this.find(key, cpu) : (0 as KernelOffset);
  }

  override store(key: KernelOffset, value: KernelOffset, flags: number, cpu: number): number {
    const result = this.#refusal(key, flags);
    if (result === 0) this.valueFields.copy(this.find(key, cpu), value);
    return result;
  }

  override remove(_key: KernelOffset): number {
    return -ERRNO.EINVAL;
  }

  override next(key: KernelOffset, next: KernelOffset): number {
    return nextIndex(this.kernel, this.maxEntries, key, next);
  }

  override each(visit: (key: KernelOffset, value: KernelOffset) => boolean, cpu: number): number {
    return eachIndex(this.kernel, this.#indexes, cpu, this.maxEntries, (index, key) =>
      visit(key, this.#element(index, cpu)),
    );
  }

  override cursor(key: KernelOffset): ElementCursor {
    return new IndexCursor(this.kernel, this.maxEntries, key, (index, cpu) => this.#element(index, cpu));
  }

  protected override get batches() {
    return 'update' as const;
  }

  protected override fetch(key: KernelOffset, value: KernelOffset): number {
    if (this.find(key, 0) === 0) return -ERRNO.ENOENT;
    for (let cpu = 0; cpu < this.host.cpus; cpu++)
      copyBytes(this.kernel, value + cpu * this.#stride, this.find(key, cpu), this.#stride);
    return 0;
  }

  protected override insert(key: KernelOffset, value: KernelOffset, flags: number): number {
    const result = this.#refusal(key, flags);
    if (result !== 0) return result;
    for (let cpu = 0; cpu < this.host.cpus; cpu++)
      this.valueFields.copy(this.find(key, cpu), value + cpu * this.#stride);
    return 0;
  }

  #refusal(key: KernelOffset, flags: number): number {
    if (flags > BPF_EXIST) return -ERRNO.EINVAL;
    if (this.find(key, 0) === 0) return -ERRNO.E2BIG;
    return flags === BPF_NOEXIST ? -ERRNO.EEXIST : 0;
  }

  #element(index: number, cpu: number): KernelOffset {
    const element = cpu * this.maxEntries + index;
    return (index < this.maxEntries ? this.region.start + element * this.#stride : 0) as KernelOffset;
  }
}
