import { BpfError } from '../errors.ts';

/** A slot of a map that the object fills before load: a program (prog_array) or a map (map in map), by name. */
export interface InitialSlot {
  /** Which element. */
  index: number;
  kind: 'map' | 'program';
  name: string;
}

/**
 * A map as an object describes it. All that may be set before load can be changed until then, as with libbpf's
 * `bpf_map__set_*` functions.
 */
export interface MapSpec {
  /** As the object names it: the variable in `.maps`, or the section (`.bss`). */
  readonly name: string;
  /** As Linux sees it, at most 15 characters: libbpf shortens names of data sections. */
  readonly kernelName: string;
  type: number;
  /** Bytes. */
  keySize: number;
  /** Bytes. */
  valueSize: number;
  /** Elements; for an arena pages, for a ring buffer bytes. */
  maxEntries: number;
  /** BPF_F_* of BPF_MAP_CREATE. */
  flags: number;
  /** Depends on the type; for an arena the wanted user_vm_start. */
  mapExtra: bigint;
  numaNode: number;
  /** Path to pin the map at, or to reuse when something is pinned there. */
  pinPath: string | undefined;
  /** Declared with LIBBPF_PIN_BY_NAME. */
  readonly pinByName: boolean;
  /** False: the map is not created; programs that use it cannot be loaded. */
  autocreate: boolean;
  /** Type id of the key in the object's BTF; 0 when there is none. */
  readonly keyType: number;
  /** Type id of the value, for data sections of the datasec; 0 when there is none. */
  readonly valueType: number;
  /** What the maps inside look like. */
  readonly inner: MapSpec | undefined;
  readonly slots: readonly InitialSlot[];
  /** Of a data section: its initial contents, to be changed until load. */
  readonly contents: Uint8Array | undefined;
  /** The map is frozen for user space after its contents are set. */
  readonly frozen: boolean;
}

const [PERF_EVENT_ARRAY, RINGBUF, USER_RINGBUF] = [4, 27, 31];
const PAGE_BYTES = 4096;

/** max_entries as libbpf adjusts them: ring buffers have a power of two of pages; perf buffers one slot for each CPU. */
export function entriesOf({ type, maxEntries }: MapSpec, cpus: number): number {
  if (type === PERF_EVENT_ARRAY && maxEntries === 0) return cpus;
  if ((type !== RINGBUF && type !== USER_RINGBUF) || maxEntries === 0) return maxEntries;
  let bytes = PAGE_BYTES;
  while (bytes < maxEntries && bytes < 2 ** 31) bytes *= 2;
  return bytes;
}

const U32_SETTINGS = ['type', 'keySize', 'valueSize', 'maxEntries', 'flags'] as const;

/** Checks that what users set fits union bpf_attr, where BPF_MAP_CREATE takes it from. Throws EINVAL. */
export function checkMapSpec(spec: MapSpec): void {
  const refuse = (setting: keyof MapSpec, range: string) =>
    new BpfError('EINVAL', `map '${spec.name}': ${setting} is ${range}, not ${String(spec[setting])}`);
  for (const setting of U32_SETTINGS) {
    if (!isU32(spec[setting])) throw refuse(setting, 'a whole number from 0 to 4294967295');
  }
  const extra: unknown = spec.mapExtra;
  if (typeof extra !== 'bigint' || BigInt.asUintN(64, extra) !== extra)
    throw refuse('mapExtra', 'a bigint from 0 to 2^64 - 1');
  if (spec.inner !== undefined) checkMapSpec(spec.inner);
}

function isU32(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}
