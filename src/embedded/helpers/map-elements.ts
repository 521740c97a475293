import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';

/** Helpers on elements that have no key, or a value for each CPU. */

/** Flags beyond 2^53, where no flag is, come out as one that is none. */
const flagsOf = (flags: bigint): number => Number(flags);

export function map_push_elem(_cpu: Cpu, map: EmbeddedMap, value: KernelOffset, flags: bigint): number {
  return map.push(value, flagsOf(flags));
}

export function map_pop_elem(_cpu: Cpu, map: EmbeddedMap, value: KernelOffset): number {
  return map.pop(value);
}

export function map_peek_elem(_cpu: Cpu, map: EmbeddedMap, value: KernelOffset): number {
  return map.peek(value);
}

/** @param cpu which CPU's value: its low 32 bits count. */
export function map_lookup_percpu_elem(_cpu: Cpu, map: EmbeddedMap, key: KernelOffset, cpu: bigint): number {
  return map.findOn(key, Number(cpu & 0xffffffffn));
}
