import { BpfError } from './errors.ts';

/**
 * A ring of what one CPU's programs send with bpf_perf_event_output, from its reader's side: Linux and the embedded kernel lay records
 * out alike (include/uapi/linux/perf_event.h). Two positions count bytes. A record goes on at the ring's start where its end is
 * reached, and what a full ring had no room for is dropped, counted, and told in a record of its own.
 */

/** What a program sent; or that the kernel lost some, because they were not read in time. */
export type PerfRecord =
  | {
      readonly kind: 'record';
      readonly cpu: number;
      /** Padded at its end by what makes it a multiple of 8 bytes, less 4: perf does not keep the length. */
      readonly data: Uint8Array;
    }
  | { readonly kind: 'lost'; readonly cpu: number; readonly count: number };

export interface PerfBufferOptions {
  /** Bytes for each CPU: a power of two of pages. Default 64 KiB. */
  bytesPerCpu?: number;
}

export const PERF_RECORD_LOST = 2;
export const PERF_RECORD_SAMPLE = 9;
/** Bytes of struct perf_event_header: the type, 16 bits that say nothing here, and the record's size. */
export const PERF_HEADER = 8;
export const PERF_SIZE_AT = 6;
const DEFAULT_BYTES = 64 * 1024;

/** Bytes of a ring. Throws EINVAL for a number that is no power of two of pages. @param name the map's. @param page bytes. */
export function ringBytes(
  name: string,
  { bytesPerCpu = DEFAULT_BYTES }: PerfBufferOptions,
  page: number,
): number {
  if (bytesPerCpu >= page && Number.isInteger(Math.log2(bytesPerCpu))) return bytesPerCpu;
  const problem = `a ring of ${bytesPerCpu} bytes is no power of two of pages (${page} bytes)`;
  throw new BpfError('EINVAL', `perf buffer '${name}': ${problem}`);
}

/** Where the parts of a ring are. */
export interface PerfRingMemory {
  /** data_head's low half, at index 0: the kernel's. */
  readonly headLow: Uint32Array;
  /** data_tail, the reader's: whole, and its low half at index 0. */
  readonly tail: BigUint64Array;
  readonly tailLow: Uint32Array;
  /** The data: a power of two of bytes. */
  readonly bytes: Uint8Array;
}

export class PerfRing {
  readonly cpu: number;
  readonly #memory: PerfRingMemory;

  constructor(cpu: number, memory: PerfRingMemory) {
    this.cpu = cpu;
    this.#memory = memory;
  }

  get empty(): boolean {
    const { headLow, tailLow } = this.#memory;
    return Atomics.load(headLow, 0) === tailLow[0];
  }

  /**
   * Takes one record; undefined when there is none. Kinds that nobody asked for are passed over, and so is what Linux leaves
   * of a record of 64 KiB or more, whose size has no room in its header.
   */
  take(): PerfRecord | undefined {
    while (!this.empty) {
      const start = this.#memory.tailLow[0];
      const header = this.#copy(start, PERF_HEADER);
      const size = Math.max(PERF_HEADER, header.getUint16(PERF_SIZE_AT, true));
      const body = this.#copy(start + PERF_HEADER, size - PERF_HEADER);
      const record = this.#decode(header.getUint32(0, true), body);
      this.#release(size);
      if (record !== undefined) return record;
    }
    return undefined;
  }

  #decode(type: number, body: DataView): PerfRecord | undefined {
    const { cpu } = this;
    // { u64 id, u64 lost }
    if (type === PERF_RECORD_LOST && body.byteLength >= 16)
      return { kind: 'lost', cpu, count: Number(body.getBigUint64(8, true)) };
    if (type !== PERF_RECORD_SAMPLE || body.byteLength < 4) return undefined;
    // { u32 size, char data[size] }
    const length = body.getUint32(0, true);
    return length > body.byteLength - 4
      ? undefined
      : { kind: 'record', cpu, data: new Uint8Array(body.buffer, 4, length) };
  }

  /** A copy of bytes from a position on, which may go on at the ring's start. */
  #copy(position: number, length: number): DataView {
    const { bytes } = this.#memory;
    const whole = new Uint8Array(length);
    const start = position & (bytes.length - 1);
    const first = bytes.subarray(start, start + length);
    whole.set(first);
    whole.set(bytes.subarray(0, length - first.length), first.length);
    return new DataView(whole.buffer);
  }

  /** The kernel may write over the record. */
  #release(size: number): void {
    const { tail, tailLow } = this.#memory;
    const low = tailLow[0] + size;
    if (low < 2 ** 32) Atomics.store(tailLow, 0, low);
    else Atomics.store(tail, 0, tail[0] + BigInt(size));
  }
}

/** The rings of all CPUs. */
export class PerfRings {
  readonly #rings: PerfRing[] = [];
  /** The ring to look at first: so that a busy CPU does not silence the others. */
  #turn = 0;

  add(ring: PerfRing): void {
    this.#rings.push(ring);
  }

  get ready(): boolean {
    return this.#rings.some(({ empty }) => !empty);
  }

  take(): PerfRecord | undefined {
    for (let i = 0; i < this.#rings.length; i++) {
      const record = this.#rings[this.#turn].take();
      this.#turn = (this.#turn + 1) % this.#rings.length;
      if (record !== undefined) return record;
    }
    return undefined;
  }
}
