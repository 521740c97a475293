import { BpfError } from '../../errors.ts';
import type { NewMap } from '../../kernel.ts';
import { BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_WRONLY, BPF_F_WRONLY_PROG } from '../../object/map-flags.ts';
import { BPF_MAP_LAYOUT } from '../btf.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import type { ValueField } from './value.ts';

/** What maps are made of: as user space says it, as it stands in a map's header, and what of it types refuse. */

/** What BPF_MAP_CREATE takes. Sizes in bytes. */
export interface MapAttributes {
  name: string;
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  mapExtra: bigint;
  /** Fields of the value that the kernel looks after: they are not copied with it. */
  fields?: readonly ValueField[] | undefined;
  /** What the maps inside look like. */
  inner?: MapAttributes | undefined;
}

/** What a map is made of, with 0 for what is left out. */
export function newAttributes(settings: NewMap & Pick<MapAttributes, 'fields'>): MapAttributes {
  const {
    type,
    name = 'map',
    keySize = 0,
    valueSize = 0,
    maxEntries = 0,
    flags = 0,
    mapExtra = 0n,
  } = settings;
  const { fields, inner } = settings;
  const own = { type, name, keySize, valueSize, maxEntries, flags, mapExtra, fields };
  return { ...own, inner: inner && newAttributes(inner) };
}

/** What a map's header in kernel memory says that it was made of; of the name the first 15 bytes. */
export function attributesAt({ view, bytes }: KernelMemory, header: KernelOffset): MapAttributes {
  const word = (field: keyof typeof BPF_MAP_LAYOUT) => view.getUint32(header + BPF_MAP_LAYOUT[field], true);
  const name = bytes.slice(header + BPF_MAP_LAYOUT.name, header + BPF_MAP_LAYOUT.name + 16);
  return {
    name: new TextDecoder().decode(name.subarray(0, name.indexOf(0))),
    type: word('map_type'),
    keySize: word('key_size'),
    valueSize: word('value_size'),
    maxEntries: word('max_entries'),
    flags: word('map_flags'),
    mapExtra: view.getBigUint64(header + BPF_MAP_LAYOUT.map_extra, true),
  };
}

/** The id in a map's header: 0 where there is no map any more. */
export function mapIdAt({ view }: KernelMemory, header: KernelOffset): number {
  return view.getUint32(header + BPF_MAP_LAYOUT.id, true);
}

/** Rounds up to a multiple of 8: elements start aligned, as on Linux. */
export function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Refuses map flags that a type does not know, and settings it cannot have, with what BPF_MAP_CREATE answers. */
export function checkFlags({ name, flags, mapExtra }: MapAttributes, allowed: number): void {
  const refuse = (problem: string) => new BpfError('EINVAL', `map '${name}': ${problem}`);
  const unknown = (flags & ~allowed) >>> 0;
  if (unknown !== 0) throw refuse(`map_flags 0x${unknown.toString(16)} are not for its type`);
  for (const both of [BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG, BPF_F_RDONLY | BPF_F_WRONLY])
    if ((flags & both) === both) throw refuse('it cannot be read-only and write-only');
  if (mapExtra !== 0n) throw refuse('map_extra is not for its type');
}

/** The error for settings that a map type cannot have. */
export function refusedSetting({ name }: MapAttributes, problem: string): BpfError {
  return new BpfError('EINVAL', `map '${name}': ${problem}`);
}

/** Bytes of an element as user space sees it. */
export function percpuBytes({ valueSize }: MapAttributes, cpus: number, perCpu: boolean): number {
  return perCpu ? align8(valueSize) * cpus : valueSize;
}

/** Linux: PCPU_MIN_UNIT_SIZE, the most that a value may have for each CPU. */
const MAX_PERCPU_VALUE = 32_768;

/** Throws E2BIG. */
export function checkPercpuValue({ name, valueSize }: MapAttributes): void {
  if (align8(valueSize) <= MAX_PERCPU_VALUE) return;
  const problem = `a value of ${valueSize} bytes for each CPU is too large; at most ${MAX_PERCPU_VALUE}`;
  throw new BpfError('E2BIG', `map '${name}': ${problem}`);
}
