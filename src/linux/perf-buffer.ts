import { readFileSync } from 'node:fs';
import { BpfError, ERRNO } from '../errors.ts';
import { bpf, bpfOrThrow } from './bpf.ts';
import { type BufferMap, BufferReader } from './buffer-reader.ts';
import { duplicate } from './epoll.ts';
import { linuxError, Mapping } from './fd.ts';
import { pageSize } from './page-size.ts';
import { enablePerfEvent, openPerfEvent, PERF_EVENTS } from './perf-event.ts';

/**
 * Reading what programs send with bpf_perf_event_output: a BPF_MAP_TYPE_PERF_EVENT_ARRAY holds one perf event for each CPU,
 * each with a ring of its own. Unlike a ring buffer's, records of different CPUs come in no order, and the kernel drops what
 * a full ring has no room for, and says how many.
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

const PERF_SAMPLE_RAW = 1 << 10;
const PERF_RECORD_LOST = 2;
const PERF_RECORD_SAMPLE = 9;
/** struct perf_event_mmap_page: byte offsets, and where a record's parts are. */
const DATA_HEAD = 1024;
const DATA_TAIL = 1032;
const RECORD_SIZE = 6;
const RECORD_BODY = 8;
const BPF_ANY = 0;
const DEFAULT_BYTES = 64 * 1024;

/** One CPU's ring. */
class CpuRing {
  readonly cpu: number;
  readonly #mask: number;
  readonly #headLow: Uint32Array;
  /** data_tail, ours to write: whole, and its low half at index 0. */
  readonly #tail: BigUint64Array;
  readonly #tailLow: Uint32Array;
  readonly #bytes: Uint8Array;

  constructor(cpu: number, buffer: ArrayBuffer) {
    const page = pageSize();
    this.cpu = cpu;
    this.#headLow = new Uint32Array(buffer, DATA_HEAD, 1);
    this.#tail = new BigUint64Array(buffer, DATA_TAIL, 1);
    this.#tailLow = new Uint32Array(buffer, DATA_TAIL, 1);
    this.#bytes = new Uint8Array(buffer, page);
    this.#mask = this.#bytes.length - 1;
  }

  get empty(): boolean {
    return Atomics.load(this.#headLow, 0) === this.#tailLow[0];
  }

  /** Takes one record; undefined when there is none. Kinds that nobody asked for are passed over. */
  take(): PerfRecord | undefined {
    while (!this.empty) {
      const start = this.#tailLow[0];
      const header = this.#copy(start, RECORD_BODY);
      const size = header.getUint16(RECORD_SIZE, true);
      const body = this.#copy(start + RECORD_BODY, size - RECORD_BODY);
      const record = this.#decode(header.getUint32(0, true), body);
      this.#release(size);
      if (record !== undefined) return record;
    }
    return undefined;
  }

  #decode(type: number, body: DataView): PerfRecord | undefined {
    const { cpu } = this;
    // { u64 id, u64 lost }
    if (type === PERF_RECORD_LOST) return { kind: 'lost', cpu, count: Number(body.getBigUint64(8, true)) };
    if (type !== PERF_RECORD_SAMPLE) return undefined;
    // { u32 size, char data[size] }
    return { kind: 'record', cpu, data: new Uint8Array(body.buffer, 4, body.getUint32(0, true)) };
  }

  /** A copy of bytes from a position on, which may go on at the ring's start. */
  #copy(position: number, length: number): DataView {
    const start = position & this.#mask;
    const first = this.#bytes.slice(start, start + length);
    if (first.length === length) return new DataView(first.buffer);
    const whole = new Uint8Array(length);
    whole.set(first);
    whole.set(this.#bytes.subarray(0, length - first.length), first.length);
    return new DataView(whole.buffer);
  }

  /** The kernel may write over the record. */
  #release(size: number): void {
    const low = this.#tailLow[0] + size;
    if (low < 2 ** 32) Atomics.store(this.#tailLow, 0, low);
    else Atomics.store(this.#tail, 0, this.#tail[0] + BigInt(size));
  }
}

/** A reader of a perf buffer. Closing it takes its rings out of the map: programs get ENOENT from then on. */
export class PerfBuffer extends BufferReader<PerfRecord> {
  readonly #rings: CpuRing[] = [];
  /** The ring to look at first: so that a busy CPU does not silence the others. */
  #turn = 0;

  /**
   * Opens a ring for each CPU that is online, and puts them into the map. The map may be closed before the reader is.
   * @throws BpfError EINVAL for maps of another type and sizes that are no power of two of pages; EACCES, EPERM, ENOMEM
   */
  constructor(map: BufferMap, { bytesPerCpu = DEFAULT_BYTES }: PerfBufferOptions = {}) {
    super(map, 'perf_event_array', 'perf buffer');
    const page = pageSize();
    if (bytesPerCpu < page || !Number.isInteger(Math.log2(bytesPerCpu))) {
      const problem = `a ring of ${bytesPerCpu} bytes is no power of two of pages (${page} bytes)`;
      throw new BpfError('EINVAL', `perf buffer '${map.name}': ${problem}`);
    }
    try {
      const mapFd = this.owned.add(duplicate(map.fdNumber, `perf buffer '${map.name}'`)).number;
      const fds = onlineCpus()
        .filter((cpu) => cpu < map.maxEntries)
        .map((cpu) => this.#openRing(mapFd, cpu, page + bytesPerCpu));
      this.watch(fds);
    } catch (error) {
      this.owned.close();
      throw error;
    }
  }

  #openRing(mapFd: number, cpu: number, length: number): number {
    const what = `perf buffer '${this.name}', CPU ${cpu}`;
    const [type, config] = PERF_EVENTS['bpf-output'];
    const attributes = { type, config, sample_period: 1, sample_type: PERF_SAMPLE_RAW, wakeup_events: 1 };
    const fd = this.owned.add(openPerfEvent(attributes, { pid: -1, cpu }, what));
    const mapping = Mapping.map(fd.number, { length });
    if (typeof mapping === 'number') {
      const limit = 'beyond kernel.perf_event_mlock_kb: it takes root or CAP_IPC_LOCK';
      throw linuxError(mapping, what, mapping === -ERRNO.EPERM ? limit : undefined);
    }
    this.#rings.push(new CpuRing(cpu, this.owned.add(mapping).buffer));
    const [key, value] = [Uint32Array.of(cpu), Uint32Array.of(fd.number)];
    bpfOrThrow('map_update_elem', { map_fd: mapFd, key, value, flags: BPF_ANY }, what);
    this.owned.add({ close: () => void bpf('map_delete_elem', { map_fd: mapFd, key }) });
    enablePerfEvent(fd, what);
    return fd.number;
  }

  protected override get ready(): boolean {
    return this.#rings.some(({ empty }) => !empty);
  }

  protected override next(): PerfRecord | undefined {
    for (let i = 0; i < this.#rings.length; i++) {
      const record = this.#rings[this.#turn].take();
      this.#turn = (this.#turn + 1) % this.#rings.length;
      if (record !== undefined) return record;
    }
    return undefined;
  }
}

/** `0-3,8` → 0, 1, 2, 3, 8. */
function onlineCpus(): number[] {
  const list = readFileSync('/sys/devices/system/cpu/online', 'latin1').trim();
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
