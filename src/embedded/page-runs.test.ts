import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { random } from '../jit/testdata/harness.ts';
import type { ArenaAddress } from './layout.ts';
import { ArenaMap } from './maps/arena.ts';
import type { EmbeddedOptions } from './options.ts';
import { TestKernel } from './testdata/harness.ts';

/**
 * Loops that walk through arrays, so that many rounds are checked at once: over pages of which some are not there, with steps and
 * offsets that lead from one into the next, and budgets that are used up on the way. Both engines leave the same.
 */

const SEED = 20_261_126;
const PROGRAMS = 160;
const PAGE = 4096;
const PAGES = 12;
const START = 0x4010_0010_0000n;
const FIRST = 0x10_0000;
const ARENA = { type: 33, keySize: 0, valueSize: 0, maxEntries: PAGES, flags: 1 << 10, mapExtra: START };

/** Fast code looks for a run after 1,024 rounds. */
const SPENT = [0, 600, 1000, 1021, 1023, 1024];

type Below = (below: number) => number;

const pick = <T>(next: Below, from: readonly T[]): T => from[next(from.length)];

const STEPS = [4, 4, 8, 12, 16, 24, 24, 36, 64, 256, 1, -4, -12, -24, 260, 0];
const SIZES = [1, 2, 4, 8] as const;
const OFFSETS = [0, 0, 0, 0, 4, 8, 1, -8, 40, 4092];

/** Part of a round: accesses through r1 or r2, between which these move. */
function part(next: Below, label: string, steps: readonly number[]): string {
  const base = 1 + next(2);
  const size = pick(next, SIZES);
  const at = `*(u${8 * size} *)(r${base} + ${pick(next, OFFSETS)})`;
  switch (next(12)) {
    case 0:
    case 1:
      return `r5 = ${at}; r4 += r5`;
    case 2:
      return `if r4 & ${1 << next(3)} goto ${label}; ${at} = r4; ${label}: r4 += 1`;
    case 3:
      return `r5 = ${at}; if r5 == ${next(256)} goto out`;
    case 4:
      return `r5 = r${base}; r5 += 8; *(u32 *)(r5 - 4) = r3`;
    case 5:
      return `lock *(${pick(next, ['u32', 'u64'])} *)(r${base} + ${8 * next(3)}) += r4`;
    case 6:
      return `r${base} += ${steps[base - 1]}`;
    default:
      return `${at} = r4`;
  }
}

function loop(next: Below): string {
  const steps = [pick(next, STEPS), pick(next, STEPS)];
  const parts = Array.from({ length: 1 + next(3) }, (_, i) => part(next, `skip${i}`, steps));
  const mayGoto = next(parts.length + 1);
  const body = [...parts.slice(0, mayGoto), 'may_goto out', ...parts.slice(mayGoto)];
  const moves = `r1 += ${steps[0]}; r2 += ${steps[1]}`;
  return `l: ${body.join('; ')}; r4 += 3; ${moves}; r3 += 1; if r3 < r9 goto l`;
}

/** Spends as many rounds as r5 says. */
const SPEND = 's: may_goto out; r3 += 1; if r3 < r5 goto s';

/** Adds the iterations that are left to r8. */
const LEFT = 'left: may_goto end; r8 += 1; goto left; end: r5 = 0';

/**
 * r3 to r5 are 0, the rounds, and rounds that are spent before: where a run begins depends on these. All of it twice, so that a
 * loop is entered anew.
 */
function program(next: Below): string {
  const begin =
    'r6 = r3; r8 = r3; r9 = r4; r0 = MAP 0; r0 = 0; r1 = addr_space_cast(r1, 0, 1); r2 = addr_space_cast(r2, 0, 1)';
  const again = 'r8 += 1; if r8 > 1 goto out; r3 = r6; may_goto out; goto again';
  const end = `out: ${LEFT}; r0 = r1; r0 <<= 16; r0 ^= r2; r0 <<= 16; r0 ^= r3; r0 ^= r4; r0 += r8; exit`;
  return `${begin}; ${SPEND}; r3 = r6; again: ${loop(next)}; ${again}; ${end}`;
}

