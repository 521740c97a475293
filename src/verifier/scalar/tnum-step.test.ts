import assert from 'node:assert/strict';
import { it } from 'node:test';
import { stepHigh, Tnum, tnumStep } from './tnum.ts';

/** All tnums of four bits, at each place in 64. */

const halves = (value: bigint) =>
  [Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))] as const;

function step(value: bigint, mask: bigint, z: bigint): bigint {
  const lo = tnumStep(new Tnum(...halves(value), ...halves(mask)), ...halves(z));
  return (BigInt(stepHigh >>> 0) << 32n) | BigInt(lo >>> 0);
}

it('the next number of a tnum is the smallest that is above', () => {
  for (let shift = 0n; shift <= 60n; shift++) {
    for (let mask = 0; mask < 16; mask++) {
      for (let value = 0; value < 16; value++) {
        if ((value & mask) !== 0) continue;
        const members = Array.from({ length: 16 }, (_, i) => i).filter((i) => (i & ~mask) === value);
        for (let z = 0; z < 16; z++) {
          const expected = z < value ? value : (members.find((each) => each > z) ?? value | mask);
          assert.equal(
            step(BigInt(value) << shift, BigInt(mask) << shift, BigInt(z) << shift),
            BigInt(expected) << shift,
            `value ${value}, mask ${mask}, z ${z}, at bit ${shift}`,
          );
        }
      }
    }
  }
});
