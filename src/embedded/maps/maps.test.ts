import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { BpfError } from '../../errors.ts';
import { TestKernel } from '../testdata/harness.ts';
import type { EmbeddedMap, MapAttributes } from './map.ts';

/** Array and hash maps: what Linux 6.18 answered to user space and to programs, and hash maps against a plain model. */

const HASH = 1;
const ARRAY = 2;

/** Creation: the attributes that differ from a map of 4 elements of 8 bytes with 4-byte keys. */
const CREATION: readonly [Partial<MapAttributes>, array: string, hash: string][] = [
  [{}, 'ok', 'ok'],
  [{ keySize: 0 }, 'EINVAL', 'EINVAL'],
  [{ keySize: 1 }, 'EINVAL', 'ok'],
  [{ keySize: 8 }, 'EINVAL', 'ok'],
  [{ keySize: 513 }, 'EINVAL', 'ok'],
  [{ keySize: 0x40_0000 }, 'EINVAL', 'E2BIG'],
  [{ valueSize: 0 }, 'EINVAL', 'EINVAL'],
  [{ valueSize: 1 }, 'ok', 'ok'],
  [{ valueSize: 0x3f_ffcb }, 'ok', 'ok'],
  [{ valueSize: 0x3f_ffcc }, 'ok', 'E2BIG'],
  [{ valueSize: 0x8000_0000 }, 'E2BIG', 'E2BIG'],
  [{ valueSize: 0x8000_0000, keySize: 8 }, 'EINVAL', 'E2BIG'],
  [{ maxEntries: 0 }, 'EINVAL', 'EINVAL'],
  [{ maxEntries: 0x800_0001 }, 'ok', 'E2BIG'],
  [{ maxEntries: 0xffff_ffff }, 'ENOMEM', 'E2BIG'],
  [{ mapExtra: 1n }, 'EINVAL', 'EINVAL'],
  [{ mapExtra: 4096n }, 'EINVAL', 'EINVAL'],
  [{ flags: 0x180 }, 'EINVAL', 'EINVAL'],
  [{ flags: 0x18 }, 'EINVAL', 'EINVAL'],
  [{ flags: 0x88 }, 'ok', 'ok'],
  [{ flags: 0x110 }, 'ok', 'ok'],
];

const FLAGS = { [ARRAY]: [2, 3, 4, 7, 8, 10, 12], [HASH]: [0, 2, 3, 4, 6, 7, 8] };

function outcome(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    assert.ok(error instanceof BpfError, String(error));
    return error.code;
  }
}

describe('creating a map', () => {
  for (const [attributes, array, hash] of CREATION) {
    const text = Object.entries(attributes).map(([name, value]) => `${name} 0x${value.toString(16)}`);
    it(`with ${text.join(', ') || 'nothing special'}: array ${array}, hash ${hash}`, () => {
      using test = new TestKernel([]);
      const before = test.kernel.memory.allocated;
      const create = (type: number) => {
        const map = { name: 'map', keySize: 4, valueSize: 8, maxEntries: 4, flags: 0, mapExtra: 0n };
        test.kernel.closeMap(test.kernel.createMap({ ...map, type, ...attributes }));
      };
      assert.deepEqual([outcome(() => create(ARRAY)), outcome(() => create(HASH))], [array, hash]);
      assert.equal(test.kernel.memory.allocated, before);
    });
  }

  for (const type of [ARRAY, HASH] as const) {
    it(`type ${type} takes the flags ${FLAGS[type].map((bit) => `1 << ${bit}`).join(', ')} and no others`, () => {
      const bits = Array.from({ length: 32 }, (_, bit) => bit);
      const taken = bits.filter(
        (bit) => outcome(() => new TestKernel([{ type, flags: (1 << bit) >>> 0 }])) === 'ok',
      );
      assert.deepEqual(taken, FLAGS[type]);
    });
  }
});

/** Operations on a map with values of 8 bytes, and what Linux answered to each. */
interface Sequence {
  name: string;
  type: number;
  keySize: number;
  maxEntries: number;
  flags: number;
  steps: [operation: string, args: string, result: string][];
}

