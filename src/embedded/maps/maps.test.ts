import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BpfError } from '../../errors.ts';
import { useDiscard } from '../memory-pool.ts';
import { discardPages } from '../node.ts';
import { TestKernel } from '../testdata/harness.ts';
import type { MapAttributes } from './attributes.ts';

/** Array and hash maps: which can be created, and hash maps against a plain model. Step by step: the contract suite. */

useDiscard(discardPages);

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

const toBytes = (value: bigint, size: number) =>
  new Uint8Array(BigUint64Array.of(value).buffer).slice(0, size);
const toHex = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? 'ENOENT' : Buffer.from(bytes).toString('hex');

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
