import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ArenaAddress } from './layout.ts';
import { ArenaMap } from './maps/arena.ts';
import { TestKernel } from './testdata/harness.ts';

/**
 * An arena that is the whole window, with its first and its last page present: an offset that leads past either end reaches nothing,
 * and not the page at the other one. The same on both engines.
 */

const PAGE = 4096;
const WINDOW = 2 ** 32;
const START = 0x4010_0000_0000n;
const ARENA = { type: 33, keySize: 0, valueSize: 0, maxEntries: 2 ** 20, flags: 1 << 10, mapExtra: START };
const ENDS = [0, WINDOW - PAGE];

/** What runs leave, one after the other: r0, and the bytes of both pages. */
function outcome(engine: 'interpreter' | 'jit', asm: string, at: readonly number[]): string[] {
  using kernel = new TestKernel([ARENA], { engine, checked: false });
  const [map] = kernel.maps;
  if (!(map instanceof ArenaMap)) throw new TypeError('the first map is no arena');
  const { arena } = map;
  for (const end of ENDS) arena.touch(end as ArenaAddress, 1, true);
  const pages = ENDS.map((end) => arena.window.subarray(end, end + PAGE));
  return at.map((address) => {
    for (const page of pages) for (let i = 0; i < PAGE; i++) page[i] = i * 7 + (i >> 8) + 1;
    const { r0 } = kernel.run(`r2 = MAP 0; r1 = addr_space_cast(r1, 0, 1); ${asm}`, BigInt(address));
    return `${address}: ${r0} ${pages.map((page) => Buffer.from(page).toString('latin1')).join()}`;
  });
}

/** Places from where an offset leads to bytes around an end of the window. */
const around = (offset: number) => Array.from({ length: 20 }, (_, i) => (WINDOW - offset + i - 10) % WINDOW);

const CASES: Readonly<Record<string, readonly [asm: string, at: readonly number[]]>> = {
  'a load of a byte': ['r0 = *(u8 *)(r1 + 2000); exit', around(2000)],
  'a load of eight': ['r0 = *(u64 *)(r1 + 2000); exit', around(2000)],
  'one near its base': ['r0 = *(u16 *)(r1 + 40); exit', around(40)],
  'one before it': ['r0 = *(u32 *)(r1 - 2000); exit', around(-2000)],
  'a byte before it': ['r0 = *(u8 *)(r1 - 2000); exit', around(-2000)],
  'a store': ['*(u32 *)(r1 + 3000) = 7; r0 = 0; exit', around(3000)],
  'stores that go together': [
    '*(u32 *)(r1 + 0) = 7; *(u32 *)(r1 + 12) = 8; r0 = *(u64 *)(r1 + 4); exit',
    around(8),
  ],
  'stores of a loop that goes on past the end': [
    's: may_goto out; r3 += 1; if r3 < 1021 goto s; r3 = 0; l: may_goto out; *(u32 *)(r1 + 2000) = r3; r1 += 8; r3 += 1; if r3 < 400 goto l; out: r0 = r3; exit',
    [WINDOW - 2160],
  ],
};

describe('offsets lead nowhere at the ends of the window', () => {
  for (const [what, [asm, at]] of Object.entries(CASES))
    it(what, () => {
      const text = `r3 = 0; ${asm}`;
      assert.deepEqual(outcome('jit', text, at), outcome('interpreter', text, at));
    });
});
