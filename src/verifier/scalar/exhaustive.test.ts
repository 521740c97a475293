import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JumpOp, Width } from '../../isa/opcodes.ts';
import { alu, type ScalarOp } from './alu.ts';
import { branchTaken, refine } from './compare.ts';
import { bswap, constant, contains, fromSignedRange, type Scalar } from './scalar.ts';
import { Tnum, tnumAdd, tnumAnd, tnumIn, tnumMul, tnumOr, tnumSub, tnumUnion, tnumXor } from './tnum.ts';

/** All small cases: every number of four bits, every range of numbers around zero. */

const BITS = 4;
const RANGE = 4;

/** Every tnum of four bits, with the numbers that it describes. */
const TNUMS = Array.from({ length: 1 << BITS }, (_, mask) => mask).flatMap((mask) =>
  Array.from({ length: 1 << BITS }, (_, value) => value)
    .filter((value) => (value & mask) === 0)
    .map((value) => ({
      tnum: new Tnum(value, 0, mask, 0),
      numbers: Array.from({ length: 1 << BITS }, (_, n) => n).filter((n) => (n & ~mask) === value),
    })),
);

const describes = ({ valueLo, valueHi, maskLo, maskHi }: Tnum, n: bigint): boolean => {
  const low = Number(BigInt.asIntN(32, n));
  const high = Number(BigInt.asIntN(32, n >> 32n));
  return (low & ~maskLo) === valueLo && (high & ~maskHi) === valueHi;
};

const OPERATIONS: Readonly<
  Record<string, readonly [(a: Tnum, b: Tnum) => Tnum, (a: number, b: number) => number]>
> = {
  add: [tnumAdd, (a, b) => a + b],
  sub: [tnumSub, (a, b) => a - b],
  mul: [tnumMul, (a, b) => a * b],
  and: [tnumAnd, (a, b) => a & b],
  or: [tnumOr, (a, b) => a | b],
  xor: [tnumXor, (a, b) => a ^ b],
};

describe('known bits of four', () => {
  for (const [name, [operate, compute]] of Object.entries(OPERATIONS)) {
    it(`hold after ${name}`, () => {
      for (const a of TNUMS)
        for (const b of TNUMS) {
          const result = operate(a.tnum, b.tnum);
          for (const x of a.numbers)
            for (const y of b.numbers)
              if (!describes(result, BigInt(compute(x, y)))) assert.fail(`${x} ${name} ${y}`);
        }
    });
  }

  it('of a union hold for both; inclusion is that of the numbers', () => {
    for (const a of TNUMS)
      for (const b of TNUMS) {
        const union = tnumUnion(a.tnum, b.tnum);
        for (const n of [...a.numbers, ...b.numbers]) assert.ok(describes(union, BigInt(n)));
        assert.equal(
          tnumIn(a.tnum, b.tnum),
          b.numbers.every((n) => a.numbers.includes(n)),
        );
      }
  });
});

const SMALL = Array.from({ length: 2 * RANGE + 1 }, (_, i) => i - RANGE);
const RANGES = SMALL.flatMap((min) =>
  SMALL.filter((max) => max >= min).map((max) => ({
    scalar: min === max ? constant(BigInt(min)) : fromSignedRange(min, max),
    numbers: SMALL.filter((n) => n >= min && n <= max).map(BigInt),
  })),
);

const u = (width: number, value: bigint) => BigInt.asUintN(width, value);
const s = (width: number, value: bigint) => BigInt.asIntN(width, value);
const holds = (scalar: Scalar, value: bigint) =>
  contains(scalar, Number(s(32, value)), Number(s(32, value >> 32n)));

/** Operations as RFC 9669 has them, on unsigned operands of the width. */
const ARITHMETIC: Partial<Record<ScalarOp, (a: bigint, b: bigint, width: Width) => bigint>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  div: (a, b) => (b === 0n ? 0n : a / b),
  mod: (a, b) => (b === 0n ? a : a % b),
  lsh: (a, b, width) => a << (b & BigInt(width - 1)),
  rsh: (a, b, width) => a >> (b & BigInt(width - 1)),
  arsh: (a, b, width) => s(width, a) >> (b & BigInt(width - 1)),
};

const JUMPS: Readonly<Record<JumpOp, (a: bigint, b: bigint) => boolean>> = {
  jeq: (a, b) => a === b,
  jne: (a, b) => a !== b,
  jset: (a, b) => (a & b) !== 0n,
  jgt: (a, b) => a > b,
  jge: (a, b) => a >= b,
  jlt: (a, b) => a < b,
  jle: (a, b) => a <= b,
  jsgt: (a, b) => a > b,
  jsge: (a, b) => a >= b,
  jslt: (a, b) => a < b,
  jsle: (a, b) => a <= b,
};

describe('ranges around zero', () => {
  for (const [op, compute] of Object.entries(ARITHMETIC) as [ScalarOp, (typeof ARITHMETIC)['add'] & {}][]) {
    it(`hold after ${op} of both widths`, () => {
      for (const width of [32, 64] as const)
        for (const a of RANGES)
          for (const b of RANGES) {
            const result = alu(op, width, a.scalar, b.scalar);
            for (const x of a.numbers)
              for (const y of b.numbers) {
                const value = u(width, compute(u(width, x), u(width, y), width));
                if (!holds(result, value)) assert.fail(`${x} ${op}${width} ${y} is ${value}`);
              }
          }
    });
  }

  for (const [op, compare] of Object.entries(JUMPS) as [JumpOp, (a: bigint, b: bigint) => boolean][]) {
    it(`lose no number on either side of ${op}`, () => {
      const view = op.startsWith('js') && op !== 'jset' ? s : u;
      for (const width of [32, 64] as const)
        for (const a of RANGES)
          for (const b of RANGES) {
            const decided = branchTaken(op, width, a.scalar, b.scalar);
            const sides = [true, false].map((taken) => refine(op, width, a.scalar, b.scalar, taken));
            for (const x of a.numbers)
              for (const y of b.numbers) {
                const taken = compare(view(width, x), view(width, y));
                const side = sides[taken ? 0 : 1];
                const right = decided === undefined || decided === taken;
                if (!right || !holds(side.a, u(64, x)) || !holds(side.b, u(64, y)))
                  assert.fail(`${x} ${op}${width} ${y}`);
              }
          }
    });
  }

  it('hold after their bytes are reversed', () => {
    for (const { scalar, numbers } of RANGES)
      for (const bits of [16, 32, 64])
        for (const n of numbers) {
          const bytes = Array.from({ length: bits / 8 }, (_, i) => (u(64, n) >> BigInt(8 * i)) & 0xffn);
          const reversed = bytes.reduce((all, byte) => (all << 8n) | byte, 0n);
          assert.ok(holds(bswap(scalar, bits), reversed), `bswap${bits} of ${n}`);
        }
  });
});
