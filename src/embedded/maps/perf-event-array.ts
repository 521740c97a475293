import { ERRNO } from '../../errors.ts';
import { BPF_F_NUMA_NODE, BPF_F_PRESERVE_ELEMS, BPF_F_RDONLY, BPF_F_WRONLY } from '../../object/map-flags.ts';
import {
  PERF_HEADER,
  PERF_RECORD_LOST,
  PERF_RECORD_SAMPLE,
  PERF_SIZE_AT,
  type PerfBufferOptions,
  type PerfRecord,
  PerfRing,
  PerfRings,
  ringBytes,
} from '../../perf-ring.ts';
import { RecordReader } from '../../record-reader.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import { type KernelOffset, PAGE_SIZE } from '../layout.ts';
import { nextIndex } from './array.ts';
import { checkFlags, type MapAttributes, refusedSetting } from './attributes.ts';
import type { MapHost } from './host.ts';
import { EmbeddedMap } from './map.ts';
import { change } from './wait.ts';

/**
 * BPF_MAP_TYPE_PERF_EVENT_ARRAY: a slot for each CPU holds the ring that the CPU's programs write to, as an offset of kernel
 * memory; 0: none. Rings are made by a reader, and there are no other perf events here. A ring is a page with HEAD and TAIL (64
 * bits), LOST and SIZE, then the data. Only its own CPU writes to a ring, so that nobody needs a lock.
 */

const FLAGS = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_PRESERVE_ELEMS;

/** Words of a ring's first page. */
const HEAD = 0;
const TAIL = 2;
const LOST = 4;
const SIZE = 5;
/** Words of the map: counts what readers are woken for; a reader waits. */
const WAKE = 0;
const WAITS = 1;
/** Bytes of PERF_RECORD_LOST: its header, an id, and how many. */
const LOST_BYTES = 24;

/** The size of a record has 16 bits; Linux leaves something broken where it is larger. */
const MAX_RECORD = 0xffff;

/** Where bytes of a record come from. */
interface Piece {
  readonly at: number;
  readonly length: number;
}

/** Copies into a ring, whose end goes on at its start. */
class RingWriter {
  readonly #memory: KernelMemory;
  readonly #data: number;
  readonly #mask: number;
  #at: number;

  constructor(memory: KernelMemory, data: number, size: number, position: number) {
    this.#memory = memory;
    this.#data = data;
    this.#mask = size - 1;
    this.#at = position;
  }

  /** Records and their words are aligned: none is in two pieces. */
  word(value: number): void {
    this.#memory.int32[(this.#data + (this.#at & this.#mask)) >>> 2] = value;
    this.#at = (this.#at + 4) >>> 0;
  }

  header(type: number, size: number): void {
    this.word(type);
    this.word(size << (8 * (PERF_SIZE_AT - 4)));
  }

