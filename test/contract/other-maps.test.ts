import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MAP_TYPES } from '../../src/object/map-types.ts';
import { onAllEngines, outcome } from './kernels.ts';

/** Queues, stacks, bloom filters and tries of prefixes, as user space and programs see them on both kernels. */

const NO_KEY = new Uint8Array(0);
const u64 = (value: number) => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
const number = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : Number(new DataView(bytes.buffer).getBigUint64(0, true));
const signed = (value: bigint) => Number(BigInt.asIntN(64, value));
const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');

const PUSH = '*(u64 *)(r10 - 8) = r1; r3 = r2; r2 = r10; r2 += -8; r1 = MAP 0; call 87; exit';
/** The value, or the errno plus what the buffer holds then. */
const POP = `*(u64 *)(r10 - 8) = r1; r2 = r10; r2 += -8; r1 = MAP 0; call 88; if r0 != 0 goto bad; r0 = *(u64 *)(r10 - 8);
  exit; bad: r1 = *(u64 *)(r10 - 8); r0 += r1; exit`;
const PEEK = POP.replace('call 88', 'call 89');

onAllEngines('queues and stacks', (kernel) => {
  const ORDER = { queue: [1, 2, 3], stack: [3, 2, 1] } as const;
  for (const name of ['queue', 'stack'] as const) {
    const open = () => kernel.bench([{ type: MAP_TYPES[name], keySize: 0, maxEntries: 3 }]);

    it(`a ${name} gives its values to programs and user space in order`, () => {
      using bench = open();
      const [map] = bench.maps;
      for (const value of [1, 2, 3]) assert.equal(signed(bench.run(PUSH, value, 0)), 0);
      assert.equal(signed(bench.run(PUSH, 4, 0)), -7);
      assert.equal(signed(bench.run(PEEK, 100)), ORDER[name][0]);
      assert.equal(number(map.lookup(NO_KEY)), ORDER[name][0]);
      assert.equal(number(map.lookupAndDelete(NO_KEY)), ORDER[name][0]);
      assert.deepEqual([signed(bench.run(POP, 100)), signed(bench.run(POP, 100))], ORDER[name].slice(1));
      assert.equal(map.lookup(NO_KEY), undefined);
      assert.equal(map.lookupAndDelete(NO_KEY), undefined);
    });

    it(`an empty ${name} fills the program's buffer with zeroes`, () => {
      using bench = open();
      assert.deepEqual([signed(bench.run(POP, 100)), signed(bench.run(PEEK, 100))], [-2, -2]);
    });

    it(`a full ${name} makes room for BPF_EXIST by giving up its oldest value`, () => {
      using bench = open();
      const [map] = bench.maps;
      for (const value of [1, 2, 3]) map.update(NO_KEY, u64(value));
      assert.equal(
        outcome(() => map.update(NO_KEY, u64(4))),
        'E2BIG',
      );
      map.update(NO_KEY, u64(4), 2);
      assert.equal(signed(bench.run(PUSH, 5, 2)), 0);
      const rest = [0, 0, 0, 0].map(() => number(map.lookupAndDelete(NO_KEY)));
      assert.deepEqual(rest, name === 'queue' ? [3, 4, 5, undefined] : [5, 4, 3, undefined]);
    });

    it(`a ${name} refuses other flags and what needs keys`, () => {
      using bench = open();
      const [map] = bench.maps;
      for (const flags of [1, 3, 4])
        assert.equal(
          outcome(() => map.update(NO_KEY, u64(1), flags)),
          'EINVAL',
        );
      for (const flags of [1, 3, 8, 2 ** 32]) assert.equal(signed(bench.run(PUSH, 1, flags)), -22);
      assert.equal(
        outcome(() => map.delete(NO_KEY)),
        'EINVAL',
      );
      assert.equal(
        outcome(() => map.nextKey()),
        'EINVAL',
      );
      assert.equal(
        outcome(() => [...map.lookupBatches()]),
        'ENOTSUPP',
      );
      assert.equal(
        outcome(() => map.contains(u64(1))),
        'EOPNOTSUPP',
      );
    });
  }
});

onAllEngines('bloom filters', (kernel) => {
  const open = (settings = {}) =>
    kernel.bench([{ type: MAP_TYPES.bloom_filter, keySize: 0, maxEntries: 100, ...settings }]);

  it('a bloom filter knows all that was put in, and few others', () => {
    using bench = open({ mapExtra: 3n });
    const [map] = bench.maps;
    for (let i = 0; i < 100; i++) map.update(NO_KEY, u64(i));
    for (let i = 0; i < 100; i++) assert.ok(map.contains(u64(i)));
    let others = 0;
    for (let i = 1000; i < 2000; i++) if (map.contains(u64(i))) others++;
    assert.ok(others < 300, `${others} of 1000`);
  });

  it('a bloom filter takes values only', () => {
    using bench = open();
    const [map] = bench.maps;
    for (const flags of [1, 2, 3, 4])
      assert.equal(
        outcome(() => map.update(NO_KEY, u64(1), flags)),
        'EINVAL',
      );
    assert.equal(
      outcome(() => map.delete(NO_KEY)),
      'EOPNOTSUPP',
    );
    assert.equal(
      outcome(() => map.nextKey()),
      'EOPNOTSUPP',
    );
    assert.equal(
      outcome(() => map.lookupAndDelete(NO_KEY)),
      'ENOTSUPP',
    );
  });
});

