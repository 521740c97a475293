import { BpfError } from '../../errors.ts';
import { MAP_TYPES, type MapTypeName, mapTypeName } from '../../object/map-types.ts';
import { checkArenaAttributes } from '../arena.ts';
import type { KernelOffset } from '../layout.ts';
import { ArenaMap } from './arena.ts';
import { ArrayMap } from './array.ts';
import { attributesAt, type MapAttributes, mapIdAt } from './attributes.ts';
import { BloomFilterMap } from './bloom-filter.ts';
import { HashMap } from './hash.ts';
import type { MapConstructor, MapHost } from './host.ts';
import { LpmTrieMap } from './lpm-trie.ts';
import type { EmbeddedMap } from './map.ts';
import { ArrayOfMaps, HashOfMaps } from './outer-map.ts';
import { PercpuArrayMap } from './percpu-array.ts';
import { PerfEventArrayMap } from './perf-event-array.ts';
import { ProgArrayMap } from './prog-array.ts';
import { QueueMap } from './queue.ts';
import { DevmapHash, RedirectArray } from './redirect-map.ts';
import { RingBufferMap } from './ring-buffer.ts';
import { TaskStorageMap } from './task-storage.ts';
import { UserRingBufferMap } from './user-ring-buffer.ts';

/** The map types of the embedded kernel. A new type is one file and one row here. */

const CLASSES: Partial<Record<MapTypeName, MapConstructor>> = {
  hash: HashMap,
  percpu_hash: HashMap,
  lru_hash: HashMap,
  lru_percpu_hash: HashMap,
  array: ArrayMap,
  percpu_array: PercpuArrayMap,
  array_of_maps: ArrayOfMaps,
  hash_of_maps: HashOfMaps,
  ringbuf: RingBufferMap,
  user_ringbuf: UserRingBufferMap,
  lpm_trie: LpmTrieMap,
  queue: QueueMap,
  stack: QueueMap,
  bloom_filter: BloomFilterMap,
  prog_array: ProgArrayMap,
  perf_event_array: PerfEventArrayMap,
  task_storage: TaskStorageMap,
  devmap: RedirectArray,
  devmap_hash: DevmapHash,
  cpumap: RedirectArray,
  xskmap: RedirectArray,
  arena: ArenaMap,
};

/** The names of the map types that can be created. */
export const SUPPORTED_MAP_TYPES = Object.keys(CLASSES) as MapTypeName[];

/** The object of a map that another CPU has made, from what its header says. */
export function attachMap(host: MapHost, header: KernelOffset): EmbeddedMap {
  const attributes = attributesAt(host.memory, header);
  const Class = CLASSES[mapTypeName(attributes.type) as MapTypeName] as MapConstructor;
  return new Class(host, mapIdAt(host.memory, header), attributes, header);
}

/** BPF_MAP_CREATE. Throws EINVAL, E2BIG, ERANGE as Linux does, EOPNOTSUPP for a type this kernel lacks. */
export function createMap(host: MapHost, id: number, attributes: MapAttributes): EmbeddedMap {
  const name = mapTypeName(attributes.type);
  const Class = CLASSES[name as MapTypeName];
  if (Class !== undefined) return new Class(host, id, attributes);
  const known = Object.values<number>(MAP_TYPES).includes(attributes.type);
  const problem = `map '${attributes.name}': map type ${name} is not in the embedded kernel`;
  throw new BpfError(
    known ? 'EOPNOTSUPP' : 'EINVAL',
    `${problem}, which has ${SUPPORTED_MAP_TYPES.join(', ')}`,
  );
}

/** What a map asks for next when its attributes are good. */
const GOOD = Symbol('good');
const NOWHERE: MapHost = {
  cpus: 1,
  get memory(): never {
    throw GOOD;
  },
  mapAt: () => undefined,
};

/**
 * Says what {@link createMap} would say of these attributes, and makes nothing: maps look at their attributes before they ask for
 * memory. Throws EINVAL, E2BIG, ERANGE; types that this kernel lacks are none of its business.
 */
export function checkMap(attributes: MapAttributes): void {
  if (attributes.inner !== undefined)
    checkMap({ ...attributes.inner, maxEntries: attributes.inner.maxEntries || 1 });
  if (attributes.type === MAP_TYPES.arena) checkArenaAttributes(attributes);
  try {
    createMap(NOWHERE, 0, attributes);
  } catch (error) {
    if (error !== GOOD && !(error instanceof BpfError && error.code === 'EOPNOTSUPP')) throw error;
  }
}
