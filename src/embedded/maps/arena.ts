import { BpfError, ERRNO } from '../../errors.ts';
import { arenaFacts } from '../../facts.ts';
import type { ArenaStatistics, PageState, ArenaMap as UserArenaMap } from '../../kernel.ts';
import { showAs } from '../../shown.ts';
import { Arena } from '../arena.ts';
import { BPF_MAP_LAYOUT } from '../btf.ts';
import type { KernelOffset } from '../layout.ts';
import { PAGE_SIZE } from '../layout.ts';
import { ArenaSpace } from '../spaces.ts';
import type { MapAttributes } from './attributes.ts';
import type { MapHost } from './host.ts';
import { EmbeddedMap } from './map.ts';

/** BPF_MAP_TYPE_ARENA as a map: it has no elements, so every map operation fails as on Linux. */
export class ArenaMap extends EmbeddedMap implements UserArenaMap {
  readonly region = undefined;
  readonly arena: Arena;
  #space: ArenaSpace | undefined;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const made = header === undefined ? undefined : host.arenaOf?.(id);
    const arena = new Arena(host.memory, attributes, made);
    super(host, id, attributes, header);
    this.arena = arena;
  }

  /** Maps the arena as a loader does, whole and where map_extra says, and notes the addresses in the map's header. */
  map(): void {
    const length = this.maxEntries * PAGE_SIZE;
    const start = this.arena.mmap({ length, address: this.attributes.mapExtra, fixed: true });
    const { view } = this.kernel;
    view.setBigUint64(this.header + BPF_MAP_LAYOUT.user_vm_start, start, true);
    view.setBigUint64(this.header + BPF_MAP_LAYOUT.user_vm_end, start + BigInt(length), true);
  }

  override find(_key: KernelOffset): KernelOffset {
    return 0 as KernelOffset;
  }

  get userVmStart(): bigint {
    return this.arena.userVmStart;
  }

  get bytes(): Uint8Array {
    return this.arena.bytes;
  }

  get memory(): ArenaSpace {
    this.#space ??= new ArenaSpace(this.arena);
    return this.#space;
  }

  offsetOf(address: bigint): number {
    return this.arena.arenaAddress(address);
  }

  get statistics(): ArenaStatistics {
    return this.arena.statistics;
  }

  pageState(index: number): PageState {
    return this.arena.pageState(index);
  }

  touch(address: bigint, length: number, writes = false): void {
    if (!Number.isInteger(length) || length < 0)
      throw new BpfError('EINVAL', `a touch takes a whole number of bytes, not ${length}`);
    this.arena.touch(this.arena.arenaAddress(address), length, writes);
  }

  override lookup(_key: Uint8Array): undefined {
    this.check(-ERRNO.EINVAL, 'lookup');
  }

  override update(_key: Uint8Array): void {
    this.check(-ERRNO.EINVAL, 'update');
  }

  override store(): number {
    return -ERRNO.EINVAL;
  }

  override remove(): number {
    return -ERRNO.EINVAL;
  }

  override next(): number {
    return -ERRNO.EOPNOTSUPP;
  }

  override release(): void {
    this.arena.close();
    super.release();
  }
}

showAs(ArenaMap, arenaFacts);
