import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';

/** Helpers on the elements of maps. */

export function map_lookup_elem(cpu: Cpu, map: EmbeddedMap, key: KernelOffset): number {
  return map.find(key, cpu.id);
}

export function map_update_elem(
  cpu: Cpu,
  map: EmbeddedMap,
  key: KernelOffset,
  value: KernelOffset,
  flags: number,
): number {
  return map.store(key, value, flags, cpu.id);
}

export function map_delete_elem(cpu: Cpu, map: EmbeddedMap, key: KernelOffset): number {
  return map.remove(key, cpu.id);
}