const LOOKUP = '*(u64 *)(r10 - 8) = r1; r2 = r10; r2 += -8; r1 = MAP 0; call 1; if r0 == 0 goto none;';
const PROGRAMS: Readonly<Record<string, string>> = {
  lookup: `${LOOKUP} r0 = *(u64 *)(r0 + 0); exit; none: r0 = -1; exit`,
  update:
    '*(u64 *)(r10 - 8) = r1; *(u64 *)(r10 - 16) = r2; r4 = r3; r2 = r10; r2 += -8; r3 = r10; r3 += -16; r1 = MAP 0; call 2; exit',
  delete: '*(u64 *)(r10 - 8) = r1; r2 = r10; r2 += -8; r1 = MAP 0; call 3; exit',
  write: `r6 = r2; ${LOOKUP} *(u64 *)(r0 + 0) = r6; r0 = 0; exit; none: r0 = -1; exit`,
};

const toBytes = (value: bigint, size: number) =>
  new Uint8Array(BigUint64Array.of(value).buffer).slice(0, size);
const toHex = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? 'ENOENT' : Buffer.from(bytes).toString('hex');

/** What a user-space operation answers: bytes in hex, `ok` or the errno. */
function asUser(map: EmbeddedMap, operation: string, [key = 0n, value = 0n, flags = 0n]: bigint[]): string {
  const keyBytes = toBytes(key, map.keySize);
  let answer = 'ok';
  const code = outcome(() => {
    if (operation === 'user_lookup') answer = toHex(map.lookup(keyBytes));
    else if (operation === 'user_next') answer = toHex(map.nextKey(keyBytes));
    else if (operation === 'user_first') answer = toHex(map.nextKey());
    else if (operation === 'user_delete') answer = map.delete(keyBytes) ? 'ok' : 'ENOENT';
    else if (operation === 'user_update') map.update(keyBytes, toBytes(value, 8), Number(flags));
    else map.freeze();
  });
  return code === 'ok' ? answer : code;
}

function asProgram(test: TestKernel, operation: string, args: bigint[]): string {
  try {
    return `0x${test.run(PROGRAMS[operation], ...args).r0.toString(16)}`;
  } catch (error) {
    return `refused: ${(error as Error).message.replace(/.*: /, '')}`;
  }
}

const sequences: Sequence[] = JSON.parse(
  readFileSync(new URL('../testdata/maps.json', import.meta.url), 'utf8'),
);

describe('operations answer as on Linux', () => {
  for (const { name, steps, ...attributes } of sequences) {
    it(name, () => {
      using test = new TestKernel([attributes]);
      steps.forEach(([operation, args, result], i) => {
        const numbers = args === '' ? [] : args.split(' ').map(BigInt);
        const isUser = operation.startsWith('user_');
        const answer = isUser
          ? asUser(test.maps[0], operation, numbers)
          : asProgram(test, operation, numbers);
        assert.equal(answer, result, `step ${i}: ${operation}(${args})`);
      });
    });
  }
});

it('a hash map is what a JavaScript Map is, for 100,000 random operations, and hands its room out again', () => {
  const maxEntries = 64;
  using test = new TestKernel([{ type: HASH, keySize: 6, maxEntries }]);
  const [map] = test.maps;
  const model = new Map<string, string>();
  let state = 4711;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor(((state >>> 8) / 2 ** 24) * below);
  };
  for (let operation = 0; operation < 100_000; operation++) {
    const key = toBytes(BigInt(random(100)), 6);
    const value = toBytes(BigInt(operation), 8);
    const flags = random(3);
    const known = model.has(toHex(key));
    switch (random(3)) {
      case 0: {
        const full = !known && model.size === maxEntries;
        const refused = flags === 0 ? full : flags === 1 ? known || full : !known;
        assert.equal(outcome(() => map.update(key, value, flags)) !== 'ok', refused);
        if (!refused) model.set(toHex(key), toHex(value));
        break;
      }
      case 1:
        assert.equal(map.delete(key), model.delete(toHex(key)));
        break;
      default:
        assert.equal(toHex(map.lookup(key)), model.get(toHex(key)) ?? 'ENOENT');
    }
  }
  assert.deepEqual([...map.keys()].map(toHex).sort(), [...model.keys()].sort());
});
