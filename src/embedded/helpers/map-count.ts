import { MAP_TYPES } from '../../object/map-types.ts';
import type { Cpu } from '../cpu.ts';
import type { EmbeddedMap } from '../maps/map.ts';

/** How many elements a map has. */

const COUNTED: readonly number[] = [
  MAP_TYPES.hash,
  MAP_TYPES.percpu_hash,
  MAP_TYPES.lru_hash,
  MAP_TYPES.lru_percpu_hash,
];

export const COUNT_KFUNCS = {
  /** Only hash maps count; others say 0. */
  bpf_map_sum_elem_count: (cpu: Cpu, map: EmbeddedMap) =>
    COUNTED.includes(map.type) ? map.each(() => true, cpu.id) : 0,
};
