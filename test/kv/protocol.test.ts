import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decode, encode } from '../../apps/kv/protocol/base64.ts';
import { NUMBER_BYTES, read, readI64, readU64, writeU64 } from '../../apps/kv/protocol/numbers.ts';
import { expiresAt } from '../../apps/kv/protocol/times.ts';
import { Tokens } from '../../apps/kv/protocol/tokens.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const value = () => (BigInt(read.high) << 32n) | BigInt(read.low);
const u64 = (text: string) => (readU64(bytes(text), 0, text.length) ? value() : undefined);
const i64 = (text: string) => (readI64(bytes(text), 0, text.length) ? BigInt.asIntN(64, value()) : undefined);

describe('numbers', () => {
  it('are read and written alike, all 64 bits', () => {
    const out = Buffer.alloc(NUMBER_BYTES);
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.integer({ min: 0, max: 63 }), (wide, shift) => {
        const number = wide >> BigInt(shift);
        assert.equal(u64(`${number}`), number);
        assert.equal(out.toString('latin1', 0, writeU64(out, 0, read.low, read.high)), `${number}`);
      }),
    );
  });

  it('are read with their sign', () => {
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (number) =>
        assert.equal(i64(`${number}`), number),
      ),
    );
  });

  for (const [text, unsigned, signed] of [
    ['', undefined, undefined],
    ['-', undefined, undefined],
    ['x', undefined, undefined],
    ['1x', undefined, undefined],
    ['+7', 7n, 7n],
    ['\t7\tx', 7n, 7n],
    ['-0', 0n, 0n],
    ['-1', undefined, -1n],
    ['18446744073709551616', undefined, undefined],
    ['9223372036854775808', 2n ** 63n, undefined],
    ['-9223372036854775809', 2n ** 63n - 1n, undefined],
    ['00000000000000000000000000000000000000001', 1n, 1n],
  ] as const) {
    it(`${JSON.stringify(text)} is what strtoull and strtoll take it for`, () => {
      assert.deepEqual([u64(text), i64(text)], [unsigned, signed]);
    });
  }
});

describe('base64', () => {
  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 180 }), (data) => {
        const text = Buffer.alloc(400);
        const end = encode(data, 0, data.length, text, 0);
        assert.equal(text.toString('latin1', 0, end), Buffer.from(data).toString('base64'));
        const back = new Uint8Array(200);
        assert.deepEqual(back.subarray(0, decode(text, 0, end, back)), data);
      }),
    );
  });
});

describe('times', () => {
  it('are relative up to thirty days, absolute beyond, and past when negative', () => {
    const cases = [0, -1, 1, 2_592_000, 2_592_001, 2_000_000_000].map((time) => expiresAt(time, 1_000_000));
    assert.deepEqual(cases, [0, 1, 1_000_001, 3_592_000, 2_592_001, 2_000_000_000]);
  });
});

describe('lines', () => {
  const tokens = new Tokens();
  const words = (line: string) => {
    const data = bytes(line);
    if (!tokens.read(data, 0, data.length)) return undefined;
    return Array.from({ length: tokens.count }, (_, i) =>
      data.toString('latin1', tokens.start[i], tokens.end[i]),
    );
  };

  it('are taken apart at spaces, and end with a newline', () => {
    assert.deepEqual(words(' get  a \r\n'), ['get', 'a']);
    assert.deepEqual(words('get a\n'), ['get', 'a']);
    assert.equal(words('get a\r'), undefined);
  });

  it('lose one carriage return, unless they are nothing else', () => {
    assert.deepEqual(words('get a\r\r\n'), ['get', 'a\r']);
    assert.deepEqual(words('\r\n'), ['\r']);
  });

  it('end early at a zero byte', () => {
    assert.deepEqual(words('get a\0b c\r\n'), ['get', 'a']);
  });

  it('have 23 words that count', () => {
    assert.equal(words(`${'a '.repeat(50)}\n`)?.length, 23);
  });
});
