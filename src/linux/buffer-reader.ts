import { BpfError } from '../errors.ts';
import { MAP_TYPES, mapTypeName } from '../object/map-types.ts';
import { RecordReader } from '../record-reader.ts';
import { Watch } from './epoll.ts';
import { type Closable, Owned } from './fd.ts';

/** Readers of Linux's buffers: ring buffer and perf buffer, whose file descriptors say when something came. */

export type { ReadOptions } from '../record-reader.ts';

/** A map, as readers of its buffer need it. */
export interface BufferMap {
  readonly name: string;
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  /** Of a ring buffer: bytes. Of a perf buffer: CPUs. */
  readonly maxEntries: number;
  readonly fdNumber: number;
}

export abstract class BufferReader<Item> extends RecordReader<Item> implements Closable {
  protected readonly owned = new Owned();
  #watch: Watch | undefined;

  /** Throws EINVAL when the map is of another type. */
  constructor(map: BufferMap, type: 'ringbuf' | 'perf_event_array', what: string) {
    super(map.name, what);
    if (map.type === MAP_TYPES[type]) return;
    throw new BpfError('EINVAL', `map '${map.name}' is of type ${mapTypeName(map.type)}, not ${type}`);
  }

  /** What tells that something came. @param fds are owned already. */
  protected watch(fds: readonly number[]): void {
    this.#watch = this.owned.add(new Watch(fds));
  }

  protected override async more(signal?: AbortSignal): Promise<void> {
    await this.#watch?.wait(signal);
  }

  override close(): void {
    super.close();
    this.owned.close();
  }
}
