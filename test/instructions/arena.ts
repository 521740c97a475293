import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import type { ArenaMap } from '../../src/kernel.ts';
import { arenaOf, type Bench } from '../contract/kernels.ts';
import type { Engine } from './engines.ts';

/**
 * The instruction suite's programs with an arena of 4 GiB, of which three pages are present, its first two and its last. A
 * case is a function in assembly text; each run has its arguments, what r0 holds then, and what bytes of the arena changed.
 */

export interface ArenaRun {
  args: string[];
  /** What Linux 6.18 left in r0. */
  r0: string;
  /** What the embedded kernel leaves there, where it is meant to differ. */
  embedded?: string;
  /** Why: a row of {@link DIFFERENCES}. */
  why?: keyof typeof DIFFERENCES;
  /** Bytes that changed, in hex, by the address of the first. */
  stores?: Record<string, string>;
}

export interface ArenaCase {
  asm: string;
  runs?: ArenaRun[];
  /** It is refused at load, with this message. */
  refused?: string;
  args?: string[];
}

/** Where the embedded kernel is meant to differ: docs/linux.md. */
export const DIFFERENCES = {
  'short fetch':
    'fetching atomics of 32 bits and load_acquire of less than 8 bytes on an absent page: Linux keeps all 64 bits of the register, while its verifier takes the upper ones for zero',
} as const;

const PAGE_SIZE = 4096;
/** Above 2^46: below, the heap of JavaScript lies anywhere. */
const START = 0x4010_0000_0000n;
const PAGES = 2 ** 20;
export const ARENA = {
  type: 33,
  keySize: 0,
  valueSize: 0,
  maxEntries: PAGES,
  flags: 1 << 10,
  mapExtra: START,
};
const PRESENT = [0, 1, PAGES - 1];

/** What stands in a page before each run: no two neighbours alike, no two pages alike. */
const PATTERNS = new Map(
  PRESENT.map((page) => [
    page,
    Uint8Array.from({ length: PAGE_SIZE }, (_, i) => (i * 7) ^ (i >> 8) ^ (page * 13)),
  ]),
);

/** All files of cases, by name. */
export function arenaCases(): Record<string, ArenaCase[]> {
  const folder = new URL('arena/', import.meta.url);
  return Object.fromEntries(
    readdirSync(folder).map((file) => [file, JSON.parse(readFileSync(new URL(file, folder), 'utf8'))]),
  );
}

/** An arena in a kernel. */
export interface OpenArena extends Disposable {
  readonly embedded: boolean;
  /** Runs a function on fresh patterns. @returns r0, and what it stored. */
  run(asm: string, args: readonly string[]): { r0: string; stores: Record<string, string> };
}

/** Opens an arena when it is first asked to run something. */
export function openArena(engine: Engine): OpenArena {
  let bench: Bench | undefined;
  let pages = new Map<number, Uint8Array>();
  const open = (): Bench => {
    if (bench !== undefined) return bench;
    bench = engine.bench([ARENA]);
    pages = presentPages(arenaOf(bench));
    return bench;
  };
  return {
    embedded: engine.name !== 'linux',
    run: (asm, args) => {
      const opened = open();
      PATTERNS.forEach((pattern, page) => void pages.get(page)?.set(pattern));
      // An argument register that the function does not use names the arena, so that Linux knows which it is.
      const text = asm.includes('MAP 0') ? asm : `r5 = MAP 0; ${asm}`;
      const r0 = opened.run(text, ...args);
      return { r0: `0x${r0.toString(16)}`, stores: changes(pages) };
    },
    [Symbol.dispose]: () => bench?.[Symbol.dispose](),
  };
}

export function declareArenaCase(arena: OpenArena, { asm, runs = [], refused, args = [] }: ArenaCase): void {
  it(refused === undefined ? asm : `${asm}: ${refused}`, () => {
    for (const { args, r0: linux, embedded = linux, stores = {} } of runs) {
      const r0 = arena.embedded ? embedded : linux;
      assert.deepEqual(arena.run(asm, args), { r0, stores }, `run(${args})`);
    }
    if (refused === undefined) return;
    assert.throws(
      () => arena.run(asm, args),
      ({ message }: Error) => message.includes(refused),
    );
  });
}

/** Makes the pages present that shall be. @returns their bytes, which programs see. */
export function presentPages(arena: ArenaMap): Map<number, Uint8Array> {
  return new Map(PRESENT.map((page) => [page, pageBytes(arena, page)]));
}

function pageBytes(arena: ArenaMap, page: number): Uint8Array {
  const { memory } = arena;
  const offset = arena.offsetOf(START + BigInt(page * PAGE_SIZE));
  memory.touch(offset, PAGE_SIZE, true);
  return new Uint8Array(memory.view.buffer, memory.view.byteOffset + offset, PAGE_SIZE);
}

/** The bytes that differ from the patterns, as hex by the address of the first of each run of bytes. */
function changes(pages: ReadonlyMap<number, Uint8Array>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [page, pattern] of PATTERNS) {
    let first = '';
    pages.get(page)?.forEach((byte, i) => {
      if (byte === pattern[i]) first = '';
      else {
        first ||= `0x${(page * PAGE_SIZE + i).toString(16)}`;
        found[first] = (found[first] ?? '') + byte.toString(16).padStart(2, '0');
      }
    });
  }
  return found;
}
