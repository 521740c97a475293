import { BpfError } from '../../errors.ts';
import {
  BPF_F_NO_COMMON_LRU,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
} from '../../object/map-flags.ts';
import { MAP_TYPES } from '../../object/map-types.ts';
import type { KernelOffset } from '../layout.ts';
import { checkFlags, type MapAttributes } from './attributes.ts';
import { HashTable } from './hash-table.ts';
import type { MapHost } from './host.ts';

/**
 * The four hash maps: BPF_MAP_TYPE_HASH, and those with a value for each CPU, with least recently used elements given up, or both.
 * Which element an LRU map gives up is a matter of a clock: the hand passes by what was used since it came by last.
 */

const FLAGS = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_ZERO_SEED | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

/** The flags of each type. */
const FLAGS_OF: Readonly<Record<number, number>> = {
  [MAP_TYPES.hash]: FLAGS | BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE,
  [MAP_TYPES.percpu_hash]: FLAGS | BPF_F_NO_PREALLOC,
  [MAP_TYPES.lru_hash]: FLAGS | BPF_F_NO_COMMON_LRU | BPF_F_NUMA_NODE,
  [MAP_TYPES.lru_percpu_hash]: FLAGS | BPF_F_NO_COMMON_LRU,
};

export class HashMap extends HashTable {
  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { name, flags, type } = attributes;
    const lru = type === MAP_TYPES.lru_hash || type === MAP_TYPES.lru_percpu_hash;
    if (lru && (flags & BPF_F_NO_PREALLOC) !== 0)
      throw new BpfError('ENOTSUPP', `map '${name}': an LRU map is preallocated, without BPF_F_NO_PREALLOC`);
    checkFlags(attributes, FLAGS_OF[type]);
    super(host, id, attributes, header);
  }
}
