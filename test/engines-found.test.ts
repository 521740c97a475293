import assert from 'node:assert/strict';
import { it } from 'node:test';
import { tryText } from '../fuzz/engines/try.ts';

/** Programs that engines did not agree on once: `npm run fuzz:engines` found them, and made them as small as they are. */

interface Found {
  /** What they show, as a rule. */
  readonly rule: string;
  /** The function `f0`: r1 is the context, r9 an arena pointer that the text sets. */
  readonly text: string;
  /** Of the arena's first page. */
  readonly start: number;
}

const PAGES = 3;
const AT_END = 2 ** 32 - 4096 * PAGES;
const SEEDS = 20;

const FOUND: readonly Found[] = [
  {
    rule: 'a pointer that wraps around at 4 GiB is no longer in the page of those before it',
    start: AT_END,
    text: `
r7 = *(u64 *)(r1 + 0)
r9 = 0xfffffff3 ll
r9 = addr_space_cast(r9, 0, 1)
*(u64 *)(r9 - 1) = r7
r9 += 16
*(u32 *)(r9 - 7) = w7
r0 = *(u32 *)(r9 - 7)`,
  },
  {
    rule: 'and what it misses is reported',
    start: AT_END,
    text: `
r7 = 0
r9 = 0x7000fffffff1 ll
r9 = addr_space_cast(r9, 0, 1)
r7 = atomic_fetch_add((u64 *)(r9 - 12), r7)
r9 += 16
*(u32 *)(r9 - 26) = 15
r0 = 0`,
  },
  {
    rule: 'a shift of an arena pointer by 32 is none, and shows nothing of its alignment',
    start: AT_END,
    text: `
r9 = 0xfffffffc ll
r9 = addr_space_cast(r9, 0, 1)
r9 <<= 32
r0 = *(u64 *)(r9 + 0)`,
  },
  {
    rule: 'a may_goto that leads to what follows anyway uses up no iteration',
    start: 0,
    text: `
r0 = 1
may_goto a
a:
b:
r0 *= 7
may_goto c
goto b
c:`,
  },
  {
    rule: 'a load that reaches different slots on different paths finds what was stored there',
    start: 0,
    text: `
*(u64 *)(r10 - 40) = 258
*(u64 *)(r10 - 64) = 1
r4 = *(u64 *)(r1 + 0)
r4 s>>= 63
r4 &= 24
r1 = r10
r1 += -64
r1 += r4
r0 = *(u8 *)(r1 + 0)`,
  },
  {
    rule: 'a function reads the argument that a load-acquire from an absent page leaves as it was',
    start: 0,
    text: `
r2 = *(u64 *)(r1 + 8)
call acquire
exit
.section .text
.func static acquire : u64 (u64 a, u64 b)
r1 = 0xf0000000 ll
r1 = addr_space_cast(r1, 0, 1)
w2 = load_acquire((u32 *)(r1 + 0))
r0 = r2`,
  },
  {
    rule: 'a loop may be entered in its middle',
    start: 0,
    text: `
r7 = *(u64 *)(r1 + 0)
*(u64 *)(r10 - 8) = 3
if r7 s< 255 goto b
a:
r7 |= 2
b:
r1 = *(u64 *)(r10 - 8)
r1 += -1
*(u64 *)(r10 - 8) = r1
if r1 s< 1 goto c
goto a
c:
r0 = r7`,
  },
];

function objectOf({ text, start }: Found): string {
  const address = `0x7000${start.toString(16).padStart(8, '0')}`;
  return [
    '.license "GPL"',
    `.map arena, type=arena, max_entries=${PAGES}, map_flags=0x400, map_extra=${address}`,
    '.section syscall',
    '.func f0 : s32 (void *ctx)',
    'r2 = arena ll',
    text.trim(),
    'exit',
  ].join('\n');
}

for (const found of FOUND) {
  it(found.rule, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const faults = seed % 2 === 0 ? 'off' : 'report';
      const { difference, compared } = await tryText(objectOf(found), seed, { options: { faults }, runs: 3 });
      assert.equal(difference?.what, undefined, `seed ${seed}`);
      assert.deepEqual(compared, ['f0']);
    }
  });
}
