import { readFileSync } from 'node:fs';
import { ERRNO } from '../errors.ts';
import { type PerfBufferOptions, type PerfRecord, PerfRing, PerfRings, ringBytes } from '../perf-ring.ts';
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

const PERF_SAMPLE_RAW = 1 << 10;
/** struct perf_event_mmap_page: byte offsets. */
const DATA_HEAD = 1024;
const DATA_TAIL = 1032;
const BPF_ANY = 0;

/** A reader of a perf buffer. Closing it takes its rings out of the map: programs get ENOENT from then on. */
export class PerfBuffer extends BufferReader<PerfRecord> {
  readonly #rings = new PerfRings();

  /**
   * Opens a ring for each CPU that is online, and puts them into the map. The map may be closed before the reader is.
   * @throws BpfError EINVAL for maps of another type and sizes that are no power of two of pages; EACCES, EPERM, ENOMEM
   */
  constructor(map: BufferMap, options: PerfBufferOptions = {}) {
    super(map, 'perf_event_array', 'perf buffer');
    const page = pageSize();
    const length = page + ringBytes(map.name, options, page);
    try {
      const mapFd = this.owned.add(duplicate(map.fdNumber, `perf buffer '${map.name}'`)).number;
      const fds = onlineCpus()
        .filter((cpu) => cpu < map.maxEntries)
        .map((cpu) => this.#openRing(mapFd, cpu, length));
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
    const { buffer } = this.owned.add(mapping);
    this.#rings.add(
      new PerfRing(cpu, {
        headLow: new Uint32Array(buffer, DATA_HEAD, 1),
        tail: new BigUint64Array(buffer, DATA_TAIL, 1),
        tailLow: new Uint32Array(buffer, DATA_TAIL, 1),
        bytes: new Uint8Array(buffer, pageSize()),
      }),
    );
    const [key, value] = [Uint32Array.of(cpu), Uint32Array.of(fd.number)];
    bpfOrThrow('map_update_elem', { map_fd: mapFd, key, value, flags: BPF_ANY }, what);
    this.owned.add({ close: () => void bpf('map_delete_elem', { map_fd: mapFd, key }) });
    enablePerfEvent(fd, what);
    return fd.number;
  }

  protected override get ready(): boolean {
    return this.#rings.ready;
  }

  protected override next(): PerfRecord | undefined {
    return this.#rings.take();
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
