import { BpfError } from './errors.ts';

/**
 * The rings of BPF_MAP_TYPE_RINGBUF and BPF_MAP_TYPE_USER_RINGBUF from user space's side: Linux and the embedded kernel lay them out
 * alike, so this reads and writes both. Two positions count bytes; a record is a header of 8 bytes and its data, padded to 8.
 */

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
  /** consumer_pos: whole, and its low half at index 0. */
  readonly consumer: BigUint64Array;
  readonly consumerLow: Uint32Array;
  /** producer_pos, likewise. */
  readonly producer: BigUint64Array;
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
    advance(consumer, consumerLow, (RECORD_HEADER + length + 7) & ~7);
  }
}

/** Moves a position on: one store of the low half, unless the high half changes. */
function advance(whole: BigUint64Array, low: Uint32Array, bytes: number): void {
  if (low[0] + bytes < 2 ** 32) Atomics.store(low, 0, low[0] + bytes);
  else Atomics.store(whole, 0, whole[0] + BigInt(bytes));
}

/** Sends records to programs through a ring of BPF_MAP_TYPE_USER_RINGBUF. There is one writer at a time. */
export class RecordWriter implements Disposable {
  readonly name: string;
  readonly #memory: RingMemory;
  readonly #isClosed: () => boolean;
  readonly #onClose: () => void;
  #open = true;

  /** @param isClosed says whether the ring is gone. */
  constructor(name: string, memory: RingMemory, isClosed: () => boolean, onClose: () => void = () => {}) {
    this.name = name;
    this.#memory = memory;
    this.#isClosed = isClosed;
    this.#onClose = onClose;
  }

  /**
   * Puts a record into the ring, where a program finds it when it drains the ring next.
   * @returns false when there is no room now. Throws E2BIG for a record that is larger than the ring, EBADF when closed.
   */
  write(record: Uint8Array): boolean {
    if (!this.#open || this.#isClosed()) throw new BpfError('EBADF', `ring '${this.name}' is closed`);
    const { size, words, bytes, consumerLow, producer, producerLow } = this.#memory;
    const length = (RECORD_HEADER + record.length + 7) & ~7;
    if (length > size)
      throw new BpfError('E2BIG', `ring '${this.name}' of ${size} bytes has no room for ${record.length}`);
    const position = Atomics.load(producerLow, 0);
    if (((position - Atomics.load(consumerLow, 0)) >>> 0) + length > size) return false;
    const at = position & (size - 1);
    bytes.set(record, at + RECORD_HEADER);
    words[(at >>> 2) + 1] = 0;
    Atomics.store(words, at >>> 2, record.length);
    advance(producer, producerLow, length);
    return true;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#onClose();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
