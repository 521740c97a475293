import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { EmbeddedOptions } from './options.ts';
import { TestKernel } from './testdata/harness.ts';

/** Loops of compiled programs: when they end, and that they go on through all versions of their code as if there were one. */

const PAGE = 4096;
const START = 0x4010_0000_0000n;
const ARENA = { type: 33, keySize: 0, valueSize: 0, maxEntries: 16, flags: 1 << 10, mapExtra: START };
const ENGINES = ['interpreter', 'jit'] as const;

/** Lets each look at the clock take 10 ms. */
function slowClock({ mock }: TestContext): void {
  let time = 1000;
  mock.method(performance, 'now', () => {
    time += 10;
    return time;
  });
}

/** The result on each engine. */
function results(asm: string, options: EmbeddedOptions, ...args: (bigint | number)[]): bigint[] {
  return ENGINES.map((engine) => {
    using kernel = new TestKernel([ARENA], { engine, checked: false, ...options });
    return kernel.run(asm, ...args).r0;
  });
}

const COUNT = 'r0 = 0; l: may_goto out; r0 += 1; goto l; out: exit';

describe('a loop that may_goto ends has its time', () => {
  for (const versions of [true, false])
    it(`250 ms by the clock: 65,535 iterations, and as many for each look at it; versions: ${versions}`, (test) => {
      slowClock(test);
      const [interpreter, jit] = results(COUNT, { jitOptions: { versions } });
      assert.equal(jit, interpreter);
      assert.equal(jit / 65_535n, 26n);
    });

  it('one budget for all loops of a frame', (test) => {
    slowClock(test);
    const asm =
      'r0 = 0; outer: may_goto out; r0 += 1; r3 = 0; inner: may_goto next; r3 += 1; r0 += 1; if r3 < 10 goto inner; next: goto outer; out: exit';
    const [interpreter, jit] = results(asm, {});
    assert.equal(jit, interpreter);
    assert.ok(jit > 26n * 60_000n && jit < 26n * 70_000n, `${jit} iterations`);
  });

  for (const inlining of [true, false])
    it(`each frame its own, ${inlining ? 'also where it is inlined' : 'where it is called'}`, (test) => {
      slowClock(test);
      const asm = `r6 = 0; call f; r6 += r0; call f; r0 += r6; exit; f: ${COUNT}`;
      const [interpreter, jit] = results(asm, { jitOptions: { inlining } });
      assert.equal(jit, interpreter);
      assert.equal(jit / 65_535n, 52n);
    });

  it('a number of iterations instead, where that is asked for', () => {
    assert.deepEqual(results(COUNT, { mayGoto: { iterations: 1000 } }), [1000n, 1000n]);
  });

  it('as many in a long function, whose code ends where the loop goes on in another version', () => {
    const asm = `${'r2 = r1; r2 *= 3; '.repeat(150)} ${COUNT}`;
    assert.deepEqual(results(asm, { mayGoto: { iterations: 1000 } }, 5), [1000n, 1000n]);
  });
});

describe('a stack slot that became a local', () => {
  const SLOTS: readonly (readonly [rule: string, asm: string, result: bigint])[] = [
    ['holds what was stored', '*(u64 *)(r10 - 8) = r1; r0 = *(u64 *)(r10 - 8); exit', 0x8182_8384_8586_8788n],
    ['and no more than its size', '*(u16 *)(r10 - 8) = r1; r0 = *(u16 *)(r10 - 8); exit', 0x8788n],
    ['of four bytes, too', '*(u32 *)(r10 - 8) = r1; r0 = *(u32 *)(r10 - 8); exit', 0x8586_8788n],
    ['is extended where it is loaded so', '*(u8 *)(r10 - 8) = r1; r0 = *(s8 *)(r10 - 8); exit', -0x78n],
    ['in two bytes', '*(u16 *)(r10 - 8) = r1; r0 = *(s16 *)(r10 - 8); exit', -0x7878n],
    ['and in four', '*(u32 *)(r10 - 8) = r1; r0 = *(s32 *)(r10 - 8); exit', -0x7a79_7878n],
  ];
  for (const [rule, asm, result] of SLOTS)
    it(rule, () => {
      const expected = BigInt.asUintN(64, result);
      assert.deepEqual(results(asm, {}, 0x8182_8384_8586_8788n), [expected, expected]);
    });
});

for (const inlining of [true, false])
  it(`a callee has a frame of its own, ${inlining ? 'also where it is inlined' : 'where it is called'}`, () => {
    const asm =
      '*(u64 *)(r10 - 8) = 3; r1 = r10; r1 += -8; call f; exit; f: *(u64 *)(r10 - 8) = 40; r0 = *(u64 *)(r1 + 0); lock *(u64 *)(r10 - 8) += r0; r2 = *(u64 *)(r10 - 8); r0 += r2; exit';
    assert.deepEqual(results(asm, { jitOptions: { inlining } }), [46n, 46n]);
  });

