import { ERRNO } from '../../errors.ts';
import {
  BPF_EXIST,
  BPF_F_CLONE,
  BPF_F_LOCK,
  BPF_F_NO_PREALLOC,
  BPF_NOEXIST,
} from '../../object/map-flags.ts';
import type { KernelOffset } from '../layout.ts';
import { align8, checkFlags, type MapAttributes, refusedSetting } from './attributes.ts';
import type { MapHost } from './host.ts';
import type { ValueRegion } from './kernel-map.ts';
import { EmbeddedMap } from './map.ts';

/**
 * BPF_MAP_TYPE_TASK_STORAGE: a value for each task that programs gave one. Here each CPU has one task, the thread that it is, so a value
 * has its place, with a word in front that says whether it is there. What is a pidfd to user space on Linux is the number of the CPU.
 */

/** Linux: BPF_LOCAL_STORAGE_MAX_VALUE_SIZE. */
const MAX_VALUE = 65_407;
/** Bytes in front of a value: 1 in the first word where it is there. */
const HEAD = 8;

export class TaskStorageMap extends EmbeddedMap {
  readonly region: ValueRegion;
  readonly #start: KernelOffset;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { keySize, valueSize, maxEntries, flags } = attributes;
    if ((flags & BPF_F_NO_PREALLOC) === 0)
      throw refusedSetting(attributes, 'local storage has the flag BPF_F_NO_PREALLOC');
    if (maxEntries !== 0) throw refusedSetting(attributes, 'max_entries of local storage is 0');
    if (keySize !== 4) throw refusedSetting(attributes, `the key is 4 bytes, not ${keySize}`);
    if (valueSize === 0) throw refusedSetting(attributes, 'value_size must not be 0');
    if (valueSize > MAX_VALUE)
      throw refusedSetting(attributes, `a value of ${valueSize} bytes is too large; at most ${MAX_VALUE}`);
    checkFlags(attributes, BPF_F_NO_PREALLOC | BPF_F_CLONE);
    super(host, id, attributes, header);
    const stride = HEAD + align8(valueSize);
    this.#start = this.own(stride * host.cpus);
    // The last one ends where its value does.
    const start = (this.#start + HEAD) as KernelOffset;
    this.region = { start, end: start + stride * host.cpus - HEAD, stride };
  }

  /** bpf_task_storage_get. @param initial what a new value holds, 0: zeroes. @returns 0 where there is none. */
  get(task: number, create: boolean, initial: KernelOffset): KernelOffset {
    const value = this.#valueOf(task);
    if (this.#isThere(value)) return value;
    if (!create) return 0 as KernelOffset;
    if (initial === 0) this.kernel.bytes.fill(0, value, value + this.valueSize);
    else this.valueFields.copy(value, initial);
    this.#setThere(value, 1);
    return value;
  }

  /** bpf_task_storage_delete. @returns 0 or −ENOENT. */
  forget(task: number): number {
    const value = this.#valueOf(task);
    if (this.#setThere(value, 0) === 0) return -ERRNO.ENOENT;
    this.valueFields.release(value);
    return 0;
  }

  override find(key: KernelOffset): KernelOffset {
    const task = this.#taskAt(key);
    const value = task < 0 ? (0 as KernelOffset) : this.#valueOf(task);
    return value !== 0 && this.#isThere(value) ? value : (0 as KernelOffset);
  }

  protected override fetch(key: KernelOffset, value: KernelOffset, flags: number): number {
    return this.#taskAt(key) < 0 ? -ERRNO.EBADF : super.fetch(key, value, flags);
  }

  override store(key: KernelOffset, value: KernelOffset, flags: number): number {
    const task = this.#taskAt(key);
    const exists = flags & ~BPF_F_LOCK;
    if (task < 0) return -ERRNO.EBADF;
    if (exists > BPF_EXIST) return -ERRNO.EINVAL;
    const place = this.#valueOf(task);
    const isThere = this.#isThere(place);
    if (isThere && exists === BPF_NOEXIST) return -ERRNO.EEXIST;
    if (!isThere && exists === BPF_EXIST) return -ERRNO.ENOENT;
    if ((flags & BPF_F_LOCK) !== 0) this.valueFields.copyLocked(place, value, place);
    else this.valueFields.copy(place, value);
    this.#setThere(place, 1);
    return 0;
  }

  override remove(key: KernelOffset): number {
    const task = this.#taskAt(key);
    return task < 0 ? -ERRNO.EBADF : this.forget(task);
  }

  override next(): number {
    return -ERRNO.ENOTSUPP;
  }

  /** The CPU whose task a key names; −1: there is none. */
  #taskAt(key: KernelOffset): number {
    const cpu = this.kernel.view.getUint32(key, true);
    return cpu < this.host.cpus ? cpu : -1;
  }

  #valueOf(task: number): KernelOffset {
    return (this.region.start + task * this.region.stride) as KernelOffset;
  }

  #isThere(value: KernelOffset): boolean {
    return Atomics.load(this.kernel.int32, (value - HEAD) >>> 2) !== 0;
  }

  /** @returns what it was. */
  #setThere(value: KernelOffset, is: 0 | 1): number {
    return Atomics.exchange(this.kernel.int32, (value - HEAD) >>> 2, is);
  }
}
