import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ArenaAddress } from './layout.ts';
import { ArenaMap } from './maps/arena.ts';
import { TestKernel } from './testdata/harness.ts';

/**
 * What one check says of several accesses and of those that follow, and what atomic operations do where nobody else is: the same
 * on both engines, at all places around the border of two pages, of which each is present or not. The arena has margins, as it
 * has where we choose its address.
 */

const PAGE = 4096;
const START = 0x4010_0010_0000n;
const FIRST = 0x10_0000;
const ARENA = { type: 33, keySize: 0, valueSize: 0, maxEntries: 16, flags: 1 << 10, mapExtra: START };
const BORDER = START + BigInt(PAGE);

function arenaOf(kernel: TestKernel): ArenaMap {
  const [map] = kernel.maps;
  if (!(map instanceof ArenaMap)) throw new TypeError('the first map is no arena');
  return map;
}

/** What runs leave, one after the other: r0, and the bytes around the border. */
function outcome(
  engine: 'interpreter' | 'jit',
  asm: string,
  pages: readonly boolean[],
  at: readonly bigint[],
  isExposed = false,
  faults: 'off' | 'report' = 'off',
): string[] {
  using kernel = new TestKernel([ARENA], { engine, checked: false, faults });
  const { arena } = arenaOf(kernel);
  for (const [page, isPresent] of pages.entries())
    if (isPresent) arena.touch((FIRST + page * PAGE) as ArenaAddress, 1, true);
  if (isExposed) assert.equal(arenaOf(kernel).bytes.length, 16 * PAGE);
  const bytes = arena.window.subarray(FIRST + PAGE - 64, FIRST + PAGE + 64);
  return at.map((address) => {
    if (pages[0]) bytes.fill(0x5a, 0, 64);
    if (pages[1]) bytes.fill(0xa5, 64);
    const run = kernel.run(`r2 = MAP 0; r1 = addr_space_cast(r1, 0, 1); ${asm}`, address);
    const what = `${run.r0}, ${run.faults.length} faults`;
    return `${(address - BORDER).toString()}: ${what} ${Buffer.from(bytes).toString('hex')}`;
  });
}

const PAGES = [
  [true, true],
  [true, false],
  [false, true],
  [false, false],
] as const;
const AROUND = Array.from({ length: 48 }, (_, i) => BORDER + BigInt(i - 32));

const GROUPS: Readonly<Record<string, string>> = {
  'stores that go together':
    '*(u64 *)(r1 + 16) = 7; *(u64 *)(r1 + 8) = 6; *(u32 *)(r1 + 0) = 5; r0 = *(u64 *)(r1 + 8); exit',
  'before and behind the base':
    '*(u32 *)(r1 - 12) = 7; *(u8 *)(r1 + 3) = 6; r0 = *(u64 *)(r1 - 12); r2 = *(u8 *)(r1 + 3); r0 += r2; exit',
  'before a base that is aligned':
    'r1 &= -16; *(u64 *)(r1 - 8) = 7; *(u64 *)(r1 + 0) = 6; r0 = *(u64 *)(r1 - 8); exit',
  'of which the first one is far from the others':
    '*(u8 *)(r1 + 20) = 9; r1 += 20; *(u64 *)(r1 - 20) = 3; r0 = *(u32 *)(r1 - 4); exit',
  'with an atomic one':
    'r2 = 3; *(u64 *)(r1 + 8) = 1; r2 = atomic_fetch_add((u64 *)(r1 + 0), r2); r0 = r2; exit',
  'loads that go together': 'r0 = *(u64 *)(r1 + 16); r2 = *(u64 *)(r1 + 0); r0 ^= r2; exit',
  'loads before and behind the base':
    'r0 = *(u32 *)(r1 - 12); r2 = *(u16 *)(r1 + 4); r0 += r2; r2 = *(u64 *)(r1 - 8); r0 += r2; exit',
  'loads that do not, for they are aligned at different places':
    'r0 = *(u64 *)(r1 + 4); r2 = *(u64 *)(r1 + 0); r0 ^= r2; exit',
};

describe('one check for several accesses', () => {
  for (const [what, asm] of Object.entries(GROUPS))
    it(what, () => {
      for (const pages of PAGES)
        for (const faults of ['off', 'report'] as const) {
          const [jit, interpreter] = (['jit', 'interpreter'] as const).map((engine) =>
            outcome(engine, asm, pages, AROUND, false, faults),
          );
          assert.deepEqual(jit, interpreter);
        }
    });
});

