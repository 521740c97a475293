import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Bytes } from './bytes.ts';

/** Numbers as WebAssembly writes them: LEB128, read back by its definition. */

function written(write: (b: Bytes) => void): number[] {
  const b = new Bytes(1);
  write(b);
  return [...b.view];
}

/** The value of groups of seven bits, lowest first; all but the last have the top bit set. */
function read(bytes: readonly number[], signed: boolean): bigint {
  let value = 0n;
  bytes.forEach((byte, i) => {
    assert.equal(byte >= 0x80, i < bytes.length - 1, 'only the last byte ends it');
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
  });
  return signed ? BigInt.asIntN(7 * bytes.length, value) : value;
}

/** No shorter form says the same. */
function isShortest(bytes: readonly number[], signed: boolean): boolean {
  if (bytes.length === 1) return true;
  const last = bytes[bytes.length - 1];
  const before = bytes[bytes.length - 2];
  if (!signed) return last !== 0;
  return !(last === 0 && (before & 0x40) === 0) && !(last === 0x7f && (before & 0x40) !== 0);
}

describe('an integer is written in as few bytes as it needs', () => {
  const examples: readonly [what: string, write: (b: Bytes) => void, bytes: readonly number[]][] = [
    ['0', (b) => b.unsigned(0), [0]],
    ['127, unsigned', (b) => b.unsigned(127), [0x7f]],
    ['128, unsigned', (b) => b.unsigned(128), [0x80, 1]],
    ['624,485, unsigned (the example of the specification)', (b) => b.unsigned(624_485), [0xe5, 0x8e, 0x26]],
    ['63, signed', (b) => b.signed(63), [0x3f]],
    ['64, signed', (b) => b.signed(64), [0xc0, 0]],
    ['−64, signed', (b) => b.signed(-64), [0x40]],
    ['−65, signed', (b) => b.signed(-65), [0xbf, 0x7f]],
    ['−2^31, signed', (b) => b.signed(-(2 ** 31)), [0x80, 0x80, 0x80, 0x80, 0x78]],
    ['−2^63', (b) => b.signed64(-(2n ** 63n)), [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]],
  ];
  for (const [what, write, bytes] of examples) it(what, () => assert.deepEqual(written(write), bytes));
});

describe('what is written is what is read', () => {
  it('unsigned integers below 2^53', () => {
    const any = fc.oneof(fc.nat(), fc.integer({ min: 0, max: 2 ** 32 }), fc.maxSafeNat());
    fc.assert(
      fc.property(any, (value) => {
        const bytes = written((b) => b.unsigned(value));
        return read(bytes, false) === BigInt(value) && isShortest(bytes, false);
      }),
    );
  });

  it('signed integers of 32 bits', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const bytes = written((b) => b.signed(value));
        return read(bytes, true) === BigInt(value) && isShortest(bytes, true);
      }),
    );
  });

  it('integers of 64 bits, an unsigned one as the signed one with its bits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (value) => {
        const bytes = written((b) => b.signed64(value));
        return read(bytes, true) === BigInt.asIntN(64, value) && isShortest(bytes, true);
      }),
    );
  });
});

it('it grows as it is written to, and a name stands behind its length', () => {
  const b = new Bytes(1);
  b.byte(9);
  b.name('é€');
  b.append(new Uint8Array(1000).fill(7));
  assert.deepEqual([...b.view.subarray(0, 7)], [9, 5, 0xc3, 0xa9, 0xe2, 0x82, 0xac]);
  assert.equal(b.length, 1007);
  assert.ok(b.view.subarray(7).every((byte) => byte === 7));
});
