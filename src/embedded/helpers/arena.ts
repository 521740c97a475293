import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import type { ArenaAddress } from '../layout.ts';
import { ArenaMap } from '../maps/arena.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import { isNull, type Pointer } from './kfunc-table.ts';

/**
 * The arena kfuncs. Only the low half of a pointer says where in the arena it leads; that it is NULL is a matter of all
 * 64 bits. Results are arena addresses; the caller adds the upper half.
 */

/** Memory of any node, and the only one that is there (bpf_get_numa_node_id). */
const NUMA_NO_NODE = -1;
const NUMA_NODE = 0;

/** @returns the arena address of the first page, or −1 for NULL. */
export function bpf_arena_alloc_pages(
  _cpu: Cpu,
  map: EmbeddedMap,
  address: Pointer,
  pages: number,
  node: number,
  flags: number,
): number {
  if (!(map instanceof ArenaMap) || flags !== 0) return -1;
  if (node !== NUMA_NO_NODE && node !== NUMA_NODE) return -1;
  return map.arena.allocate(isNull(address) ? undefined : (address.low as ArenaAddress), pages);
}

export function bpf_arena_free_pages(
  _cpu: Cpu,
  map: EmbeddedMap,
  pointer: Pointer,
  pages: number,
): undefined {
  if (!(map instanceof ArenaMap) || isNull(pointer) || pages === 0) return;
  map.arena.free(pointer.low as ArenaAddress, pages);
}

/** @returns 0 or a negative errno. */
export function bpf_arena_reserve_pages(
  _cpu: Cpu,
  map: EmbeddedMap,
  pointer: Pointer,
  pages: number,
): number {
  if (!(map instanceof ArenaMap)) return -ERRNO.EINVAL;
  return map.arena.reserve(pointer.low as ArenaAddress, pages);
}
