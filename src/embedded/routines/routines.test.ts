import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { random } from '../../jit/testdata/harness.ts';
import { MAP_TYPES } from '../../object/map-types.ts';
import { TestKernel } from '../testdata/harness.ts';

/**
 * Routines leave the same bytes behind as the JavaScript of the maps: the same operations in two kernels, one that compiles programs
 * with routines and one that interprets them, give the same results, and their maps cannot be told apart to the last byte.
 */

const ENGINES = ['interpreter', 'jit'] as const;
const SEED = Number(process.env.SEED ?? 1);
const OPERATIONS = 200;

const HASHES = ['hash', 'lru_hash', 'percpu_hash', 'lru_percpu_hash'] as const;
/** Bytes of keys and values: all remainders, and what is copied by a call. */
const SIZES = [
  [1, 1],
  [3, 5],
  [4, 8],
  [7, 12],
  [8, 16],
  [13, 40],
  [16, 136],
  [64, 200],
] as const;

/** A key whose first byte is the context's first word and whose others are 7, and a value that is all the second's low byte. */
function operation(call: string, valueSize: number): string {
  const fill = (at: number, size: number) =>
    Array.from({ length: size / 8 }, (_, i) => `*(u64 *)(r10 - ${at - 8 * i}) = r8`).join('; ');
  const [keys, values] = [72, 72 + Math.ceil(valueSize / 8) * 8];
  return `r6 = r1; r7 = r2; r9 = r3; r8 = 0x0707070707070707 ll; ${fill(keys, 72)};
    *(u8 *)(r10 - ${keys}) = r6; r8 = r7; r8 &= 255; r1 = 0x0101010101010101 ll; r8 *= r1;
    ${fill(values, values - keys)}; r2 = r10; r2 += -${keys}; r3 = r10; r3 += -${values}; r4 = r9;
    r1 = MAP 0; ${call}`;
}

const LOOKUP = 'call 1; if r0 == 0 goto none; r0 = *(u8 *)(r0 + 0); exit; none: r0 = -1; exit';
const UPDATE = 'call 2; exit';
const DELETE = 'call 3; exit';

describe('routines', () => {
  for (const name of HASHES)
    for (const [keySize, valueSize] of SIZES)
      it(`${name}, keys of ${keySize} and values of ${valueSize} bytes (seed ${SEED})`, () => {
        const map = { type: MAP_TYPES[name], keySize, valueSize, maxEntries: 9 };
        const [a, b] = ENGINES.map((engine) => {
          using kernel = new TestKernel([map], {
            engine,
            checked: false,
            cpus: name.includes('percpu') ? 2 : 1,
          });
          const below = random(SEED);
          const results = Array.from({ length: OPERATIONS }, () => {
            const call = [LOOKUP, UPDATE, UPDATE, DELETE][below(4)];
            const text = operation(call, valueSize);
            return kernel.run(text, below(16), below(256), [0, 0, 0, 1, 2, 3, 4, 2 ** 32][below(8)]).r0;
          });
          return { results, bytes: bytesOf(kernel) };
        });
        assert.deepEqual(b.results, a.results);
        assert.ok(Buffer.compare(b.bytes, a.bytes) === 0, 'the same bytes');
      });

  for (const name of ['array', 'percpu_array'] as const)
    for (const valueSize of [1, 8, 12, 136])
      it(`${name}, values of ${valueSize} bytes`, () => {
        const map = { type: MAP_TYPES[name], keySize: 4, valueSize, maxEntries: 3 };
        const [a, b] = ENGINES.map((engine) => {
          using kernel = new TestKernel([map], { engine, checked: false, cpus: 2 });
          const results = [0, 1, 2, 3, 0xffff_ffff].flatMap((index) =>
            [0, 1, 2, 3, 4, 2 ** 32].flatMap((flags) =>
              ['call 2; exit', LOOKUP].map((call) => {
                const text = operation(call, valueSize).replace(
                  /\*\(u8 \*\)\(r10 - 72\)/,
                  '*(u32 *)(r10 - 72)',
                );
                return kernel.run(text, index, index + flags, flags).r0;
              }),
            ),
          );
          return { results, bytes: bytesOf(kernel) };
        });
        assert.deepEqual(b.results, a.results);
        assert.ok(Buffer.compare(b.bytes, a.bytes) === 0, 'the same bytes');
      });

  const RECORD = [8, 24, 40, 64, 296] as const;
  for (const size of RECORD)
    it(`a ring buffer, records of ${size} bytes, to its end and around`, () => {
      const output = `r6 = r2; ${operation('exit', size).replace(/r1 = MAP 0; exit$/, '')}
        r2 = r3; r3 = ${size - 1}; r1 = MAP 0; r4 = r9; call 130; exit`;
      const reserve = `r7 = r1; r6 = r2; r1 = MAP 0; r2 = ${size}; r3 = 0; call 131; if r0 == 0 goto none;
        *(u64 *)(r0 + 0) = r7; r1 = r0; r2 = r6; call CALL; r0 = 0; exit; none: r0 = 1; exit`;
      const [a, b] = ENGINES.map((engine) => {
        using kernel = new TestKernel(
          [{ type: MAP_TYPES.ringbuf, keySize: 0, valueSize: 0, maxEntries: 4096 }],
          {
            engine,
            checked: false,
          },
        );
        const below = random(SEED);
        using reader = kernel.maps[0].reader();
        const results = Array.from({ length: 400 }, (_, i) => {
          if (i % 100 === 99) return reader.drain(() => true);
          const text = [output, reserve.replace('CALL', '132'), reserve.replace('CALL', '133')][below(3)];
          return kernel.run(text, i, below(4), text === output ? below(5) : 0).r0;
        });
        return { results, bytes: bytesOf(kernel) };
      });
      assert.deepEqual(b.results, a.results);
      assert.ok(Buffer.compare(b.bytes, a.bytes) === 0, 'the same bytes');
    });
});

/** All that the map has in kernel memory, its header first. */
function bytesOf({ kernel, maps: [map] }: TestKernel): Buffer {
  const { bytes } = kernel.memory;
  const end = map.region?.end ?? map.header;
  return Buffer.from(bytes.slice(map.header, end));
}
