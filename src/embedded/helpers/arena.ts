import { ERRNO } from '../../errors.ts';
import type { Arena } from '../arena.ts';
import type { Cpu } from '../cpu.ts';
import type { ArenaAddress } from '../layout.ts';
import { ArenaMap } from '../maps/arena.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import { isNull, type Pointer } from './kfunc-table.ts';

/**
 * The arena kfuncs. Only the low half of a pointer says where in the arena it leads; that it is NULL is a matter of all
 * 64 bits. The arena need not be the program's own: it may have been found in a map of maps, where user space may have put one that
 * it has not mapped yet.
 */

/** Memory of any node, and the only one that is there (bpf_get_numa_node_id). */
const NUMA_NO_NODE = -1;
const NUMA_NODE = 0;

const placedArena = (map: EmbeddedMap): Arena | undefined =>
  map instanceof ArenaMap && map.arena.placed ? map.arena : undefined;

/** @returns the user address of the first page, which a double holds exactly; 0 for NULL. */
export function bpf_arena_alloc_pages(
  _cpu: Cpu,
  map: EmbeddedMap,
  address: Pointer,
  pages: number,
  node: number,
  flags: number,
): number {
  const arena = placedArena(map);
  if (arena === undefined || flags !== 0) return 0;
  if (node !== NUMA_NO_NODE && node !== NUMA_NODE) return 0;
  const first = arena.allocate(isNull(address) ? undefined : (address.low as ArenaAddress), pages);
  return first < 0 ? 0 : arena.userHigh * 2 ** 32 + first;
}

export function bpf_arena_free_pages(
  _cpu: Cpu,
  map: EmbeddedMap,
  pointer: Pointer,
  pages: number,
): undefined {
  const arena = placedArena(map);
  if (arena === undefined || isNull(pointer) || pages === 0) return;
  arena.free(pointer.low as ArenaAddress, pages);
}

/** @returns 0 or a negative errno. */
export function bpf_arena_reserve_pages(
  _cpu: Cpu,
  map: EmbeddedMap,
  pointer: Pointer,
  pages: number,
): number {
  return placedArena(map)?.reserve(pointer.low as ArenaAddress, pages) ?? -ERRNO.EINVAL;
}
