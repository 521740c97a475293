import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { Violation } from '../interpreter/guard.ts';
import { PAGE_SIZE } from './layout.ts';
import type { ArenaMap } from './maps/arena.ts';
import { TestKernel } from './testdata/harness.ts';

/**
 * What programs do to the arena, and to pointers into it: FACTS "Access from programs", as data. Each case was run by
 * Linux 6.18 on an arena of 4 GiB at START of which three pages were present, the first two and the last.
 */

const START = 0x10_0000_0000n;
const PRESENT = [0, 1, 0xfffff];

interface AccessCase {
  asm: string;
  /** What each run left in r0 and, by arena address, in memory. */
  runs?: { args: string[]; r0: string; stores?: Record<string, string> }[];
  /** Linux refuses to load it, with this message; here the guard stops a run with these arguments. */
  refused?: string;
  args?: string[];
}

const cases: AccessCase[] = JSON.parse(
  readFileSync(new URL('testdata/arena-access.json', import.meta.url), 'utf8'),
);

const test = new TestKernel([
  { type: 33, valueSize: 0, keySize: 0, maxEntries: 2 ** 20, flags: 0x400, mapExtra: START },
]);
after(() => test.close());
const { arena } = test.maps[0] as ArenaMap;

/** What stands in a page before each run: no two neighbours alike, no two pages alike. */
const PATTERNS = new Map(
  PRESENT.map((page) => [
    page,
    Uint8Array.from({ length: PAGE_SIZE }, (_, i) => (i * 7) ^ (i >> 8) ^ (page * 13)),
  ]),
);

function reset(): void {
  for (const [page, pattern] of PATTERNS) {
    const address = arena.arenaAddress(START + BigInt(page * PAGE_SIZE));
    arena.touch(address, PAGE_SIZE, true);
    arena.window.set(pattern, address);
  }
}

/** The bytes that differ from the patterns, as hex by the address of the first of each run of bytes. */
function changes(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [page, pattern] of PATTERNS) {
    let first = '';
    for (let i = 0; i < PAGE_SIZE; i++) {
      const byte = arena.window[page * PAGE_SIZE + i];
      if (byte === pattern[i]) first = '';
      else {
        first ||= `0x${(page * PAGE_SIZE + i).toString(16)}`;
        found[first] = (found[first] ?? '') + byte.toString(16).padStart(2, '0');
      }
    }
  }
  return found;
}

describe('a program that Linux accepts gives what Linux gives', () => {
  for (const { asm, runs = [] } of cases.filter((each) => each.refused === undefined)) {
    it(asm, () => {
      for (const { args, r0, stores = {} } of runs) {
        reset();
        const result = test.run(asm, ...args);
        assert.deepEqual(
          { r0: `0x${result.r0.toString(16)}`, stores: changes() },
          { r0, stores },
          `run(${args})`,
        );
      }
    });
  }
});

describe('a program that Linux refuses is stopped with the same words', () => {
  for (const { asm, args = [], refused = '' } of cases.filter((each) => each.refused !== undefined)) {
    it(asm, () => {
      reset();
      assert.throws(
        () => test.run(asm, ...args),
        (error) => error instanceof Violation && error.message.includes(refused),
      );
      assert.deepEqual(changes(), {});
    });
  }
});
