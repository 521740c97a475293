import { ERRNO } from '../../errors.ts';
import { BPF_F_NUMA_NODE } from '../../object/map-flags.ts';
import { RecordReader } from '../../record-reader.ts';
import { BUSY_BIT, DISCARD_BIT, RECORD_HEADER, RingConsumer, type RingMemory } from '../../record-ring.ts';
import { type KernelOffset, PAGE_SHIFT, PAGE_SIZE } from '../layout.ts';
import { lock, unlock } from '../spin-lock.ts';
import { checkFlags, type MapAttributes, refusedSetting } from './attributes.ts';
import type { MapHost } from './host.ts';
import type { ValueRegion } from './kernel-map.ts';
import { EmbeddedMap } from './map.ts';
import { copyBytes } from './value.ts';
import { change } from './wait.ts';

/**
 * BPF_MAP_TYPE_RINGBUF: records from all programs to one reader in user space, in the order in which they were reserved. Pages, as in
 * Linux: control (words LOCK, MAP: the map's header, PENDING, WAKE), consumer_pos, producer_pos, and the data. A record's header is
 * 8 bytes: its length with the busy and discard bits, and how many pages it lies behind the control page, which is how
 * submit finds the ring. Linux maps the data twice in a row, so that no record wraps; here twice the room is there, and the one
 * record that starts at the end goes on behind it, in bytes that no other record has. Whoever reserves takes the lock; who
 * commits and who reads do not.
 */

/** Words of the control page. */
const LOCK = 0;
const MAP = 1;
/** The low half of the position of the first record that is not committed, as far as anybody looked. */
const PENDING = 2;
/** Counts what the reader is woken for, which waits for it to change. */
const WAKE = 3;
/** Pages. */
const CONSUMER = 1;
const PRODUCER = 2;
const DATA = 3;

/** For who works on the same bytes in WebAssembly (routines/ring-buffer.ts). */
export const RING_LAYOUT = { LOCK, MAP, PENDING, WAKE, CONSUMER, PRODUCER, DATA } as const;

/** Flags of committing. */
export const BPF_RB_NO_WAKEUP = 1;
export const BPF_RB_FORCE_WAKEUP = 2;
/** What bpf_ringbuf_query asks for. */
const [AVAIL_DATA, RING_SIZE, CONS_POS, PROD_POS] = [0, 1, 2, 3];
/** Linux: RINGBUF_MAX_RECORD_SZ. */
export const MAX_RECORD = Math.floor(0xffff_ffff / 4);

/** What ring buffers of both directions have: pages shared by programs and user space. */
export abstract class Ring extends EmbeddedMap {
  readonly region: ValueRegion;
  /** The control page. */
  readonly base: KernelOffset;
  protected readonly words: Int32Array;
  readonly size: number;
  /** Word numbers in kernel memory of the low halves of the two positions. */
  protected readonly consumer: number;
  protected readonly producer: number;
  /** Offset in kernel memory of the data. */
  protected readonly data: number;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { keySize, valueSize, maxEntries: size } = attributes;
    if (keySize !== 0 || valueSize !== 0)
      throw refusedSetting(attributes, 'a ring has no keys and values: their sizes are 0');
    if (size < PAGE_SIZE || !Number.isInteger(Math.log2(size)))
      throw refusedSetting(attributes, `${size} bytes are no power of two of pages`);
    checkFlags(attributes, BPF_F_NUMA_NODE);
    super(host, id, attributes, header);
    this.size = size;
    this.base = this.own(DATA * PAGE_SIZE + 2 * size);
    this.words = this.kernel.int32;
    this.data = this.base + DATA * PAGE_SIZE;
    this.consumer = (this.base + CONSUMER * PAGE_SIZE) >>> 2;
    this.producer = (this.base + PRODUCER * PAGE_SIZE) >>> 2;
    this.region = { start: this.data as KernelOffset, end: this.data + 2 * size, stride: 2 * size };
    if (!this.attached) this.words[(this.base >>> 2) + MAP] = this.header;
  }

  get cpus(): number {
    return this.host.cpus;
  }

  /** Records are of any size: the verifier knows which. */
  override refusal(): undefined {
    return undefined;
  }

  /** Moves a position on. Only one at a time may do it. */
  protected advance(position: number, bytes: number): void {
    const low = (this.words[position] >>> 0) + bytes;
    if (low >= 2 ** 32) this.words[position + 1]++;
    Atomics.store(this.words, position, low | 0);
  }

  protected positionOf(position: number): number {
    return (this.words[position + 1] >>> 0) * 2 ** 32 + (this.words[position] >>> 0);
  }

  /** The ring as its reader needs it. */
  protected get memory(): RingMemory {
    const { buffer } = this.words;
    return {
      size: this.size,
      consumer: new BigUint64Array(buffer, this.consumer * 4, 1),
      consumerLow: new Uint32Array(buffer, this.consumer * 4, 1),
      producer: new BigUint64Array(buffer, this.producer * 4, 1),
      producerLow: new Uint32Array(buffer, this.producer * 4, 1),
      words: new Uint32Array(buffer, this.data, (2 * this.size) / 4),
      bytes: this.kernel.bytes.subarray(this.data, this.data + 2 * this.size),
    };
  }

  override find(): KernelOffset {
    return 0 as KernelOffset;
  }

  override store(): number {
    return -ERRNO.ENOTSUPP;
  }

  override remove(): number {
    return -ERRNO.ENOTSUPP;
  }

  override next(): number {
    return -ERRNO.ENOTSUPP;
  }

  protected override fetch(): number {
    return -ERRNO.ENOTSUPP;
  }
}

