import type { ArenaAddress } from '../../src/embedded/layout.ts';
import type { EmbeddedLoad } from '../../src/embedded/load.ts';
import { ArenaMap } from '../../src/embedded/maps/arena.ts';
import { anyBytes, fillMap } from '../inputs.ts';
import type { Random } from '../random.ts';

/** What user space does between two runs: it fills maps, touches arena pages, and takes some away. */

/** Touches pages of an arena, or takes some, and writes into what is there; user addresses among the words. */
function changeArena({ arena, maxEntries }: ArenaMap, random: Random): void {
  const { start } = arena.pages;
  for (let page = 0; page < maxEntries; page++) {
    const at = (start + 4096 * page) as ArenaAddress;
    if (random.chance(10)) arena.free(at, 1);
    if (random.chance(5)) arena.reserve(at, 1);
    if (random.chance(60)) arena.touch(at, 4096, false);
    if (arena.pageState(page) !== 'present' || random.chance(30)) continue;
    const length = random.pick([16, 64, 256]);
    const offset = random.chance(70) ? 0 : 4096 - length;
    arena.touch((at + offset) as ArenaAddress, length, true);
    arena.window.set(anyBytes(random, length), at + offset);
    if (random.chance(50)) {
      const pointer = arena.userAddress((start + random.below(4096 * maxEntries)) as ArenaAddress);
      new DataView(arena.window.buffer).setBigUint64(at + offset + 8 * random.below(2), pointer, true);
    }
  }
}

/** New contents for everything that a program finds. */
export function fill(load: EmbeddedLoad, random: Random): void {
  for (const map of Object.values(load.maps)) {
    if (map instanceof ArenaMap) changeArena(map, random);
    else fillMap(map, random, 80);
  }
}