  bytes({ at, length }: Piece): void {
    const { bytes } = this.#memory;
    const start = this.#at & this.#mask;
    const first = Math.min(length, this.#mask + 1 - start);
    bytes.copyWithin(this.#data + start, at, at + first);
    bytes.copyWithin(this.#data, at + first, at + length);
    this.#at = (this.#at + length) >>> 0;
  }

  zeroes(count: number): void {
    for (let i = 0; i < count; i++) {
      this.#memory.bytes[this.#data + (this.#at & this.#mask)] = 0;
      this.#at = (this.#at + 1) >>> 0;
    }
  }
}

export class PerfEventArrayMap extends EmbeddedMap {
  readonly region = undefined;
  readonly #slots: Int32Array;
  readonly #words: Int32Array;
  readonly #readers = new Set<EmbeddedPerfReader>();
  /** Rings that are not given back yet. */
  readonly #rings = new Set<KernelOffset>();

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { keySize, valueSize, maxEntries } = attributes;
    if (keySize !== 4 || valueSize !== 4)
      throw refusedSetting(attributes, 'index and value of a perf event array have 4 bytes');
    if (maxEntries === 0) throw refusedSetting(attributes, 'max_entries must not be 0');
    checkFlags(attributes, FLAGS);
    super(host, id, attributes, header);
    this.#slots = host.memory.words(this.own(4 * maxEntries), maxEntries);
    this.#words = host.memory.words(this.own(8), 2);
  }

  /**
   * bpf_perf_event_output: writes a record of several pieces. @param index of the slot; only the CPU's own can be written to.
   * @returns 0; −E2BIG or −ENOENT for a slot that is not there or empty, −EOPNOTSUPP for another CPU's, −ENOSPC when there is no room,
   * −E2BIG, too, for a record that is larger than any can be.
   */
  output(index: number, pieces: readonly Piece[], cpu: number): number {
    if (index >= this.maxEntries) return -ERRNO.E2BIG;
    const ring = Atomics.load(this.#slots, index) >>> 0;
    if (ring === 0) return -ERRNO.ENOENT;
    if (index !== cpu) return -ERRNO.EOPNOTSUPP;
    return this.#write(ring, pieces);
  }

  #write(ring: number, pieces: readonly Piece[]): number {
    const { int32 } = this.kernel;
    const words = ring >>> 2;
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    // Linux: perf_sample_save_raw_data.
    const raw = ((length + 4 + 7) & ~7) - 4;
    const size = PERF_HEADER + 4 + raw;
    if (size > MAX_RECORD) return -ERRNO.E2BIG;
    const lost = int32[words + LOST];
    const bytes = int32[words + SIZE];
    const head = int32[words + HEAD] >>> 0;
    const used = (head - Atomics.load(int32, words + TAIL)) >>> 0;
    const needed = size + (lost > 0 ? LOST_BYTES : 0);
    // One byte stays free (Linux: CIRC_SPACE).
    if (used + needed > bytes - 1) {
      int32[words + LOST]++;
      return -ERRNO.ENOSPC;
    }
    const writer = new RingWriter(this.kernel, ring + PAGE_SIZE, bytes, head);
    if (lost > 0) {
      int32[words + LOST] = 0;
      writer.header(PERF_RECORD_LOST, LOST_BYTES);
      for (const word of [0, 0, lost, 0]) writer.word(word);
    }
    writer.header(PERF_RECORD_SAMPLE, size);
    writer.word(raw);
    for (const piece of pieces) writer.bytes(piece);
    writer.zeroes(raw - length);
    if (head + needed >= 2 ** 32) int32[words + HEAD + 1]++;
    Atomics.store(int32, words + HEAD, (head + needed) | 0);
    // Either the reader that is about to wait sees the record, or it is seen here.
    if (Atomics.load(this.#words, WAITS) !== 0) this.#wake();
    return 0;
  }

  #wake(): void {
    Atomics.store(this.#words, WAITS, 0);
    Atomics.add(this.#words, WAKE, 1);
    Atomics.notify(this.#words, WAKE);
  }

  override perfReader(options: PerfBufferOptions = {}): RecordReader<PerfRecord> {
    this.checkWritable();
    const bytes = ringBytes(this.name, options, PAGE_SIZE);
    const cpus = Math.min(this.host.cpus, this.maxEntries);
    const rings: KernelOffset[] = [];
    try {
      for (let cpu = 0; cpu < cpus; cpu++) rings.push(this.kernel.allocate(PAGE_SIZE + bytes));
    } catch (error) {
      for (const ring of rings) this.kernel.free(ring);
      throw error;
    }
    const { int32 } = this.kernel;
    const { buffer } = int32;
    const consumer = new PerfRings();
    rings.forEach((ring, cpu) => {
      int32[(ring >>> 2) + SIZE] = bytes;
      consumer.add(
        new PerfRing(cpu, {
          headLow: new Uint32Array(buffer, ring + 4 * HEAD, 1),
          tail: new BigUint64Array(buffer, ring + 4 * TAIL, 1),
          tailLow: new Uint32Array(buffer, ring + 4 * TAIL, 1),
          bytes: this.kernel.bytes.subarray(ring + PAGE_SIZE, ring + PAGE_SIZE + bytes),
        }),
      );
      Atomics.store(this.#slots, cpu, ring);
    });
    const words = { words: this.#words, wake: WAKE, waits: WAITS };
    for (const ring of rings) this.#rings.add(ring);
    const reader = new EmbeddedPerfReader(this.name, consumer, words, () => {
      this.#readers.delete(reader);
      // Of a map that is closed only release() knows whether its memory is still there.
      if (!this.closed) this.#takeOut(rings);
    });
    this.#readers.add(reader);
    return reader;
  }

  /** Gives rings back when no program can be writing to them any more. */
  #takeOut(rings: readonly KernelOffset[]): void {
    rings.forEach((ring, cpu) => void Atomics.compareExchange(this.#slots, cpu, ring, 0));
    this.#wake();
    this.host.whenQuiet?.(() => {
      for (const ring of rings) if (this.#rings.delete(ring)) this.kernel.free(ring);
    });
  }

  override find(): KernelOffset {
    return 0 as KernelOffset;
  }

  /** User space could put file descriptors of perf events in, but there are none. */
  override store(key: KernelOffset, _value: KernelOffset, flags: number): number {
    if (flags !== 0) return -ERRNO.EINVAL;
    return this.kernel.view.getUint32(key, true) >= this.maxEntries ? -ERRNO.E2BIG : -ERRNO.EBADF;
  }

  override remove(key: KernelOffset): number {
    const index = this.kernel.view.getUint32(key, true);
    if (index >= this.maxEntries) return -ERRNO.E2BIG;
    return Atomics.exchange(this.#slots, index, 0) === 0 ? -ERRNO.ENOENT : 0;
  }

  override next(key: KernelOffset, next: KernelOffset): number {
    return nextIndex(this.kernel, this.maxEntries, key, next);
  }

  protected override fetch(): number {
    return -ERRNO.ENOTSUPP;
  }

  override close(): void {
    for (const reader of this.#readers) reader.close();
    super.close();
  }

  override release(): void {
    this.closed = true;
    for (const reader of this.#readers) reader.close();
    this.#wake();
    for (const ring of this.#rings) this.kernel.free(ring);
    this.#rings.clear();
    super.release();
  }
}

/** What a reader waits for: word numbers. */
interface Waiting {
  readonly words: Int32Array;
  readonly wake: number;
  readonly waits: number;
}

class EmbeddedPerfReader extends RecordReader<PerfRecord> {
  readonly #rings: PerfRings;
  readonly #shared: Waiting;
  readonly #closed: () => void;

  constructor(name: string, rings: PerfRings, shared: Waiting, closed: () => void) {
    super(name, 'perf buffer');
    this.#rings = rings;
    this.#shared = shared;
    this.#closed = closed;
  }

  protected override get ready(): boolean {
    return this.#rings.ready;
  }

  protected override next(): PerfRecord | undefined {
    return this.#rings.take();
  }

  protected override async more(signal?: AbortSignal): Promise<void> {
    const { words, wake, waits } = this.#shared;
    const seen = Atomics.load(words, wake);
    Atomics.store(words, waits, 1);
    if (!this.#rings.ready && this.open) await change(words, wake, seen, signal);
  }

  override close(): void {
    if (!this.open) return;
    super.close();
    this.#closed();
  }
}
