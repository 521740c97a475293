import { KernelMemory } from '../src/embedded/kernel-memory.ts';
import type { ArenaAddress } from '../src/embedded/layout.ts';
import { PAGE_SIZE } from '../src/embedded/layout.ts';
import { ArenaMap } from '../src/embedded/maps/arena.ts';
import { argumentsOf } from '../tools/arguments.ts';

/**
 * What handing out pages of a 4 GiB arena costs: microseconds per operation, over a million single-page allocations and
 * frees in random order. Bookkeeping and zeroing are apart: pages are first never written, then each is.
 */

argumentsOf('usage: npm run bench -- arena-pages', { json: { type: 'boolean' } });

const OPERATIONS = 1_000_000;
const PAGES = 2 ** 20;
/** Pages in use, about; a small number keeps the written round from filling the machine. */
const SETS = [1_000, 100_000, 900_000];
const WRITTEN_SET = 20_000;
const WRITTEN_OPERATIONS = 200_000;

const memory = KernelMemory.open();
const attributes = {
  name: 'arena',
  type: 33,
  keySize: 0,
  valueSize: 0,
  maxEntries: PAGES,
  flags: 1 << 10,
  mapExtra: 0x10_0000_0000n,
};

function openArena() {
  const start = performance.now();
  const map = new ArenaMap({ memory, cpus: 1, mapAt: () => undefined }, 1, attributes);
  map.map();
  return { map, arena: map.arena, took: performance.now() - start };
}

/** Runs random operations that hold about `held` pages. @returns microseconds per operation. */
function measure(operations: number, held: number, writes: boolean): number {
  const { map, arena } = openArena();
  const words = new Int32Array(arena.memory.buffer);
  const owned: number[] = [];
  let state = 1;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor(((state >>> 8) / 2 ** 24) * below);
  };
  const allocate = () => {
    const address = arena.allocate(undefined, 1);
    if (writes) {
      arena.touch(address as ArenaAddress, PAGE_SIZE, true);
      words[address >>> 2] = 1;
    }
    owned.push(address);
  };
  while (owned.length < held) allocate();
  // Not in address order: free ranges are then as scattered as they can be.
  for (let i = held - 1; i > 0; i--) {
    const other = random(i + 1);
    [owned[i], owned[other]] = [owned[other], owned[i]];
  }
  const start = performance.now();
  for (let done = 0; done < operations; done++) {
    if (random(2) === 0 && owned.length < PAGES) allocate();
    else if (owned.length > 0) {
      const index = random(owned.length);
      const address = owned[index];
      owned[index] = owned[owned.length - 1];
      owned.pop();
      arena.free(address as ArenaAddress, 1);
    }
  }
  const took = performance.now() - start;
  map.close();
  return (took * 1_000) / operations;
}

for (let round = 0; round < 2; round++) {
  const { map, took } = openArena();
  map.close();
  console.log(`open ${round === 0 ? 'the first time' : 'again'}: ${took.toFixed(2)} ms`);
}
for (const held of SETS)
  console.log(`bookkeeping, about ${held} pages held: ${measure(OPERATIONS, held, false).toFixed(2)} µs`);
const plain = measure(WRITTEN_OPERATIONS, WRITTEN_SET, false);
const zeroing = measure(WRITTEN_OPERATIONS, WRITTEN_SET, true) - plain;
console.log(`zeroing of written pages, in addition: ${zeroing.toFixed(2)} µs`);
memory.close();