/** Loops through r1 in which r3 counts 1,500 rounds, of which most are a run. */
const CASES: Readonly<Record<string, string>> = {
  'loads that straddle pages':
    'l: may_goto out; r5 = *(u32 *)(r1 + 0); r4 += r5; r1 += 8; r3 += 1; if r3 < 1500 goto l; out:',
  'loads that do so at an offset':
    'l: may_goto out; r5 = *(u64 *)(r1 + 4); r4 += r5; r1 += 8; r3 += 1; if r3 < 1500 goto l; out:',
  'a loop that is left before its pointer moves':
    'l: may_goto out; *(u8 *)(r1 + 0) = r3; if r3 == 1500 goto out; r1 += 4; r3 += 1; goto l; out:',
  'a loop that is left between two moves':
    'l: may_goto out; r1 += 4; *(u32 *)(r1 + 0) = r3; if r3 == 1500 goto out; r1 -= 2; r3 += 1; goto l; out:',
  'a loop upwards to the end':
    'l: may_goto out; *(u8 *)(r1 + 0) = r3; r1 += 32; r3 += 1; if r3 < 1500 goto l; out:',
  'a loop downwards': 'l: may_goto out; *(u16 *)(r1 + 0) = r3; r1 -= 8; r3 += 1; if r3 < 1500 goto l; out:',
};

/** Pages that are there, and were written. */
const THERE: Readonly<Record<string, (page: number) => boolean>> = {
  'without page 2': (page) => page !== 2,
  'without page 8': (page) => page !== 8,
  'without page 9': (page) => page !== 9,
  'with the first two alone': (page) => page < 2,
};

/** What a run leaves: r0, the arena's bytes, and where it failed. */
function outcome(
  options: EmbeddedOptions,
  asm: string,
  pages: readonly number[],
  args: readonly bigint[],
): unknown {
  using kernel = new TestKernel([ARENA], { checked: false, ...options });
  const [map] = kernel.maps;
  if (!(map instanceof ArenaMap)) throw new TypeError('the first map is no arena');
  const bytes = map.arena.window.subarray(FIRST, FIRST + PAGES * PAGE);
  pages.forEach((state, page) => {
    if (state > 0) map.arena.touch((FIRST + page * PAGE) as ArenaAddress, 1, state > 1);
    if (state > 1) bytes.fill(0x5a, page * PAGE, (page + 1) * PAGE);
  });
  // Twice, so that the second run finds what the first one wrote.
  const runs = [0, 1].map(() => {
    const { r0, faults } = kernel.run(asm, ...args);
    return { r0, faults: faults.length };
  });
  return { runs, bytes: Buffer.from(bytes).toString('latin1') };
}

it(`loops through arrays leave the same on both engines (seed ${SEED})`, () => {
  for (let round = 0; round < PROGRAMS; round++) {
    const next = random(SEED + 7919 * round);
    const asm = program(next);
    // Mostly there, and written, but for one.
    const [hole, few] = [next(PAGES), next(3) === 0];
    const pages = Array.from({ length: PAGES }, (_, page) =>
      page === hole ? next(2) : few ? pick(next, [0, 1, 2, 2]) : 2,
    );
    const pointers = [0, 0].map(
      () => START + BigInt(next(PAGES * PAGE) & pick(next, [-1, -2, -4, -8, -64, 0x3ff8, 0x1fc0])),
    );
    const args = [...pointers, 0n, BigInt(pick(next, [3, 700, 1030, 2500])), BigInt(pick(next, SPENT))];
    const options: EmbeddedOptions = {
      faults: pick(next, ['off', 'off', 'report']),
      mayGoto: { iterations: pick(next, [5, 900, 1500, 2300, 6000]) },
    };
    const [interpreter, jit] = (['interpreter', 'jit'] as const).map((engine) =>
      outcome({ ...options, engine }, asm, pages, args),
    );
    const what = `round ${round}: ${asm} on pages ${pages.join(' ')} at ${args.map(String)}, ${JSON.stringify(options)}`;
    assert.deepEqual(jit, interpreter, what);
  }
});

describe('a run ends where pages do, and takes as many iterations as it has rounds', () => {
  for (const [what, loops] of Object.entries(CASES))
    it(what, () => {
      const asm = `r0 = MAP 0; r1 = addr_space_cast(r1, 0, 1); r8 = 0; r9 = r3; ${SPEND}; r3 = r9; ${loops} ${LEFT}; r0 = r1; r0 ^= r4; r0 <<= 16; r0 ^= r3; r0 ^= r8; exit`;
      for (const [which, isThere] of Object.entries(THERE))
        for (const start of [0, 2, 3, 6, 0x40, 0x3000, PAGES * PAGE - 8]) {
          const pages = Array.from({ length: PAGES }, (_, page) => (isThere(page) ? 2 : 0));
          const args = [START + BigInt(start), 0n, 0n, 0n, 1021n];
          const [interpreter, jit] = (['interpreter', 'jit'] as const).map((engine) =>
            outcome({ engine, mayGoto: { iterations: 3000 } }, asm, pages, args),
          );
          assert.deepEqual(jit, interpreter, `from ${start}, ${which}`);
        }
    });
});