describe('a jump is taken as in the interpreter, wherever it leads', () => {
  const OPERATORS = ['==', '!=', '>', '>=', '<', '<=', 's>', 's>=', 's<', 's<=', '&'];
  /** Ways to say it: each gives 2 where the jump is taken. */
  const SHAPES: Readonly<Record<string, (condition: string) => string>> = {
    'to the smaller side': (c) => `r0 = 0; if ${c} goto t; r0 += 1; r0 *= 1; r0 /= 1; exit; t: r0 = 2; exit`,
    'to the larger side': (c) => `r0 = 0; if ${c} goto t; r0 = 1; exit; t: r0 += 2; r0 *= 1; r0 /= 1; exit`,
    'around what is chosen': (c) => `r0 = 2; if ${c} goto t; r0 = 1; t: exit`,
    'out of a loop': (c) => `r0 = 1; l: may_goto o; if ${c} goto t; r3 = r0; goto l; t: r0 = 2; o: exit`,
    'back in a loop': (c) => `r0 = 2; l: may_goto o; r3 = r0; if ${c} goto l; r0 = 1; o: exit`,
  };
  const VALUES = [0n, 1n, 0x7fff_ffffn, 0x8000_0000n, 2n ** 32n + 1n, 2n ** 63n, 2n ** 64n - 1n];

  for (const [shape, text] of Object.entries(SHAPES))
    it(shape, () => {
      const [interpreter, jit] = ENGINES.map((engine) => {
        using kernel = new TestKernel([], { engine, checked: false, mayGoto: { iterations: 5 } });
        return OPERATORS.flatMap((operator) =>
          [`r1 ${operator} r2`, `w1 ${operator} w2`].flatMap((condition) =>
            VALUES.flatMap((a) =>
              VALUES.map((b) => `${condition}, ${a}, ${b}: ${kernel.run(text(condition), a, b).r0}`),
            ),
          ),
        );
      });
      assert.deepEqual(jit, interpreter);
    });
});

it('an array has as many elements as it has: behind the last one is NULL', () => {
  const asm =
    '*(u32 *)(r10 - 4) = r1; r2 = r10; r2 += -4; r1 = MAP 0; call 1; if r0 == 0 goto out; r0 = *(u64 *)(r0 + 0); r0 += 1; out: exit';
  for (const engine of ENGINES) {
    using kernel = new TestKernel([{ type: 2, maxEntries: 3 }], { engine, checked: false });
    [11n, 22n, 33n].forEach((value, i) => {
      kernel.maps[0].update(
        new Uint8Array(Uint32Array.of(i).buffer),
        new Uint8Array(BigUint64Array.of(value).buffer),
      );
    });
    assert.deepEqual(
      [0, 2, 3, 4, -1].map((index) => kernel.run(asm, index).r0),
      [12n, 34n, 0n, 0n, 0n],
    );
  }
});

describe('a loop whose checks fail', () => {
  // r1: where it begins; 16 pages, of which some are present; results in registers, a slot of the stack, and the arena.
  const walk = (offset: number, step: number) => `
    r5 = MAP 0; r9 = r1; r6 = addr_space_cast(r1, 0, 1); r7 = 1; r8 = 0; *(u64 *)(r10 - 8) = 3
    l: may_goto out
    *(u64 *)(r6 + ${offset}) = r7
    r2 = *(u64 *)(r6 + ${offset}); r8 += r2; r8 *= 31
    r1 = *(u64 *)(r10 - 8); r1 += r7; call f; *(u64 *)(r10 - 8) = r0
    r2 = *(u32 *)(r6 + ${offset}); r8 ^= r2
    r7 += 1; r6 += ${step}; r6 &= 0xffff; r6 += r9; r6 = addr_space_cast(r6, 0, 1)
    goto l
    out: r0 = *(u64 *)(r10 - 8); r0 ^= r8; r0 += r7; exit
    f: r0 = r1; r0 <<= 3; r0 ^= r1; exit`;

  for (const jitOptions of [{}, { inlining: false }, { grouping: false }, { versions: false }])
    for (const low of [0n, 0xffff_0000n])
      it(`computes what the interpreter computes, at 0x${low.toString(16)} with ${JSON.stringify(jitOptions)}`, () => {
        const [interpreter, jit] = ENGINES.map((engine) => {
          const options: EmbeddedOptions = { checked: false, mayGoto: { iterations: 2_000 }, jitOptions };
          const start = START + low;
          using kernel = new TestKernel([{ ...ARENA, mapExtra: start }], { engine, ...options });
          const alloc = 'r2 = r1; r1 = MAP 0; r3 = 1; r4 = -1; r5 = 0; call bpf_arena_alloc_pages; exit';
          for (const page of [0, 1, 3, 4, 7, 9, 12, 15]) kernel.run(alloc, start + BigInt(page * PAGE));
          // Steps by which pointers are never, seldom and mostly aligned.
          const results: bigint[] = [];
          for (const [offset, step] of [
            [3, 1361],
            [0, 1361],
            [8, 1364],
            [-8, 1000],
          ])
            results.push(kernel.run(walk(offset, step), start).r0);
          return results;
        });
        assert.deepEqual(jit, interpreter);
      });

  it('goes from version to version by tail calls, so the stack does not grow', () => {
    const asm =
      'r5 = MAP 0; r1 = addr_space_cast(r1, 0, 1); r0 = 0; l: may_goto out; *(u64 *)(r1 + 0) = 1; r0 += 1; goto l; out: exit';
    using kernel = new TestKernel([ARENA], {
      engine: 'jit',
      checked: false,
      mayGoto: { iterations: 100_000_000 },
    });
    assert.equal(kernel.run(asm, START).r0, 100_000_000n);
  });

  it('reports each miss once, with how often it happened', () => {
    const asm =
      'r5 = MAP 0; r1 = addr_space_cast(r1, 0, 1); l: may_goto out; *(u64 *)(r1 + 0) = 1; goto l; out: r0 = 0; exit';
    for (const engine of ENGINES) {
      using kernel = new TestKernel([ARENA], {
        engine,
        checked: false,
        faults: 'report',
        mayGoto: { iterations: 500 },
      });
      const { faults } = kernel.run(asm, START + 5n);
      assert.deepEqual(
        faults.map(({ count, access, address, size }) => ({ count, access, address, size })),
        [{ count: 500, access: 'store', address: 5, size: 8 }],
        engine,
      );
    }
  });
});