/** A prefix of up to 32 bits. */
function prefix(length: number, address: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint32(4, address);
  return bytes;
}

onAllEngines('tries of prefixes', (kernel) => {
  const open = (maxEntries: number) =>
    kernel.bench([{ type: MAP_TYPES.lpm_trie, keySize: 8, maxEntries, flags: 1 }]);

  it('the longest prefix that an address starts with is found, for thousands of random operations', () => {
    using bench = open(50);
    const [map] = bench.maps;
    const seed = 20;
    let state = seed;
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor(((state >>> 8) / 2 ** 24) * below);
    };
    const model = new Map<string, { length: number; address: number; value: number }>();
    const masked = (length: number, address: number) =>
      length === 0 ? 0 : (address & (-1 << (32 - length))) >>> 0;
    for (let step = 0; step < 4000; step++) {
      const length = random(9) * 4;
      const address = (random(2) << 31) | (random(4) << 24) | (random(2) << 20) | random(4);
      const name = `${length} ${masked(length, address)}`;
      const action = random(4);
      if (action === 0) {
        const code = outcome(() => map.update(prefix(length, address), u64(step)));
        const full = !model.has(name) && model.size === 50;
        assert.equal(code, full ? 'ENOSPC' : 'ok', `seed ${seed}, step ${step}`);
        if (!full) model.set(name, { length, address: masked(length, address), value: step });
      } else if (action === 1) {
        assert.equal(map.delete(prefix(length, address)), model.delete(name), `seed ${seed}, step ${step}`);
      } else {
        const best = [...model.values()]
          .filter((each) => each.length <= length && masked(each.length, address) === each.address)
          .sort((a, b) => b.length - a.length)[0];
        assert.equal(number(map.lookup(prefix(length, address))), best?.value, `seed ${seed}, step ${step}`);
      }
    }
    const found = [...map.keys()].map((key) => {
      const view = new DataView(key.buffer);
      return `${view.getUint32(0, true)} ${masked(view.getUint32(0, true), view.getUint32(4))}`;
    });
    assert.deepEqual(found.sort(), [...model.keys()].sort());
  });

  it('keys come in the order of Linux: what starts with a prefix before it', () => {
    using bench = open(20);
    const [map] = bench.maps;
    const entries = [
      [0, 0],
      [1, 0],
      [1, 0x8000_0000],
      [3, 0x2000_0000],
      [8, 0x2100_0000],
      [8, 0x2200_0000],
      [4, 0x2000_0000],
      [8, 0xff00_0000],
    ];
    for (const [length, address] of entries) map.update(prefix(length, address), u64(1));
    const order = [...map.keys()].map((key) => `${key[0]}/${hex(key.slice(4, 5))}`);
    assert.deepEqual(order, ['8/21', '8/22', '4/20', '3/20', '1/00', '8/ff', '1/80', '0/00']);
    assert.deepEqual(map.nextKey(prefix(9, 0)), map.nextKey());
    assert.deepEqual(map.nextKey(prefix(40, 0)), map.nextKey());
    assert.deepEqual(
      [...map.lookupBatches(3)].flatMap(({ keys }) => keys).map(hex),
      [...map.keys()].map(hex),
    );
    assert.equal(
      outcome(() => [...map.lookupBatches(3, true)]),
      'ENOTSUPP',
    );
    assert.equal(map.deleteBatch([prefix(8, 0xff00_0000)]), 1);
    assert.equal(
      outcome(() => map.lookupAndDelete(prefix(0, 0))),
      'ENOTSUPP',
    );
  });

  it('errors of a trie are those of Linux', () => {
    using bench = open(2);
    const [map] = bench.maps;
    const update = (length: number, flags = 0) => outcome(() => map.update(prefix(length, 0), u64(1), flags));
    assert.deepEqual(
      [
        update(33),
        update(8, 2),
        update(8, 1),
        update(8, 1),
        update(8, 3),
        update(8, 4),
        update(9),
        update(10),
      ],
      ['EINVAL', 'ENOENT', 'ok', 'EEXIST', 'EINVAL', 'EINVAL', 'ok', 'ENOSPC'],
    );
    assert.deepEqual([update(8), update(9, 2)], ['ok', 'ok']);
    assert.equal(map.lookup(prefix(33, 0)), undefined);
    assert.equal(map.lookup(prefix(7, 0)), undefined);
    assert.equal(
      outcome(() => map.delete(prefix(33, 0))),
      'EINVAL',
    );
    assert.equal(map.delete(prefix(10, 0)), false);
  });
});
