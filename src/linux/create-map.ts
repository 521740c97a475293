import { existsSync, readlinkSync } from 'node:fs';
import { BpfError } from '../errors.ts';
import { entriesOf, type MapSpec } from '../object/map-spec.ts';
import { MAP_TYPES, mapTypeName } from '../object/map-types.ts';
import { LinuxArena } from './arena.ts';
import { bpf, infoOf, openById, openPinned } from './bpf.ts';
import { Fd, linuxError, type Owned } from './fd.ts';
import { LinuxMap, possibleCpus } from './map.ts';
import type { LoadedBtf } from './object-btf.ts';

/**
 * Makes maps: from what an object says of them, with the adjustments that libbpf makes (bpf_object__create_map,
 * map_is_reuse_compat), or by opening one that exists, by id or by the path it is pinned at.
 */

const PIN_FOLDER = '/sys/fs/bpf';
const BPF_F_RDONLY = 1 << 3;

/** Types whose elements are not described by BTF: the kernel refuses type ids for them. */
const WITHOUT_BTF: readonly number[] = [
  MAP_TYPES.perf_event_array,
  MAP_TYPES.cgroup_array,
  MAP_TYPES.stack_trace,
  MAP_TYPES.array_of_maps,
  MAP_TYPES.hash_of_maps,
  MAP_TYPES.devmap,
  MAP_TYPES.devmap_hash,
  MAP_TYPES.cpumap,
  MAP_TYPES.xskmap,
  MAP_TYPES.sockmap,
  MAP_TYPES.sockhash,
  MAP_TYPES.ringbuf,
  MAP_TYPES.user_ringbuf,
  MAP_TYPES.prog_array,
  MAP_TYPES.arena,
];

/** Creates a map as an object describes it, or opens the one that is pinned where it is to be. */
export function createMap(spec: MapSpec, btf: LoadedBtf | undefined, owned: Owned): LinuxMap {
  const path = spec.pinPath ?? (spec.pinByName ? `${PIN_FOLDER}/${spec.name}` : undefined);
  if (path !== undefined && existsSync(path)) return reuse(spec, path, owned);
  const fd = owned.add(createFd(spec, btf));
  const isArena = spec.type === MAP_TYPES.arena;
  const map = owned.add(
    isArena ? new LinuxArena(fd, { name: spec.name, fresh: true }) : new LinuxMap(fd, spec.name),
  );
  if (path !== undefined) map.pin(path);
  return map;
}

function reuse(spec: MapSpec, path: string, owned: Owned): LinuxMap {
  const map = owned.add(wrap(pinnedMap(path), { name: spec.name }));
  const wanted = [spec.type, spec.keySize, spec.valueSize, entriesOf(spec, possibleCpus()), spec.flags];
  const found = [map.type, map.keySize, map.valueSize, map.maxEntries, map.flags];
  if (wanted.every((value, i) => value === found[i])) return map;
  const problem = `type, key size, value size, max_entries, flags are ${found.join(', ')}, not ${wanted.join(', ')}`;
  throw new BpfError('EINVAL', `map '${spec.name}': what is pinned at '${path}' is another map (${problem})`);
}

const OF_MAPS: readonly number[] = [MAP_TYPES.array_of_maps, MAP_TYPES.hash_of_maps];

function createFd(spec: MapSpec, btf: LoadedBtf | undefined): Fd {
  // Without one, file descriptor 0 would be meant.
  if (spec.inner === undefined && OF_MAPS.includes(spec.type))
    throw new BpfError(
      'EINVAL',
      `map '${spec.name}': what the maps inside look like is not said (__array(values, …))`,
    );
  const inner =
    spec.inner &&
    createFd({ ...spec.inner, maxEntries: Math.max(1, entriesOf(spec.inner, possibleCpus())) }, btf);
  try {
    const attributes = {
      map_type: spec.type,
      key_size: spec.keySize,
      value_size: spec.valueSize,
      max_entries: entriesOf(spec, possibleCpus()),
      map_flags: spec.flags,
      map_name: spec.kernelName,
      map_extra: spec.mapExtra,
      numa_node: spec.numaNode,
      inner_map_fd: inner?.number ?? 0,
    };
    const described = btf !== undefined && spec.valueType !== 0 && !WITHOUT_BTF.includes(spec.type);
    let { result } = described
      ? bpf('map_create', {
          ...attributes,
          btf_fd: btf.fd.number,
          btf_key_type_id: spec.keyType,
          btf_value_type_id: spec.valueType,
        })
      : bpf('map_create', attributes);
    // The types may be what the kernel refuses; they only describe.
    if (described && result < 0) ({ result } = bpf('map_create', attributes));
    if (result >= 0) return new Fd(result, `map '${spec.name}'`);
    throw linuxError(
      result,
      `creating map '${spec.name}' (${mapTypeName(spec.type)})`,
      describeRefusal(spec, result),
    );
  } finally {
    inner?.close();
  }
}

function describeRefusal(spec: MapSpec, result: number): string | undefined {
  const settings = `key_size ${spec.keySize}, value_size ${spec.valueSize}, max_entries ${entriesOf(spec, possibleCpus())}, map_flags 0x${(spec.flags >>> 0).toString(16)}, map_extra 0x${spec.mapExtra.toString(16)}`;
  return result === -1 ? undefined : `with ${settings}`;
}

export interface OpenMapOptions {
  /** User space can look, not change. */
  readOnly?: boolean;
}

/** Opens a map that exists, also another process's, by its id. Throws ENOENT when there is none. */
export function openMapById(id: number, { readOnly = false }: OpenMapOptions = {}): LinuxMap {
  return wrap(openById('map', id, readOnly ? BPF_F_RDONLY : 0), { readOnly });
}

/** Opens the map that is pinned at a path. Throws ENOENT when nothing is, EINVAL when it is no map. */
export function openMapPinned(path: string, { readOnly = false }: OpenMapOptions = {}): LinuxMap {
  return wrap(pinnedMap(path, readOnly ? BPF_F_RDONLY : 0), { readOnly });
}

/** Programs and links are pinned, too, and answer the same questions in another way. */
function pinnedMap(path: string, flags = 0): Fd {
  const fd = openPinned(path, flags);
  const kind = readlinkSync(`/proc/self/fd/${fd.number}`);
  if (kind.endsWith('bpf-map')) return fd;
  fd.close();
  throw new BpfError('EINVAL', `what is pinned at '${path}' is no map (${kind})`);
}

function wrap(fd: Fd, options: OpenMapOptions & { name?: string }): LinuxMap {
  try {
    const isArena = infoOf('map', fd.number).type === MAP_TYPES.arena;
    return isArena ? new LinuxArena(fd, options) : new LinuxMap(fd, options.name);
  } catch (error) {
    fd.close();
    throw error;
  }
}
