import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Code } from '../encode/code.ts';
import { ModuleBuilder, type Signature } from '../encode/module.ts';
import { PAGE_PRESENT, PAGE_WRITTEN } from '../target.ts';
import { random, targetOf, verified } from '../testdata/harness.ts';
import { ACCESS_KIND } from './arena.ts';
import { CHECK, checkFunction, MISALIGNED, MISALIGNED_OPERATIONS, misalignedFunction } from './runtime.ts';

/** The functions that every module may have besides a program's own, called by themselves and held against their definition. */

const PAGE = 4096;
const WINDOW = 2 ** 32;
const PAGES = { initial: 65_536, maximum: 65_536, shared: true } as const;
const target = targetOf(verified('r0 = 0; exit'), { reportsFaults: true });
const { pageTable } = target.arena ?? { pageTable: 0 };

const memories = { arena: new WebAssembly.Memory(PAGES), memory: new WebAssembly.Memory(PAGES) };

type Numbers = (number | bigint)[];

/** Instantiates a module of one function, which may call the import `fault`. */
function functionOf(
  code: Code,
  signature: Signature,
  fault: (...args: number[]) => void = () => undefined,
): (...args: Numbers) => number | bigint {
  const builder = new ModuleBuilder([{ name: 'fault', params: CHECK.params, results: [] }]);
  const index = builder.reserve();
  builder.define(index, 'f', signature, code);
  builder.export('f', index);
  const userHigh = new WebAssembly.Global({ value: 'i64', mutable: false }, 0n);
  const module = new WebAssembly.Module(builder.encode().bytes);
  const { exports } = new WebAssembly.Instance(module, { kernel: { ...memories, cpu: 0, userHigh, fault } });
  return exports.f as (...args: Numbers) => number | bigint;
}

describe('the full check of an access', () => {
  const faults: number[][] = [];
  const check = functionOf(checkFunction(target.arena ?? assert.fail(), target, 0), CHECK, (...args) => {
    faults.push(args);
  });
  const table = new Uint8Array(memories.memory.buffer, pageTable, 2 ** 20);
  const SEED = 20_261_132;
  // What stands behind the table is not of it.
  new Uint8Array(memories.memory.buffer)[pageTable + 2 ** 20] = PAGE_PRESENT | PAGE_WRITTEN;

  it(`lets through what lies in the window and in present pages, and reports the rest (seed ${SEED})`, () => {
    const states = [0, PAGE_PRESENT, PAGE_PRESENT | PAGE_WRITTEN];
    const outcomes = [0, 0];
    for (let round = 0; round < 20_000; round++) {
      const next = random(SEED + round);
      for (const page of [0, 1, 2, 2 ** 20 - 2, 2 ** 20 - 1]) table[page] = states[next(3)];
      const size = 1 << next(4);
      const kind = [ACCESS_KIND.load, ACCESS_KIND.store, ACCESS_KIND.atomic][next(3)];
      const off = next(2) === 0 ? next(40) - 20 : next(65_536) - 32_768;
      // Near the edges of the first two pages, and of the window.
      const edge = [0, PAGE, 2 * PAGE, WINDOW - PAGE, WINDOW][next(5)];
      const base = (edge - off + next(24) - 12 + 2 * WINDOW) % WINDOW;
      const from = base + off;
      const to = from + size;
      const first = Math.floor(from / PAGE);
      const last = Math.floor((to - 1) / PAGE);
      const inside = from >= 0 && to <= WINDOW;
      const before = [table[first], table[last]];
      const expected = inside && before.every((state) => (state & PAGE_PRESENT) !== 0);
      faults.length = 0;
      const why = `round ${round}: ${from} to ${to}, kind ${kind}, states ${before}`;
      assert.equal(check(base | 0, off, size, kind, 7), expected ? 1 : 0, why);
      outcomes[expected ? 1 : 0]++;
      assert.deepEqual(faults, expected ? [] : [[base | 0, off, size, kind, 7]], why);
      if (!inside) continue;
      const mark = expected && kind !== ACCESS_KIND.load ? PAGE_WRITTEN : 0;
      assert.deepEqual([table[first], table[last]], [before[0] | mark, before[1] | mark], why);
    }
    assert.ok(Math.min(...outcomes) > 1_000, `${outcomes}`);
  });
});

describe('an atomic operation where WebAssembly would trap', () => {
  type Operation = (typeof MISALIGNED_OPERATIONS)[number];
  const RESULTS: Readonly<Record<Operation, (old: bigint, operand: bigint, expected: bigint) => bigint>> = {
    add: (old, operand) => old + operand,
    or: (old, operand) => old | operand,
    and: (old, operand) => old & operand,
    xor: (old, operand) => old ^ operand,
    xchg: (_, operand) => operand,
    cmpxchg: (old, operand, expected) => (old === expected ? operand : old),
    load: (old) => old,
  };
  const OLD = 0xf1e2d3c4b5a69788n;
  const OPERAND = 0x8877665544332211n;

  for (const memory of [0, 1] as const) {
    const f = functionOf(misalignedFunction(memory, target), MISALIGNED);
    const view = new DataView((memory === 0 ? memories.arena : memories.memory).buffer);
    for (const [number, operation] of MISALIGNED_OPERATIONS.entries())
      for (const size of [2, 4, 8])
        it(`${operation} of ${size} bytes in memory ${memory}`, () => {
          const cut = (value: bigint) => BigInt.asUintN(8 * size, value);
          const at = 3 * PAGE - 3;
          for (const expected of [cut(OLD), 5n]) {
            view.setBigUint64(at, OLD, true);
            view.setBigUint64(at + 8, OLD, true);
            const old = f(at, size, number, OPERAND, expected);
            assert.equal(BigInt.asUintN(64, BigInt(old)), cut(OLD), 'it gives what stood there');
            const left = view.getBigUint64(at, true);
            assert.equal(cut(left), cut(RESULTS[operation](cut(OLD), cut(OPERAND), expected)));
            assert.equal(left >> BigInt(8 * size), OLD >> BigInt(8 * size), 'what follows stays');
            assert.equal(view.getBigUint64(at + 8, true), OLD);
          }
          const lock = new DataView(memories.memory.buffer).getUint32(target.atomicLock, true);
          assert.equal(lock, 0, 'the lock is free again');
        });
  }
});
