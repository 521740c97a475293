import { BpfError, ERRNO } from '../../errors.ts';
import { BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST } from '../../object/map-flags.ts';
import { MAP_TYPES } from '../../object/map-types.ts';
import type { KernelOffset } from '../layout.ts';
import { lock, unlock } from '../spin-lock.ts';
import { align8, checkPercpuValue, type MapAttributes, percpuBytes, refusedSetting } from './attributes.ts';
import { FreeElements } from './free-elements.ts';
import { HashCursor } from './hash-cursor.ts';
import { hashOf, sameKey } from './hash-keys.ts';
import { CONTROL_WORDS, CPU_WORDS, HAND, HASH, NEXT, REFERENCED, STATE, USED, VALUE } from './hash-layout.ts';
import type { MapHost } from './host.ts';
import type { ElementCursor, ValueRegion } from './kernel-map.ts';
import { EmbeddedMap, USER_CPU } from './map.ts';
import { copyBytes } from './value.ts';

/**
 * What all hash maps are made of: buckets that are lists of elements, a lock for each bucket or group of them, and free elements
 * in a list for each CPU, which runs through HASH. Who looks up takes no lock. An element may be freed and taken for another key
 * while a reader stands on it, so a list ends in the number of its bucket, and a reader that arrives at another's starts again
 * (Linux: hlist_nulls). A value that is replaced goes into another element, which is published when it is whole; each CPU has one
 * to spare for that, so replacing works in a full map too. Memory is set aside at the start, and costs nothing until it is
 * touched: BPF_F_NO_PREALLOC makes no difference. Where things are: hash-layout.ts; free elements: free-elements.ts.
 */

const MOST_LOCKS = 1024;
/** Linux: KMALLOC_MAX_SIZE bounds an element, of which its own struct htab_elem takes 48 bytes. */
const MAX_ELEMENT = 2 ** 22 - 48;
/** Linux: the buckets, of 16 bytes each, are counted in 32 bits. */
const MAX_BUCKETS = 2 ** 27;

function isPerCpu({ type }: MapAttributes): boolean {
  return type === MAP_TYPES.percpu_hash || type === MAP_TYPES.lru_percpu_hash;
}

