import { type Bytes, bytesOf } from '../../bytes.ts';
import { BpfError, ERRNO, type ErrnoName, errnoName } from '../../errors.ts';
import { mapFacts } from '../../facts.ts';
import type { Batch, BpfMap } from '../../kernel.ts';
import type { MappedArray } from '../../mapped-array.ts';
import { BPF_ANY, BPF_F_LOCK, BPF_F_RDONLY, BPF_F_WRONLY } from '../../object/map-flags.ts';
import { MAP_TYPES, mapTypeName } from '../../object/map-types.ts';
import type { PerfBufferOptions, PerfRecord } from '../../perf-ring.ts';
import type { RecordReader } from '../../record-reader.ts';
import type { RecordWriter } from '../../record-ring.ts';
import { showAs } from '../../shown.ts';
import type { KernelOffset } from '../layout.ts';
import { KernelMap } from './kernel-map.ts';

/**
 * The half of a map that user space sees: its operations copy key and value into kernel memory and go the way programs go. What
 * user space sees otherwise than programs is a method that a type may override.
 */

export abstract class EmbeddedMap extends KernelMap implements BpfMap {
  /** Set by BPF_MAP_FREEZE: user space may no longer change it. */
  frozen = false;

  /** Whether a bloom filter may hold a value. Throws EOPNOTSUPP for maps of other types. */
  contains(value: Bytes): boolean {
    this.checkReadable();
    if (this.type !== MAP_TYPES.bloom_filter) this.check(-ERRNO.EOPNOTSUPP, 'lookup');
    const result = this.peek(this.#put(this.userValue, value, this.valueSize, 'value'));
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

  lookup(key: Bytes, flags = BPF_ANY): Uint8Array | undefined {
    this.checkReadable();
    this.#put(this.userKey, key, this.keySize, 'key');
    this.check(this.#lockFlag(flags, BPF_F_LOCK), 'lookup');
    const result = this.fetch(this.userKey, this.userValue, flags);
    if (result === -ERRNO.ENOENT) return undefined;
    this.check(result, 'lookup');
    return this.kernel.bytes.slice(this.userValue, this.userValue + this.elementSize);
  }

  lookupAndDelete(key: Bytes, flags = BPF_ANY): Uint8Array | undefined {
    this.checkReadable();
    this.checkWritable();
    this.#put(this.userKey, key, this.keySize, 'key');
    this.check(this.#lockFlag(flags, BPF_F_LOCK), 'lookup_and_delete');
    const result = this.takeOut(this.userKey, this.userValue, flags);
    if (result === -ERRNO.ENOENT) return undefined;
    this.check(result, 'lookup_and_delete');
    return this.kernel.bytes.slice(this.userValue, this.userValue + this.elementSize);
  }

  update(key: Bytes, value: Bytes, flags = BPF_ANY): void {
    this.checkWritable();
    if (!Number.isSafeInteger(flags) || flags < 0)
      throw new BpfError('EINVAL', `map '${this.name}': ${flags} are no flags`);
    this.#put(this.userKey, key, this.keySize, 'key');
    this.#put(this.userValue, value, this.elementSize, 'value');
    this.check(this.#lockFlag(flags), 'update');
    this.check(this.insert(this.userKey, this.userValue, flags), 'update');
  }

  delete(key: Bytes): boolean {
    this.checkWritable();
    const result = this.discard(this.#put(this.userKey, key, this.keySize, 'key'));
    if (result === -ERRNO.ENOENT) return false;
    this.check(result, 'delete');
    return true;
  }

  nextKey(key?: Bytes): Uint8Array | undefined {
    this.checkReadable();
    const from = key === undefined ? (0 as KernelOffset) : this.#put(this.userKey, key, this.keySize, 'key');
    // The value's scratch place may be smaller than a key, so the answer goes where the question was.
    const result = this.next(from, this.userKey);
    if (result === -ERRNO.ENOENT) return undefined;
    this.check(result, 'get_next_key');
    return this.kernel.bytes.slice(this.userKey, this.userKey + this.keySize);
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

  updateBatch({ keys, values }: Batch<Bytes>, flags = BPF_ANY): number {
    this.#requireBatches('update');
    keys.forEach((key, i) => {
      this.update(key, values[i], flags);
    });
    return keys.length;
  }

  deleteBatch(keys: readonly Bytes[]): number {
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
    const result = this.takeInBatch(this.#put(this.userKey, key, this.keySize, 'key'), this.userValue);
    if (result === -ERRNO.ENOENT) return undefined;
    this.check(result, 'lookup_and_delete');
    return this.kernel.bytes.slice(this.userValue, this.userValue + this.elementSize);
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

  /** Gives user space's hold of the map up; its memory is free when no map holds it any more, either. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.host.closeMap?.(this);
  }

  #put(place: KernelOffset, given: Bytes, size: number, what: string): KernelOffset {
    const bytes = given instanceof Uint8Array ? given : bytesOf(given, `map '${this.name}': a ${what}`);
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

showAs(EmbeddedMap as unknown as { name: string; prototype: EmbeddedMap }, mapFacts);
