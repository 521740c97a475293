import type { SharedArena } from '../arena.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import type { MapAttributes } from './attributes.ts';
import type { EmbeddedMap } from './map.ts';

/** What maps and the kernel know of each other. */

/** What a map needs of the kernel it is in; each CPU has its own object that is one. */
export interface MapHost {
  readonly memory: KernelMemory;
  /** CPUs that the kernel has: what a per-CPU map has a value for. */
  readonly cpus: number;
  /** The map whose header is at an offset of kernel memory. */
  mapAt(header: KernelOffset): EmbeddedMap | undefined;
  /** What another CPU told of the arena of map `id`; user space's CPU makes them all. */
  arenaOf?(id: number): SharedArena | undefined;
  /** The map with this id; needed where user space works only. */
  mapById?(id: number): EmbeddedMap | undefined;
  /** Forgets a map that user space has closed and nothing holds any more. */
  closeMap?(map: EmbeddedMap): void;
  /** Runs an action when no program has what it found before; where user space is only. */
  whenQuiet?(action: () => void): void;
  /** The program with this number, for arrays of programs; only where user space is. */
  tailCaller?(id: number): { readonly id: number; readonly owner: string } | undefined;
}

/** How to make a map's object: anew, or over a map that another CPU has made, whose header is given. */
export type MapConstructor = new (
  host: MapHost,
  id: number,
  attributes: MapAttributes,
  header?: KernelOffset,
) => EmbeddedMap;
