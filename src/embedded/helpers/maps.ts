import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';

/** Helpers on the elements of maps. */

export function map_lookup_elem(_cpu: Cpu, map: EmbeddedMap, key: KernelOffset): number {
  return map.find(key);
}

export function map_update_elem(
  _cpu: Cpu,
  map: EmbeddedMap,
  key: KernelOffset,
  value: KernelOffset,
  flags: number,
): number {
  return map.store(key, value, flags);
}

export function map_delete_elem(_cpu: Cpu, map: EmbeddedMap, key: KernelOffset): number {
  return map.remove(key);
}
