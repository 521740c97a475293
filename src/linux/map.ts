import { readFileSync } from 'node:fs';
import { type Bytes, bytesOf } from '../bytes.ts';
import { BpfError, ERRNO } from '../errors.ts';
import { mapFacts } from '../facts.ts';
import type { Batch, BpfMap } from '../kernel.ts';
import { MappedArray, strideOf } from '../mapped-array.ts';
import { MAP_TYPES } from '../object/map-types.ts';
import type { PerfBufferOptions } from '../perf-ring.ts';
import type { RecordWriter } from '../record-ring.ts';
import { showAs } from '../shown.ts';
import { bpf, bpfOrThrow, infoOf, pin } from './bpf.ts';
import { type Closable, type Fd, linuxError, Mapping } from './fd.ts';
import type { Command, Info } from './layouts.ts';
import { pageSize } from './page-size.ts';
import { PerfBuffer } from './perf-buffer.ts';
import { RingBuffer } from './ring-buffer.ts';
import { userRingWriter } from './user-ring-buffer.ts';

/**
 * A map in Linux: a file descriptor, and the operations on elements that go through bpf(2).
 */

const BPF_F_LOCK = 4;

let cpus: number | undefined;

/** CPUs that may ever be there: what a per-CPU map has a value for. */
export function possibleCpus(): number {
  cpus ??= countCpus(readFileSync('/sys/devices/system/cpu/possible', 'latin1'));
  return cpus;
}

/** `0-3,8` → 5. */
function countCpus(list: string): number {
  return list
    .trim()
    .split(',')
    .reduce((sum, range) => {
      const [first, last = first] = range.split('-').map(Number);
      return sum + last - first + 1;
    }, 0);
}

const PER_CPU: readonly number[] = [
  MAP_TYPES.percpu_hash,
  MAP_TYPES.percpu_array,
  MAP_TYPES.lru_percpu_hash,
  MAP_TYPES.percpu_cgroup_storage,
];

const BATCH_SIZE = 256;
const NO_KEY = new Uint8Array(8);

export class LinuxMap implements BpfMap, Closable {
  /** As in the object; of maps that were opened, the kernel's name. */
  readonly name: string;
  readonly info: Info<'map'>;
  protected readonly fd: Fd;

  /** @param fd is the map's from now on. @param name in the object, where that is known. */
  constructor(fd: Fd, name?: string) {
    this.fd = fd;
    this.info = infoOf('map', fd.number);
    this.name = name ?? this.info.name;
  }

  get id(): number {
    return this.info.id;
  }
  get type(): number {
    return this.info.type;
  }
  get keySize(): number {
    return this.info.key_size;
  }
  get valueSize(): number {
    return this.info.value_size;
  }
  get maxEntries(): number {
    return this.info.max_entries;
  }
  get flags(): number {
    return this.info.map_flags;
  }
  /** The file descriptor. Throws EBADF when the map is closed. */
  get fdNumber(): number {
    return this.fd.number;
  }
  get handle(): number {
    return this.fd.number;
  }
  /** Bytes that lookup gives and update takes: in per-CPU maps a value for each possible CPU, each padded to 8 bytes. */
  get elementSize(): number {
    return PER_CPU.includes(this.type) ? Math.ceil(this.valueSize / 8) * 8 * possibleCpus() : this.valueSize;
  }

  lookup(key: Bytes, flags = 0): Uint8Array | undefined {
    const value = new Uint8Array(this.elementSize);
    const { result } = this.#element('map_lookup_elem', key, value, flags);
    if (result === -ERRNO.ENOENT) return undefined;
    this.#check(result, 'lookup');
    return value;
  }

  /** The value, which the same step takes out. Throws as {@link lookup}; undefined when there is none. */
  lookupAndDelete(key: Bytes, flags = 0): Uint8Array | undefined {
    const value = new Uint8Array(this.elementSize);
    const { result } = this.#element('map_lookup_and_delete_elem', key, value, flags);
    if (result === -ERRNO.ENOENT) return undefined;
    this.#check(result, 'lookup_and_delete');
    return value;
  }

