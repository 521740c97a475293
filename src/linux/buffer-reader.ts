import { setImmediate } from 'node:timers/promises';
import { BpfError } from '../errors.ts';
import { MAP_TYPES, mapTypeName } from '../object/map-types.ts';
import { Watch } from './epoll.ts';
import { type Closable, Owned } from './fd.ts';

/**
 * Reading what programs send, whatever the buffer: one item at a time, all that are there, or all that come. Ring buffer
 * and perf buffer add how an item is taken.
 */

/** A map, as readers of its buffer need it. */
export interface BufferMap {
  readonly name: string;
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  /** Of a ring buffer: bytes. Of a perf buffer: CPUs. */
  readonly maxEntries: number;
  readonly fdNumber: number;
}

export interface ReadOptions {
  /** Ends waiting with its reason; what is not read stays in the buffer. */
  signal?: AbortSignal;
}

/** Items in a row after which timers and I/O get a turn, for a program may fill the buffer faster than we empty it. */
const TURN = 1024;

export abstract class BufferReader<Item> implements Closable, AsyncIterable<Item> {
  readonly name: string;
  protected readonly owned = new Owned();
  readonly #what: string;
  #watch: Watch | undefined;
  #open = true;

  /** Throws EINVAL when the map is of another type. */
  constructor(map: BufferMap, type: 'ringbuf' | 'perf_event_array', what: string) {
    this.name = map.name;
    this.#what = `${what} '${map.name}'`;
    if (map.type === MAP_TYPES[type]) return;
    throw new BpfError('EINVAL', `map '${map.name}' is of type ${mapTypeName(map.type)}, not ${type}`);
  }

  /** Takes one, or gives undefined when none is there. The buffer is open. */
  protected abstract next(): Item | undefined;
  protected abstract get ready(): boolean;

  /** What tells that something came. @param fds are owned already. */
  protected watch(fds: readonly number[]): void {
    this.#watch = this.owned.add(new Watch(fds));
  }

  get open(): boolean {
    return this.#open;
  }

  /** Takes one, or gives undefined when none is there. Throws EBADF when closed. */
  take(): Item | undefined {
    this.checkOpen();
    return this.next();
  }

  /**
   * Takes those that are there now, at most `limit`, without waiting.
   * @param callback returning false stops after this one. @returns how many there were
   */
  drain(callback: (item: Item) => unknown, limit = Number.POSITIVE_INFINITY): number {
    this.checkOpen();
    let count = 0;
    while (count < limit && this.#open) {
      const item = this.next();
      if (item === undefined) break;
      count++;
      if (callback(item) === false) break;
    }
    return count;
  }

  /**
   * Waits until there is something to {@link take} or {@link drain}.
   * @returns false when the buffer was closed instead. Rejects with the signal's reason when that is aborted.
   */
  async wait({ signal }: ReadOptions = {}): Promise<boolean> {
    signal?.throwIfAborted();
    while (this.#open) {
      if (this.ready) return true;
      await this.#watch?.wait(signal);
    }
    return false;
  }

  /**
   * All as they come, until the buffer is closed. Several readers share them.
   * @throws the signal's reason when it is aborted; then nothing is lost that the kernel has room for
   */
  async *records({ signal }: ReadOptions = {}): AsyncGenerator<Item, void, void> {
    for (let turn = 1; this.#open; turn++) {
      signal?.throwIfAborted();
      const item = this.next();
      if (item === undefined) await this.#watch?.wait(signal);
      else yield item;
      if (turn % TURN === 0) await setImmediate();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Item, void, void> {
    return this.records();
  }

  /** Ends all reading, also what waits. */
  close(): void {
    this.#open = false;
    this.owned.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  protected checkOpen(): void {
    if (!this.#open) throw new BpfError('EBADF', `${this.#what} is closed`);
  }
}