export class HashTable extends EmbeddedMap {
  readonly region: ValueRegion;
  /** A value for each CPU. */
  readonly perCpu: boolean;
  /** Full maps give up an element that was not used lately. */
  readonly lru: boolean;
  readonly #words: Int32Array;
  readonly #locks: number;
  readonly #lockMask: number;
  readonly #buckets: number;
  readonly #mask: number;
  readonly #elements: number;
  readonly #stride: number;
  readonly #keyOffset: number;
  readonly #free: FreeElements;
  /** Of per-CPU maps: bytes from one CPU's value to the next. */
  readonly #valueStride: number;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { name, keySize, valueSize, maxEntries } = attributes;
    if (keySize === 0) throw refusedSetting(attributes, 'key_size must not be 0');
    if (valueSize === 0) throw refusedSetting(attributes, 'value_size must not be 0');
    if (maxEntries === 0) throw refusedSetting(attributes, 'max_entries must not be 0');
    const buckets = 2 ** Math.ceil(Math.log2(maxEntries));
    if (keySize + valueSize >= MAX_ELEMENT || buckets > MAX_BUCKETS) {
      const problem = `${maxEntries} elements of ${keySize} + ${valueSize} bytes are too large`;
      throw new BpfError('E2BIG', `map '${name}': ${problem}`);
    }
    const perCpu = isPerCpu(attributes);
    if (perCpu) checkPercpuValue(attributes);
    super(host, id, attributes, header);
    this.perCpu = perCpu;
    this.lru = attributes.type === MAP_TYPES.lru_hash || attributes.type === MAP_TYPES.lru_percpu_hash;
    const locks = Math.min(buckets, MOST_LOCKS);
    this.#locks = CONTROL_WORDS + host.cpus * CPU_WORDS;
    this.#lockMask = locks - 1;
    this.#buckets = this.#locks + locks;
    this.#mask = buckets - 1;
    const words = this.#buckets + buckets;
    this.#words = host.memory.words(this.own(words * 4), words);
    this.#keyOffset = VALUE + (perCpu ? 0 : align8(valueSize));
    this.#stride = this.#keyOffset + align8(keySize);
    const elements = maxEntries + host.cpus;
    const start = this.own(this.#stride * elements);
    this.#elements = start - this.#stride;
    this.#free = new FreeElements(
      host.memory,
      this.#words,
      maxEntries,
      host.cpus,
      this.#elements,
      this.#stride,
    );
    this.#valueStride = align8(valueSize);
    this.region = perCpu
      ? this.#percpuRegion(elements)
      : {
          start: (start + VALUE) as KernelOffset,
          end: start + this.#stride * elements,
          stride: this.#stride,
        };
  }

  #percpuRegion(elements: number): ValueRegion {
    const bytes = this.#valueStride * this.host.cpus * elements;
    const start = this.own(bytes);
    return { start, end: start + bytes, stride: this.#valueStride };
  }

  /** What of the layout differs by map: offsets of kernel memory and sizes in bytes; `bucketWord` as the ends of lists count. */
  get layout() {
    const control = this.#words.byteOffset;
    return {
      control,
      locks: control + 4 * this.#locks,
      lockMask: this.#lockMask,
      buckets: control + 4 * this.#buckets,
      bucketWord: this.#buckets,
      mask: this.#mask,
      elements: this.#elements,
      stride: this.#stride,
      keyOffset: this.#keyOffset,
      values: this.region.start,
      valueStride: this.#valueStride,
      cpus: this.host.cpus,
    };
  }

  override get elementSize(): number {
    return percpuBytes(this.attributes, this.host.cpus, isPerCpu(this.attributes));
  }

  protected override get batches(): 'none' | 'take' {
    return 'take';
  }

  override find(key: KernelOffset, cpu: number): KernelOffset {
    const element = this.#find(key, this.#hash(key));
    if (element === 0) return 0 as KernelOffset;
    if (this.lru) this.kernel.int32[(this.#at(element) + REFERENCED) >>> 2] = 1;
    return this.#value(element, cpu);
  }

  override findOn(key: KernelOffset, cpu: number): KernelOffset {
    return this.perCpu && cpu < this.host.cpus ? this.find(key, cpu) : (0 as KernelOffset);
  }

  override store(key: KernelOffset, value: KernelOffset, flags: number, cpu: number): number {
    const locked = (flags & BPF_F_LOCK) !== 0;
    if (flags > (BPF_EXIST | BPF_F_LOCK) || (flags & 3) === 3) return -ERRNO.EINVAL;
    if (locked && this.valueFields.lock < 0) return -ERRNO.EINVAL;
    return this.#store(key, flags & 3, cpu, locked ? value : 0, (element, isNew) => {
      if (isNew && this.perCpu)
        this.kernel.bytes.fill(0, this.#value(element, 0), this.#value(element + 1, 0));
      else if (isNew) this.valueFields.clear(this.#value(element, cpu));
      this.valueFields.copy(this.#value(element, cpu), value);
    });
  }

  /** User space gives per-CPU maps all values at once. */
  protected override insert(key: KernelOffset, value: KernelOffset, flags: number): number {
    if (!this.perCpu) return this.store(key, value, flags, USER_CPU);
    if (flags > BPF_EXIST) return -ERRNO.EINVAL;
    const { cpus } = this.host;
    return this.#store(key, flags, USER_CPU, 0, (element) =>
      copyBytes(this.kernel, this.#value(element, 0), value, cpus * this.#valueStride),
    );
  }

  /** @param held when not 0: a value that an existing element takes in place, while its lock is held. */
  #store(
    key: KernelOffset,
    flags: number,
    cpu: number,
    held: number,
    fill: (element: number, isNew: boolean) => void,
  ): number {
    const hash = this.#hash(key);
    let fresh = 0;
    for (;;) {
      this.#lock(hash);
      const old = this.#find(key, hash);
      let result = 0;
      let evict = false;
      if (old !== 0 && flags === BPF_NOEXIST) result = -ERRNO.EEXIST;
      else if (old === 0 && flags === BPF_EXIST) result = -ERRNO.ENOENT;
      else if (old !== 0 && held !== 0) {
        const at = this.#value(old, cpu);
        this.valueFields.copyLocked(at, held, at);
      } else if (old !== 0 && this.perCpu) fill(old, false);
      else if (old !== 0) {
        const spare = this.#free.spare(cpu);
        this.#fill(spare, key, hash, fill);
        this.#link(spare, hash);
        this.#unlink(old, hash);
        this.#free.keepSpare(old, cpu);
      } else {
        if (fresh === 0) fresh = this.#free.take(cpu);
        if (fresh !== 0) {
          this.#fill(fresh, key, hash, fill);
          this.#link(fresh, hash);
          fresh = 0;
        } else if (this.lru) evict = true;
        else result = -ERRNO.E2BIG;
      }
      this.#unlock(hash);
      if (!evict) {
        if (fresh !== 0) this.#free.give(fresh, cpu);
        return result;
      }
      // Not with a bucket's lock held: the element to give up may be in any.
      fresh = this.#evict();
    }
  }

  override remove(key: KernelOffset, cpu: number): number {
    return this.#remove(key, cpu, () => {});
  }

  /**
   * User space's look does not count as use. It copies with the bucket's lock held, so that the element cannot become another's
   * meanwhile.
   */
  protected override fetch(key: KernelOffset, value: KernelOffset, flags: number): number {
    const hash = this.#hash(key);
    this.#lock(hash);
    const element = this.#find(key, hash);
    if (element !== 0) this.#copyOut(element, value, flags);
    this.#unlock(hash);
    return element === 0 ? -ERRNO.ENOENT : 0;
  }

  protected override takeOut(key: KernelOffset, value: KernelOffset, flags: number): number {
    return this.#remove(key, USER_CPU, (element) => this.#copyOut(element, value, flags));
  }

  #copyOut(element: number, value: KernelOffset, flags: number): void {
    const from = this.#value(element, 0);
    if (this.perCpu) copyBytes(this.kernel, value, from, this.elementSize);
    else if ((flags & BPF_F_LOCK) !== 0) this.valueFields.copyLocked(value, from, from);
    else this.valueFields.copy(value, from);
    this.valueFields.clear(value);
  }

  #remove(key: KernelOffset, cpu: number, before: (element: number) => void): number {
    const hash = this.#hash(key);
    this.#lock(hash);
    const element = this.#find(key, hash);
    if (element !== 0) {
      before(element);
      this.#unlink(element, hash);
    }
    this.#unlock(hash);
    if (element === 0) return -ERRNO.ENOENT;
    this.#free.give(element, cpu);
    return 0;
  }

  override next(key: KernelOffset, next: KernelOffset): number {
    const words = this.#words;
    const hash = key === 0 ? 0 : this.#hash(key);
    const current = key === 0 ? 0 : this.#find(key, hash);
    // A key that is gone starts over, as on Linux.
    let found = current === 0 ? 0 : Math.max(0, this.#next(current));
    let bucket = current === 0 ? this.#buckets : this.#bucket(hash) + 1;
    for (; found === 0 && bucket < words.length; bucket++) found = Math.max(0, words[bucket]);
    if (found === 0) return -ERRNO.ENOENT;
    copyBytes(this.kernel, next, this.#at(found) + this.#keyOffset, this.keySize);
    return 0;
  }

  override keyOf(value: KernelOffset): KernelOffset {
    return (value - VALUE + this.#keyOffset) as KernelOffset;
  }

  override each(visit: (key: KernelOffset, value: KernelOffset) => boolean, cpu: number): number {
    const { int32 } = this.kernel;
    const last = this.maxEntries + this.host.cpus;
    let count = 0;
    for (let element = 1; element <= last; element++) {
      // Elements that were never handed out: only spare ones are behind them.
      if (element > this.#words[USED] && element <= this.maxEntries) element = this.maxEntries + 1;
      const at = this.#at(element);
      if (int32[(at + STATE) >>> 2] === 0) continue;
      count++;
      if (!visit((at + this.#keyOffset) as KernelOffset, this.#value(element, cpu))) break;
    }
    return count;
  }

  override cursor(_key: KernelOffset): ElementCursor {
    return new HashCursor({
      buckets: this.#mask + 1,
      first: (bucket) => this.#words[this.#buckets + bucket],
      next: (element) => this.#next(element),
      // A bucket that never had any.
      isEnd: (end, bucket) => end === 0 || end === ~(this.#buckets + bucket),
      isOf: (element, bucket) =>
        (this.kernel.int32[(this.#at(element) + HASH) >>> 2] & this.#mask) === bucket,
      isThere: (element) => this.kernel.int32[(this.#at(element) + STATE) >>> 2] === 1,
      key: (element) => (this.#at(element) + this.#keyOffset) as KernelOffset,
      value: (element, cpu) => this.#value(element, cpu),
    });
  }

  /** All keys that are there now: what happens meanwhile changes nothing. */
  override *keys(): Generator<Uint8Array> {
    this.nextKey();
    const { keySize } = this;
    const { bytes } = this.kernel;
    let all = new Uint8Array(keySize * 64);
    let used = 0;
    this.each((key) => {
      if (used + keySize > all.length) {
        const larger = new Uint8Array(all.length * 2);
        larger.set(all);
        all = larger;
      }
      all.set(bytes.subarray(key, key + keySize), used);
      used += keySize;
      return true;
    }, USER_CPU);
    for (let at = 0; at < used; at += keySize) yield all.slice(at, at + keySize);
  }

  #find(key: KernelOffset, hash: number): number {
    const { int32 } = this.kernel;
    const bucket = this.#bucket(hash);
    for (;;) {
      let element = this.#words[bucket];
      while (element > 0) {
        const at = this.#at(element);
        if (
          int32[(at + HASH) >>> 2] === hash &&
          sameKey(this.kernel, key, at + this.#keyOffset, this.keySize)
        )
          return element;
        element = int32[(at + NEXT) >>> 2];
      }
      // Another bucket's end: the element that led there has moved to it.
      if (element === 0 || element === ~bucket) return 0;
    }
  }

  #fill(element: number, key: number, hash: number, fill: (element: number, isNew: boolean) => void): void {
    const at = this.#at(element);
    copyBytes(this.kernel, at + this.#keyOffset, key, this.keySize);
    const { int32 } = this.kernel;
    int32[(at + HASH) >>> 2] = hash;
    int32[(at + REFERENCED) >>> 2] = 0;
    fill(element, true);
  }

  /** Published by its last step: who looks up without the lock sees the element whole. */
  #link(element: number, hash: number): void {
    const { int32 } = this.kernel;
    const bucket = this.#bucket(hash);
    const at = this.#at(element);
    const first = this.#words[bucket];
    int32[(at + NEXT) >>> 2] = first === 0 ? ~bucket : first;
    int32[(at + STATE) >>> 2] = 1;
    Atomics.store(this.#words, bucket, element);
  }

  /** Takes it out of its bucket, whose lock is held. Its own NEXT stays, for who stands on it. */
  #unlink(element: number, hash: number): void {
    const { int32 } = this.kernel;
    const bucket = this.#bucket(hash);
    const after = this.#next(element);
    int32[(this.#at(element) + STATE) >>> 2] = 0;
    if (!this.perCpu) this.valueFields.release(this.#at(element) + VALUE);
    if (this.#words[bucket] === element) {
      Atomics.store(this.#words, bucket, after);
      return;
    }
    let before = this.#words[bucket];
    while (this.#next(before) !== element) before = this.#next(before);
    Atomics.store(int32, (this.#at(before) + NEXT) >>> 2, after);
  }

  /** Takes an element out of its bucket that was not used since the clock's hand came by; 0: others did all that while. */
  #evict(): number {
    const { int32 } = this.kernel;
    const last = this.maxEntries + this.host.cpus;
    for (let steps = 3 * last; steps > 0; steps--) {
      const element = ((Atomics.add(this.#words, HAND, 1) >>> 0) % last) + 1;
      const at = this.#at(element);
      if (int32[(at + STATE) >>> 2] === 0) continue;
      if (int32[(at + REFERENCED) >>> 2] !== 0) {
        int32[(at + REFERENCED) >>> 2] = 0;
        continue;
      }
      const hash = int32[(at + HASH) >>> 2];
      this.#lock(hash);
      const still = int32[(at + STATE) >>> 2] === 1 && int32[(at + HASH) >>> 2] === hash;
      if (still) this.#unlink(element, hash);
      this.#unlock(hash);
      if (still) return element;
    }
    return 0;
  }

  #lock(hash: number): void {
    lock(this.#words, this.#locks + (hash & this.#lockMask));
  }

  #unlock(hash: number): void {
    unlock(this.#words, this.#locks + (hash & this.#lockMask));
  }

  #next(element: number): number {
    return this.kernel.int32[(this.#at(element) + NEXT) >>> 2];
  }

  #at(element: number): number {
    return this.#elements + element * this.#stride;
  }

  #value(element: number, cpu: number): KernelOffset {
    if (!this.perCpu) return (this.#at(element) + VALUE) as KernelOffset;
    const index = (element - 1) * this.host.cpus + cpu;
    return (this.region.start + index * this.#valueStride) as KernelOffset;
  }

  #bucket(hash: number): number {
    return this.#buckets + (hash & this.#mask);
  }

  #hash(key: KernelOffset): number {
    return hashOf(this.kernel, key, this.keySize);
  }
}