const AGAIN: Readonly<Record<string, string>> = {
  'in the same run':
    '*(u64 *)(r1 + 0) = 7; if r1 == 1 goto a; *(u32 *)(r1 + 4) = 9; a: r0 = *(u64 *)(r1 + 0); exit',
  'in a loop that begins behind it':
    '*(u64 *)(r1 + 0) = 7; r3 = 0; l: may_goto o; r3 += 1; *(u64 *)(r1 + 0) = r3; if r3 < 90 goto l; o: r0 = r3; exit',
  'in a loop in which other stores fail':
    '*(u64 *)(r1 + 0) = 7; r3 = 0; r4 = r1; l: may_goto o; r3 += 1; *(u64 *)(r1 + 0) = r3; r4 += 8; *(u64 *)(r4 + 0) = r3; if r3 < 90 goto l; o: r0 = r3; exit',
  'in a loop behind stores that go together, where others fail':
    '*(u64 *)(r1 + 0) = 7; *(u64 *)(r1 + 8) = 7; r3 = 0; r4 = r1; r5 = 8; l: may_goto o; r3 += 1; *(u64 *)(r1 + 8) = r3; *(u64 *)(r4 + 0) = r3; r4 += r5; if r3 < 90 goto l; o: r0 = r3; exit',
  'in an inner loop':
    '*(u32 *)(r1 + 0) = 7; r3 = 0; r0 = 0; l: may_goto o; r3 += 1; r5 = 0; *(u64 *)(r1 + 8) = r3; m: may_goto o; *(u64 *)(r1 + 8) = r5; *(u32 *)(r1 + 0) = r0; r0 += 1; r5 += 1; if r5 < 9 goto m; if r3 < 9 goto l; o: exit',
  'after a function that loops':
    'r6 = r1; *(u64 *)(r6 + 0) = 7; call f; *(u64 *)(r6 + 0) = 8; r7 = r0; r1 = r6; call f; *(u64 *)(r6 + 0) = r0; r0 += r7; exit; f: r0 = 0; l: may_goto o; r0 += 1; *(u8 *)(r1 + 3) = r0; if r0 < 70 goto l; o: exit',
  'at a constant address':
    'r2 = 0x401000100ff8 ll; r2 = addr_space_cast(r2, 0, 1); r3 = 0x401000101000 ll; r3 = addr_space_cast(r3, 0, 1); *(u64 *)(r2 + 0) = 1; *(u64 *)(r3 + 0) = 2; r0 = 0; l: may_goto o; r0 += 1; *(u64 *)(r2 + 0) = r0; *(u64 *)(r3 + 8) = r0; *(u64 *)(r1 + 0) = r0; if r0 < 80 goto l; o: exit',
  'at several, where a store elsewhere fails':
    'r2 = 0x401000100ff8 ll; r2 = addr_space_cast(r2, 0, 1); r3 = 0x401000101000 ll; r3 = addr_space_cast(r3, 0, 1); *(u64 *)(r2 + 0) = 1; *(u64 *)(r3 + 0) = 2; r0 = 0; r5 = 8; l: may_goto o; r0 += 1; *(u64 *)(r2 + 0) = r0; *(u64 *)(r3 + 8) = r0; r1 += r5; *(u64 *)(r1 + 0) = r0; if r0 < 80 goto l; o: exit',
};

describe('a page that was checked is not checked again, and nothing is stored where none is', () => {
  for (const [where, asm] of Object.entries(AGAIN))
    it(where, () => {
      const at = AROUND.filter((_, i) => i % 4 === 0);
      for (const pages of PAGES)
        assert.deepEqual(outcome('jit', asm, pages, at), outcome('interpreter', asm, pages, at));
    });
});

it('a pointer that a load found aligned is so in the loop behind it, unless the loop is entered from where it was not', () => {
  const asm =
    'r0 = *(u64 *)(r1 + 0); r3 = 0; l: may_goto o; r3 += 1; r4 = *(u64 *)(r1 + 0); r0 += r4; if r3 < 90 goto l; o: exit';
  for (const pages of PAGES)
    assert.deepEqual(outcome('jit', asm, pages, AROUND), outcome('interpreter', asm, pages, AROUND));
});

it('a program that frees pages checks them again', () => {
  for (const engine of ['interpreter', 'jit'] as const) {
    using kernel = new TestKernel([ARENA], { engine, checked: false });
    const asm = `r6 = addr_space_cast(r1, 0, 1); r7 = MAP 0; *(u64 *)(r6 + 0) = 7; r1 = r7; r2 = r6; r3 = 1; call bpf_arena_free_pages;
      *(u64 *)(r6 + 0) = 8; r0 = *(u64 *)(r6 + 0); exit`;
    arenaOf(kernel).arena.touch(FIRST as ArenaAddress, 1, true);
    assert.equal(kernel.run(asm, START).r0, 0n, engine);
  }
});

const ATOMICS = [
  'r2 = 5; lock *(u64 *)(r1 + 0) += r2; r0 = r2; exit',
  'r2 = 5; r2 = atomic_fetch_add((u64 *)(r1 + 0), r2); r0 = r2; exit',
  'r2 = -3; w2 = atomic_fetch_add((u32 *)(r1 + 0), w2); r0 = r2; exit',
  'r2 = -3; lock *(u32 *)(r1 + 0) &= w2; lock *(u64 *)(r1 + 0) |= r2; lock *(u64 *)(r1 + 3) ^= r2; r0 = r2; exit',
  'r2 = 5; r2 = xchg_64(r1 + 0, r2); r0 = r2; exit',
  'r2 = 5; r0 = 0x5a5a5a5a5a5a5a5a ll; r0 = cmpxchg_64(r1 + 0, r0, r2); exit',
  'r2 = -5; r0 = 0x17a5a5a5a5 ll; w0 = cmpxchg32_32(r1 + 0, w0, w2); exit',
  'r1 = atomic_fetch_add((u64 *)(r1 + 0), r1); r0 = r1; exit',
  'r0 = -1; w0 = load_acquire((u32 *)(r1 + 0)); exit',
  'r2 = -2; store_release((u64 *)(r1 + 0), r2); r0 = r2; exit',
];

describe('atomic operations in a kernel of one CPU', () => {
  for (const asm of ATOMICS)
    it(asm.replace(/; exit$/, ''), () => {
      for (const pages of PAGES) {
        const wanted = outcome('interpreter', asm, pages, AROUND);
        assert.deepEqual(outcome('jit', asm, pages, AROUND), wanted);
        assert.deepEqual(outcome('jit', asm, pages, AROUND, true), wanted, 'when user space has the bytes');
      }
    });
});
