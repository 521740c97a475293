import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../../fuzz/generate.ts';
import type { JumpOp, Width } from '../../isa/opcodes.ts';
import { alu, neg, type ScalarOp } from './alu.ts';
import { branchTaken, refine } from './compare.ts';
import {
  constant,
  contains,
  fromSignedRange,
  type Scalar,
  sext,
  truncate,
  UNKNOWN,
  zext32,
} from './scalar.ts';

/**
 * Soundness by brute force: numbers are drawn, and narrowed by random comparisons and operations beside the Scalars that
 * describe them; whatever is done to the numbers must stay inside what is known of them.
 */

const SEED = Number(process.env.SEED ?? 20261124);
const ROUNDS = 30_000;

const OPS: readonly ScalarOp[] = [
  'add',
  'sub',
  'mul',
  'div',
  'or',
  'and',
  'lsh',
  'rsh',
  'mod',
  'xor',
  'arsh',
];
const JUMPS: readonly JumpOp[] = [
  'jeq',
  'jne',
  'jset',
  'jgt',
  'jge',
  'jlt',
  'jle',
  'jsgt',
  'jsge',
  'jslt',
  'jsle',
];

const u = (width: number, value: bigint) => BigInt.asUintN(width, value);
const s = (width: number, value: bigint) => BigInt.asIntN(width, value);

/** What an instruction computes; 32-bit results are zero-extended. */
function compute(op: ScalarOp, width: Width, a: bigint, b: bigint): bigint {
  const [x, y] = [u(width, a), u(width, b)];
  const by = y & BigInt(width - 1);
  switch (op) {
    case 'add':
      return u(width, x + y);
    case 'sub':
      return u(width, x - y);
    case 'mul':
      return u(width, x * y);
    case 'div':
      return y === 0n ? 0n : x / y;
    case 'mod':
      return y === 0n ? x : x % y;
    case 'or':
      return x | y;
    case 'and':
      return x & y;
    case 'xor':
      return x ^ y;
    case 'lsh':
      return u(width, x << by);
    case 'rsh':
      return x >> by;
    case 'arsh':
      return u(width, s(width, x) >> by);
  }
}

function jumps(op: JumpOp, width: Width, a: bigint, b: bigint): boolean {
  const signed = op.startsWith('js') && op !== 'jset';
  const [x, y] = signed ? [s(width, a), s(width, b)] : [u(width, a), u(width, b)];
  switch (op) {
    case 'jeq':
      return x === y;
    case 'jne':
      return x !== y;
    case 'jset':
      return (x & y) !== 0n;
    case 'jgt':
    case 'jsgt':
      return x > y;
    case 'jge':
    case 'jsge':
      return x >= y;
    case 'jlt':
    case 'jslt':
      return x < y;
    default:
      return x <= y;
  }
}

/** A number, and something known of it. */
interface Known {
  readonly value: bigint;
  readonly scalar: Scalar;
}

const EDGES = [
  0n,
  1n,
  2n,
  7n,
  8n,
  255n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  1n << 63n,
  (1n << 63n) - 1n,
  -1n,
  -8n,
];

function anyValue(random: Random): bigint {
  const edge = random.pick(EDGES) + BigInt(random.below(5) - 2);
  if (random.chance(50)) return u(64, edge);
  return u(64, (BigInt(random.next()) << 32n) | BigInt(random.next())) >> BigInt(random.below(64));
}

function holds(known: Known, what: () => string): void {
  const inside = contains(known.scalar, Number(s(32, known.value)), Number(s(32, known.value >> 32n)));
  assert.ok(inside, `${what()}: ${known.value.toString(16)} left what is known (seed ${SEED})`);
}

/** Narrows what is known by comparing with other numbers, as a program would. */
function learn(random: Random, known: Known): Known {
  const other = anyValue(random);
  const op = random.pick(JUMPS);
  const width = random.pick([32, 64] as const);
  const taken = jumps(op, width, known.value, other);
  return { value: known.value, scalar: refine(op, width, known.scalar, constant(other), taken).a };
}

function anyKnown(random: Random): Known {
  const value = anyValue(random);
  let known: Known = { value, scalar: random.chance(15) ? constant(value) : UNKNOWN };
  for (let i = random.below(4); i > 0; i--) known = learn(random, known);
  if (random.chance(20)) known = { value: u(32, known.value), scalar: zext32(known.scalar) };
  if (random.chance(20)) {
    const mask = anyValue(random);
    known = { value: known.value & mask, scalar: alu('and', 64, known.scalar, constant(mask)) };
  }
  return known;
}

describe(`what is known of a number holds for the number (seed ${SEED})`, () => {
  it('after arithmetic of both widths', () => {
    const random = new Random(SEED);
    for (let i = 0; i < ROUNDS; i++) {
      const [a, b] = [anyKnown(random), anyKnown(random)];
      const op = random.pick(OPS);
      const width = random.pick([32, 64] as const);
      const shift = op === 'lsh' || op === 'rsh' || op === 'arsh';
      const by = shift ? BigInt(random.below(width)) : b.value;
      const right = shift ? constant(by) : b.scalar;
      const result = { value: compute(op, width, a.value, by), scalar: alu(op, width, a.scalar, right) };
      holds(result, () => `${op}${width} of ${a.value} and ${by}`);
      holds({ value: u(width, -a.value), scalar: neg(width, a.scalar) }, () => `neg${width} of ${a.value}`);
    }
  });

  it('after truncation and sign extension', () => {
    const random = new Random(SEED + 1);
    for (let i = 0; i < ROUNDS; i++) {
      const { value, scalar } = anyKnown(random);
      const bytes = random.pick([1, 2, 4]);
      holds(
        { value: u(8 * bytes, value), scalar: truncate(scalar, bytes) },
        () => `${bytes} bytes of ${value}`,
      );
      const extended = u(64, s(8 * bytes, value));
      holds({ value: extended, scalar: sext(scalar, 8 * bytes) }, () => `s${8 * bytes} of ${value}`);
      holds({ value: u(32, value), scalar: zext32(scalar) }, () => `zero extension of ${value}`);
    }
  });

  it('on the side of a jump that it takes, and no jump is decided wrongly', () => {
    const random = new Random(SEED + 2);
    let decided = 0;
    for (let i = 0; i < ROUNDS; i++) {
      const [a, b] = [anyKnown(random), anyKnown(random)];
      const op = random.pick(JUMPS);
      const width = random.pick([32, 64] as const);
      const taken = jumps(op, width, a.value, b.value);
      const known = branchTaken(op, width, a.scalar, b.scalar);
      if (known !== undefined) {
        decided++;
        assert.equal(known, taken, `${a.value} ${op}${width} ${b.value} (seed ${SEED})`);
      }
      const refined = refine(op, width, a.scalar, b.scalar, taken);
      holds({ value: a.value, scalar: refined.a }, () => `left of ${a.value} ${op}${width} ${b.value}`);
      holds({ value: b.value, scalar: refined.b }, () => `right of ${a.value} ${op}${width} ${b.value}`);
    }
    assert.ok(decided > ROUNDS / 10, `${decided} jumps decided`);
  });
});

it('a range of signed numbers is what it says', () => {
  const scalar = fromSignedRange(-4095, 100);
  assert.deepEqual(
    [scalar.smin(), scalar.smax(), scalar.umin(), scalar.umax()],
    [-4095n, 100n, 0n, 2n ** 64n - 1n],
  );
});