  update(key: Bytes, value: Bytes, flags = 0): void {
    const bytes = this.#sized(value, this.elementSize, 'value');
    this.#check(this.#element('map_update_elem', key, bytes, flags).result, 'update');
  }

  delete(key: Bytes): boolean {
    const { result } = this.#element('map_delete_elem', key, undefined, 0);
    if (result === -ERRNO.ENOENT) return false;
    this.#check(result, 'delete');
    return true;
  }

  nextKey(key?: Bytes): Uint8Array | undefined {
    const from = key === undefined ? 0 : this.#sized(key, this.keySize, 'key');
    const next = new Uint8Array(this.keySize);
    const { result } = bpf('map_get_next_key', { map_fd: this.fd.number, key: from, next_key: next });
    if (result === -ERRNO.ENOENT) return undefined;
    this.#check(result, 'get_next_key');
    return next;
  }

  *keys(): Generator<Uint8Array> {
    let key = this.nextKey();
    for (let count = 0; key !== undefined && count <= this.maxEntries; count++) {
      yield key;
      key = this.nextKey(key);
    }
  }

  /** Elements from the cursor on, at most `size` of them, in one call. Throws ENOTSUPP for types without batches. */
  *lookupBatches(size = BATCH_SIZE, andDelete = false): Generator<Batch> {
    const command = andDelete ? 'map_lookup_and_delete_batch' : 'map_lookup_batch';
    const cursors = [new Uint8Array(Math.max(4, this.keySize)), new Uint8Array(Math.max(4, this.keySize))];
    let capacity = size;
    for (let round = 0, first = true; ; ) {
      const keys = new Uint8Array(capacity * this.keySize);
      const values = new Uint8Array(capacity * this.elementSize);
      const answer = bpf(command, {
        map_fd: this.fd.number,
        in_batch: first ? 0 : cursors[round % 2],
        out_batch: cursors[(round + 1) % 2],
        keys,
        values,
        count: capacity,
      });
      // A bucket of a hash map has more elements than there was room for.
      if (answer.result === -ERRNO.ENOSPC && capacity < this.maxEntries) {
        capacity = Math.min(capacity * 4, this.maxEntries);
        continue;
      }
      const last = answer.result === -ERRNO.ENOENT;
      if (!last) this.#check(answer.result, command);
      const count = answer.field('count');
      yield {
        keys: pieces(keys, this.keySize, count),
        values: pieces(values, this.elementSize, count),
      };
      if (last) return;
      round++;
      first = false;
    }
  }

  /** Updates many elements in one call. @returns how many were done before the first that failed; throws for that. */
  updateBatch({ keys, values }: Batch<Bytes>, flags = 0): number {
    return this.#batch('map_update_batch', keys, values, flags);
  }

  /** Deletes many elements in one call. */
  deleteBatch(keys: readonly Bytes[]): number {
    return this.#batch('map_delete_batch', keys, [], 0);
  }

  /** Whether a bloom filter may hold a value. Throws EOPNOTSUPP for maps of other types. */
  contains(value: Bytes): boolean {
    const bytes = this.#sized(value, this.valueSize, 'value');
    if (this.type !== MAP_TYPES.bloom_filter) this.#check(-ERRNO.EOPNOTSUPP, 'lookup');
    const { result } = this.#element('map_lookup_elem', new Uint8Array(0), bytes, 0);
    if (result === -ERRNO.ENOENT) return false;
    this.#check(result, 'lookup');
    return true;
  }

  /** A reader of a ring buffer. Throws EINVAL for maps of other types. */
  reader(): RingBuffer {
    return new RingBuffer(this);
  }

  /** A reader of a perf event array. Throws EINVAL for maps of other types. */
  perfReader(options?: PerfBufferOptions): PerfBuffer {
    return new PerfBuffer(this, options);
  }

  /** A writer of a user ring buffer. Throws EINVAL for maps of other types. */
  writer(): RecordWriter {
    return userRingWriter(this);
  }

