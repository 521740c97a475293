import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';

/** Helpers on elements that have no key, or a value for each CPU. */

export function map_push_elem(_cpu: Cpu, map: EmbeddedMap, value: KernelOffset, flags: number): number {
  return map.push(value, flags);
}

export function map_pop_elem(_cpu: Cpu, map: EmbeddedMap, value: KernelOffset): number {
  return map.pop(value);
}

export function map_peek_elem(_cpu: Cpu, map: EmbeddedMap, value: KernelOffset): number {
  return map.peek(value);
}

/** @param which CPU's value. */
export function map_lookup_percpu_elem(
  _cpu: Cpu,
  map: EmbeddedMap,
  key: KernelOffset,
  which: number,
): number {
  return map.findOn(key, which);
}
