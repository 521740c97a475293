import { BpfError, ERRNO } from '../../errors.ts';
import {
  BPF_EXIST,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
  BPF_NOEXIST,
} from '../../object/map-flags.ts';
import type { KernelOffset } from '../layout.ts';
import { locked } from '../spin-lock.ts';
import {
  align8,
  checkFlags,
  EmbeddedMap,
  type MapAttributes,
  type MapHost,
  type ValueRegion,
} from './map.ts';

/**
 * BPF_MAP_TYPE_HASH. Buckets are lists of elements; removed elements go to a free list and are handed out again. Memory
 * for all max_entries is set aside at the start, which costs nothing until it is touched, so BPF_F_NO_PREALLOC makes no
 * difference. Everything, the free list too, is in kernel memory; changes happen under the map's lock.
 */

const FLAGS =
  BPF_F_NO_PREALLOC |
  BPF_F_NUMA_NODE |
  BPF_F_RDONLY |
  BPF_F_WRONLY |
  BPF_F_ZERO_SEED |
  BPF_F_RDONLY_PROG |
  BPF_F_WRONLY_PROG;

/** Words before the buckets. Elements are named by number + 1, so that 0 is none. */
const LOCK = 0;
/** The element freed last. */
const FREED = 1;
/** How many elements were ever handed out. */
const USED = 2;
const HEADER_WORDS = 4;

/** An element: the next one in its bucket or on the free list, its hash, then the value and the key. */
const NEXT = 0;
const HASH = 4;
const VALUE = 8;

/** Linux: KMALLOC_MAX_SIZE bounds an element, of which its own struct htab_elem takes 48 bytes. */
const MAX_ELEMENT = 2 ** 22 - 48;
/** Linux: the buckets, of 16 bytes each, are counted in 32 bits. */
const MAX_BUCKETS = 2 ** 27;