  /** Maps an array: see the interface. */
  mmap(): MappedArray {
    const what = `mapping map '${this.name}'`;
    if (this.type !== MAP_TYPES.array) throw linuxError(-ERRNO.ENOTSUPP, what, 'it is no array');
    const bytes = strideOf(this.valueSize) * this.maxEntries;
    const mapping = Mapping.map(this.fd.number, { length: Math.ceil(bytes / pageSize()) * pageSize() });
    if (typeof mapping === 'number') throw linuxError(mapping, what, MMAP_REASONS[-mapping]);
    return new MappedArray(this, new Uint8Array(mapping.buffer, 0, bytes), () => mapping.close());
  }

  /** BPF_MAP_FREEZE: user space may no longer change it. */
  freeze(): void {
    bpfOrThrow('map_freeze', { map_fd: this.fd.number }, `freezing map '${this.name}'`);
  }

  /** Pins it at a path of a BPF file system: it then outlives this process. */
  pin(path: string): void {
    pin(this.fd.number, path);
  }

  close(): void {
    this.fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #element(
    command: Command & `map_${string}_elem`,
    key: Bytes,
    value: Uint8Array | undefined,
    flags: number,
  ) {
    const keyBytes = this.#sized(key, this.keySize, 'key');
    if (!Number.isSafeInteger(flags) || flags < 0)
      throw new BpfError('EINVAL', `map '${this.name}': ${flags} are no flags`);
    return bpf(command, {
      map_fd: this.fd.number,
      key: this.keySize === 0 ? this.#absentKey : keyBytes,
      value: value ?? 0,
      flags,
    });
  }

  /** What queues, stacks and bloom filters want for a key is NULL; an arena answers that with EOPNOTSUPP, else EINVAL. */
  get #absentKey(): Uint8Array | 0 {
    return this.type === MAP_TYPES.arena ? NO_KEY : 0;
  }

  #batch(
    command: 'map_update_batch' | 'map_delete_batch',
    keys: readonly Bytes[],
    values: readonly Bytes[],
    flags: number,
  ): number {
    const keyBytes = keys.map((key) => this.#sized(key, this.keySize, 'key'));
    const valueBytes = values.map((value) => this.#sized(value, this.elementSize, 'value'));
    const answer = bpf(command, {
      map_fd: this.fd.number,
      keys: joined(keyBytes),
      values: values.length > 0 ? joined(valueBytes) : 0,
      count: keys.length,
      elem_flags: flags & (BPF_F_LOCK | 3),
    });
    if (answer.result < 0)
      throw linuxError(
        answer.result,
        `map '${this.name}': ${command} after ${answer.field('count')} elements`,
      );
    return answer.field('count');
  }

  #sized(given: Bytes, size: number, what: string): Uint8Array {
    const bytes = bytesOf(given, `map '${this.name}': a ${what}`);
    if (bytes.length === size) return bytes;
    throw new BpfError('EINVAL', `map '${this.name}': a ${what} has ${size} bytes, not ${bytes.length}`);
  }

  #check(result: number, operation: string): void {
    if (result >= 0) return;
    throw linuxError(result, `map '${this.name}': ${operation} failed`, REASONS[-result]);
  }
}

const MMAP_REASONS: Readonly<Record<number, string>> = {
  [ERRNO.EPERM]: 'it is frozen',
  [ERRNO.EACCES]: 'programs may not write it, or user space may not read and write it',
  [ERRNO.EINVAL]: 'it was made without BPF_F_MMAPABLE',
  [ERRNO.ENOTSUPP]: 'the kernel looks after fields of its values',
};

const REASONS: Readonly<Record<number, string>> = {
  [ERRNO.E2BIG]: 'no room for another element, or an index beyond max_entries',
  [ERRNO.EEXIST]: 'the element exists (BPF_NOEXIST)',
  [ERRNO.ENOENT]: 'the element does not exist (BPF_EXIST)',
  [ERRNO.EINVAL]: 'the operation or its flags are not for this type of map',
  [ERRNO.EOPNOTSUPP]: 'this type of map does not support it',
  [ERRNO.ENOTSUPP]: 'this type of map does not support it',
  [ERRNO.EPERM]: 'user space may not do this (frozen, or read-only)',
};

function pieces(bytes: Uint8Array, size: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => bytes.slice(i * size, (i + 1) * size));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

showAs(LinuxMap, mapFacts);