export class RingBufferMap extends Ring {
  #readers = new Set<EmbeddedRingReader>();

  /** The ring buffer that a record is in. @param record its first byte. */
  static of(host: MapHost, record: KernelOffset): RingBufferMap {
    const { int32 } = host.memory;
    const header = record - RECORD_HEADER;
    const base = (header >>> PAGE_SHIFT) - int32[(header >>> 2) + 1];
    const map = int32[((base * PAGE_SIZE) >>> 2) + MAP] >>> 0;
    return host.mapAt(map as KernelOffset) as RingBufferMap;
  }

  /** bpf_ringbuf_reserve. @param size bytes. @returns the record's first byte; 0 when there is no room. */
  reserve(size: number): KernelOffset {
    const none = 0 as KernelOffset;
    const length = ((size + 7) & ~7) + RECORD_HEADER;
    if (size > MAX_RECORD || length > this.size) return none;
    const { words, size: ring } = this;
    const control = this.base >>> 2;
    const consumer = Atomics.load(words, this.consumer);
    lock(words, control + LOCK);
    const start = words[this.producer];
    let pending = words[control + PENDING];
    while (pending !== start) {
      const header = words[(this.data + (pending & (ring - 1))) >>> 2];
      if (header < 0) break;
      pending = (pending + (((header & ~DISCARD_BIT) + 7) & ~7) + RECORD_HEADER) | 0;
    }
    words[control + PENDING] = pending;
    const end = start + length;
    const isFull = (end - consumer) >>> 0 > ring - 1 || (end - pending) >>> 0 > ring - 1;
    const at = this.data + (start & (ring - 1));
    if (!isFull) {
      words[at >>> 2] = size | BUSY_BIT;
      words[(at >>> 2) + 1] = (at - this.base) >>> PAGE_SHIFT;
      this.advance(this.producer, length);
    }
    unlock(words, control + LOCK);
    return isFull ? none : ((at + RECORD_HEADER) as KernelOffset);
  }

  /** bpf_ringbuf_submit and _discard. @param record as {@link reserve} gave it. */
  commit(record: KernelOffset, flags: number, discard: boolean): void {
    const { words } = this;
    const header = (record - RECORD_HEADER) >>> 2;
    const at = record - RECORD_HEADER - this.data;
    Atomics.exchange(words, header, (words[header] ^ BUSY_BIT) | (discard ? DISCARD_BIT : 0));
    // Only now: a reader that came here before saw the record as busy, and waits to be woken.
    const reads = Atomics.load(words, this.consumer) & (this.size - 1);
    if ((flags & BPF_RB_FORCE_WAKEUP) !== 0 || (reads === at && (flags & BPF_RB_NO_WAKEUP) === 0))
      this.#wake();
  }

  /** bpf_ringbuf_output. @returns 0, −EINVAL for other flags, −EAGAIN when there is no room. */
  output(data: KernelOffset, size: number, flags: number): number {
    if (flags > (BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)) return -ERRNO.EINVAL;
    const record = this.reserve(size);
    if (record === 0) return -ERRNO.EAGAIN;
    copyBytes(this.kernel, record, data, size);
    this.commit(record, flags, false);
    return 0;
  }

  /** bpf_ringbuf_query: bytes, or a position; 0 for what is not known. */
  query(what: number): number {
    switch (what) {
      case AVAIL_DATA:
        return (Atomics.load(this.words, this.producer) - Atomics.load(this.words, this.consumer)) >>> 0;
      case RING_SIZE:
        return this.size;
      case CONS_POS:
        return this.positionOf(this.consumer);
      case PROD_POS:
        return this.positionOf(this.producer);
      default:
        return 0;
    }
  }

  override reader(): RecordReader<Uint8Array> {
    this.checkReadable();
    const wake = (this.base >>> 2) + WAKE;
    const reader = new EmbeddedRingReader(this.name, this.memory, this.words, wake, () =>
      this.#readers.delete(reader),
    );
    this.#readers.add(reader);
    return reader;
  }

  #wake(): void {
    const wake = (this.base >>> 2) + WAKE;
    Atomics.add(this.words, wake, 1);
    Atomics.notify(this.words, wake);
  }

  override close(): void {
    for (const reader of this.#readers) reader.close();
    super.close();
  }

  override release(): void {
    for (const reader of this.#readers) reader.close();
    super.release();
  }
}

/** Reads the ring from where it was left. A record that a program commits with BPF_RB_NO_WAKEUP wakes nobody. */
class EmbeddedRingReader extends RecordReader<Uint8Array> {
  readonly #ring: RingConsumer;
  readonly #words: Int32Array;
  readonly #wake: number;
  readonly #closed: () => void;

  constructor(name: string, memory: RingMemory, words: Int32Array, wake: number, closed: () => void) {
    super(name, 'ring buffer');
    this.#ring = new RingConsumer(memory);
    this.#words = words;
    this.#wake = wake;
    this.#closed = closed;
  }

  protected override get ready(): boolean {
    return this.#ring.ready;
  }

  protected override next(): Uint8Array | undefined {
    return this.#ring.take();
  }

  protected override async more(signal?: AbortSignal): Promise<void> {
    const seen = Atomics.load(this.#words, this.#wake);
    if (this.#ring.ready || !this.open) return;
    return change(this.#words, this.#wake, seen, signal);
  }

  override close(): void {
    if (!this.open) return;
    super.close();
    // Whoever waits looks again, and finds it closed.
    Atomics.add(this.#words, this.#wake, 1);
    Atomics.notify(this.#words, this.#wake);
    this.#closed();
  }
}