export class HashMap extends EmbeddedMap {
  readonly region: ValueRegion;
  readonly #words: Int32Array;
  readonly #mask: number;
  readonly #elements: KernelOffset;
  readonly #stride: number;
  readonly #keyOffset: number;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { name, keySize, valueSize, maxEntries } = attributes;
    const refuse = (problem: string) => new BpfError('EINVAL', `map '${name}': ${problem} must not be 0`);
    if (keySize === 0) throw refuse('key_size');
    if (valueSize === 0) throw refuse('value_size');
    if (maxEntries === 0) throw refuse('max_entries');
    checkFlags(attributes, FLAGS);
    if (keySize + valueSize >= MAX_ELEMENT) {
      throw new BpfError(
        'E2BIG',
        `map '${name}': key and value of ${keySize + valueSize} bytes are too large`,
      );
    }
    const buckets = 2 ** Math.ceil(Math.log2(maxEntries));
    if (buckets > MAX_BUCKETS)
      throw new BpfError('E2BIG', `map '${name}': ${maxEntries} elements are too many`);
    super(host, id, attributes, header);
    const words = HEADER_WORDS + buckets;
    this.#words = host.memory.words(this.own(words * 4), words);
    this.#mask = buckets - 1;
    this.#keyOffset = VALUE + align8(valueSize);
    this.#stride = this.#keyOffset + align8(keySize);
    this.#elements = this.own(this.#stride * maxEntries);
    const end = this.#elements + this.#stride * maxEntries;
    this.region = { start: (this.#elements + VALUE) as KernelOffset, end, stride: this.#stride };
  }

  override find(key: KernelOffset): KernelOffset {
    const element = this.#find(key, this.#hash(key));
    return (element === 0 ? 0 : this.#at(element) + VALUE) as KernelOffset;
  }

  override store(key: KernelOffset, value: KernelOffset, flags: number): number {
    if (flags > BPF_EXIST) return -ERRNO.EINVAL;
    const { bytes, view } = this.kernel;
    const hash = this.#hash(key);
    return locked(this.#words, LOCK, () => {
      let element = this.#find(key, hash);
      if (element !== 0 && flags === BPF_NOEXIST) return -ERRNO.EEXIST;
      if (element === 0 && flags === BPF_EXIST) return -ERRNO.ENOENT;
      const isNew = element === 0;
      if (isNew) element = this.#take();
      if (element === 0) return -ERRNO.E2BIG;
      const at = this.#at(element);
      bytes.copyWithin(at + VALUE, value, value + this.valueSize);
      if (isNew) {
        bytes.copyWithin(at + this.#keyOffset, key, key + this.keySize);
        const bucket = this.#bucket(hash);
        view.setInt32(at + HASH, hash, true);
        view.setInt32(at + NEXT, this.#words[bucket], true);
        // Published last: who looks up without the lock sees the element whole.
        Atomics.store(this.#words, bucket, element);
      }
      return 0;
    });
  }

  override remove(key: KernelOffset): number {
    const hash = this.#hash(key);
    return locked(this.#words, LOCK, () => {
      const element = this.#find(key, hash);
      if (element === 0) return -ERRNO.ENOENT;
      this.#unlink(element, hash);
      this.kernel.view.setInt32(this.#at(element) + NEXT, this.#words[FREED], true);
      this.#words[FREED] = element;
      return 0;
    });
  }

  override next(key: KernelOffset, next: KernelOffset): number {
    const hash = key === 0 ? 0 : this.#hash(key);
    const current = key === 0 ? 0 : this.#find(key, hash);
    let found = current === 0 ? 0 : this.#next(current);
    // A key that is gone starts over, as on Linux.
    let bucket = current === 0 ? HEADER_WORDS : this.#bucket(hash) + 1;
    for (; found === 0 && bucket < this.#words.length; bucket++) found = this.#words[bucket];
    if (found === 0) return -ERRNO.ENOENT;
    const from = this.#at(found) + this.#keyOffset;
    this.kernel.bytes.copyWithin(next, from, from + this.keySize);
    return 0;
  }

  #find(key: KernelOffset, hash: number): number {
    const { view } = this.kernel;
    for (let element = this.#words[this.#bucket(hash)]; element !== 0; element = this.#next(element)) {
      const at = this.#at(element);
      if (view.getInt32(at + HASH, true) === hash && this.#sameKey(key, at + this.#keyOffset)) return element;
    }
    return 0;
  }

  #take(): number {
    const freed = this.#words[FREED];
    if (freed !== 0) {
      this.#words[FREED] = this.#next(freed);
      return freed;
    }
    return this.#words[USED] === this.maxEntries ? 0 : ++this.#words[USED];
  }

  #unlink(element: number, hash: number): void {
    const bucket = this.#bucket(hash);
    const after = this.#next(element);
    if (this.#words[bucket] === element) {
      this.#words[bucket] = after;
      return;
    }
    let before = this.#words[bucket];
    while (this.#next(before) !== element) before = this.#next(before);
    this.kernel.view.setInt32(this.#at(before) + NEXT, after, true);
  }

  #next(element: number): number {
    return this.kernel.view.getInt32(this.#at(element) + NEXT, true);
  }

  #at(element: number): number {
    return this.#elements + (element - 1) * this.#stride;
  }

  #bucket(hash: number): number {
    return HEADER_WORDS + (hash & this.#mask);
  }

  #sameKey(a: number, b: number): boolean {
    const { bytes } = this.kernel;
    for (let i = 0; i < this.keySize; i++) if (bytes[a + i] !== bytes[b + i]) return false;
    return true;
  }

  /** FNV-1a with a final mix, so that the low bits, which choose the bucket, depend on all bytes. */
  #hash(key: KernelOffset): number {
    const { bytes } = this.kernel;
    let hash = 0x811c9dc5;
    for (let at = key as number; at < key + this.keySize; at++)
      hash = Math.imul(hash ^ bytes[at], 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    return hash ^ (hash >>> 12);
  }
}
