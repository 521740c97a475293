import { BpfError } from './errors.ts';

/**
 * Reading what programs send, whatever the buffer and the kernel: one item at a time, all that are there, or all that come. How an
 * item is taken, and how one waits for the next, is what a buffer adds. The ring of BPF_MAP_TYPE_RINGBUF is here, too: Linux and the
 * embedded kernel lay it out alike.
 */

export interface ReadOptions {
  /** Ends waiting with its reason; what is not read stays in the buffer. */
  signal?: AbortSignal;
}

/** Items in a row after which timers and I/O get a turn, for a program may fill the buffer faster than we empty it. */
const TURN = 1024;

export abstract class RecordReader<Item> implements AsyncIterable<Item>, Disposable {
  readonly name: string;
  readonly #what: string;
  #open = true;

  /** @param what the buffer is, for messages. */
  constructor(name: string, what: string) {
    this.name = name;
    this.#what = `${what} '${name}'`;
  }

  /** Takes one, or gives undefined when none is there. The buffer is open. */
  protected abstract next(): Item | undefined;
  protected abstract get ready(): boolean;
  /** Resolves when there may be more, or the reader was closed. Rejects with the signal's reason. */
  protected abstract more(signal?: AbortSignal): Promise<void>;

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
      await this.more(signal);
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
      if (item === undefined) await this.more(signal);
      else yield item;
      if (turn % TURN === 0) await othersTurn();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Item, void, void> {
    return this.records();
  }

  /** Ends all reading, also what waits. */
  close(): void {
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  protected checkOpen(): void {
    if (!this.#open) throw new BpfError('EBADF', `${this.#what} is closed`);
  }
}

/** Lets timers and I/O run. */
function othersTurn(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (done: () => void) => void };
  return new Promise((resolve) => {
    if (setImmediate === undefined) setTimeout(resolve, 0);
    else setImmediate(resolve);
  });
}

/** BPF_RINGBUF_BUSY_BIT: reserved, not committed yet. As the sign of a 32-bit number. */
export const BUSY_BIT = 0x80000000;
/** BPF_RINGBUF_DISCARD_BIT: committed as nothing. */
export const DISCARD_BIT = 0x40000000;
/** Bytes of a record's header: its length with the two bits above, and where in the ring it is. */
export const RECORD_HEADER = 8;

/** Where the parts of a ring are: positions as a page shared with the kernel has them. */
export interface RingMemory {
  /** Bytes: a power of two. */
  readonly size: number;
  /** consumer_pos, ours to write: whole, and its low half at index 0. */
  readonly consumer: BigUint64Array;
  readonly consumerLow: Uint32Array;
  /** producer_pos: its low half at index 0. */
  readonly producerLow: Uint32Array;
  /** The data, with room for a record that starts at the ring's end to go on behind it. */
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
}

/** The consumer's side of a ring. */
export class RingConsumer {
  readonly #memory: RingMemory;

  constructor(memory: RingMemory) {
    this.#memory = memory;
  }

  /** Bytes in the ring that were not taken yet, headers and uncommitted records among them. */
  get available(): number {
    const { producerLow, consumerLow } = this.#memory;
    return (Atomics.load(producerLow, 0) - Atomics.load(consumerLow, 0)) >>> 0;
  }

  get ready(): boolean {
    return this.#header() >= 0;
  }

  /** A copy of the next record's bytes. */
  take(): Uint8Array | undefined {
    const at = this.#header();
    if (at < 0) return undefined;
    const { words, bytes } = this.#memory;
    const length = words[at >>> 2];
    const record = bytes.slice(at + RECORD_HEADER, at + RECORD_HEADER + length);
    this.#release(length);
    return record;
  }

  /** Where the next record's header is, within the data; −1 when nothing is committed. Discarded ones are passed over. */
  #header(): number {
    const { words, consumerLow, producerLow, size } = this.#memory;
    for (;;) {
      const position = Atomics.load(consumerLow, 0);
      if (position === Atomics.load(producerLow, 0)) return -1;
      const at = position & (size - 1);
      // Its bytes are there when the kernel has cleared the busy bit (bpf_ringbuf_commit: xchg).
      const header = Atomics.load(words, at >>> 2);
      if ((header & BUSY_BIT) !== 0) return -1;
      if ((header & DISCARD_BIT) === 0) return at;
      this.#release(header & ~DISCARD_BIT);
    }
  }

  /**
   * The kernel may write over the record that is being read. Sequentially consistent, for the kernel wakes us only when it
   * commits the record that this position points to: either it sees the position, or we see the record.
   */
  #release(length: number): void {
    const { consumer, consumerLow } = this.#memory;
    const size = (RECORD_HEADER + length + 7) & ~7;
    const low = consumerLow[0];
    // One store of the low half, unless the high half changes.
    if (low + size < 2 ** 32) Atomics.store(consumerLow, 0, low + size);
    else Atomics.store(consumer, 0, consumer[0] + BigInt(size));
  }
}
