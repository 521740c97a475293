import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { BpfMap } from '../../src/kernel.ts';
import { mapSpec } from '../../src/object/map-definitions.ts';
import { MAP_TYPES } from '../../src/object/map-types.ts';
import { type BenchMap, onAllEngines, outcome } from './kernels.ts';

/** Maps that hold maps, as user space and programs see them on both kernels. */

const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const u64 = (value: bigint) => new Uint8Array(BigUint64Array.of(value).buffer);
const number = (bytes: Uint8Array | undefined) => bytes && new DataView(bytes.buffer).getUint32(0, true);

const INNER = { type: MAP_TYPES.array, keySize: 4, valueSize: 8, maxEntries: 2 } as const;
const inner = (settings = {}) => mapSpec('inner', { ...INNER, ...settings });

/** r1: the key in the outer map, r2: the key in the inner one. */
const LOOKUP = `r6 = r2; *(u64 *)(r10 - 8) = r1; r2 = r10; r2 += -8; r1 = MAP 0; call 1; if r0 == 0 goto none;
  *(u64 *)(r10 - 8) = r6; r2 = r10; r2 += -8; r1 = r0; call 1; if r0 == 0 goto none; r0 = *(u64 *)(r0 + 0); exit; none: r0 = -1; exit`;

const put = (outer: BpfMap, key: number, map: BpfMap, flags = 0) =>
  outcome(() => outer.update(u32(key), u32(map.handle), flags));

onAllEngines('maps of maps', (kernel) => {
  for (const name of ['array_of_maps', 'hash_of_maps'] as const) {
    const isArray = name === 'array_of_maps';
    const open = (others: readonly BenchMap[]) =>
      kernel.bench([
        { type: MAP_TYPES[name], keySize: 4, valueSize: 4, maxEntries: 2, inner: inner() },
        ...others,
      ]);

    it(`a program finds the maps in a ${name}, and user space their ids`, () => {
      using bench = open([INNER, INNER]);
      const [outer, first, second] = bench.maps;
      first.update(u32(1), u64(11n));
      second.update(u32(1), u64(22n));
      assert.equal(bench.run(LOOKUP, 0, 1), 0xffff_ffff_ffff_ffffn);
      assert.equal(put(outer, 0, first), 'ok');
      assert.equal(bench.run(LOOKUP, 0, 1), 11n);
      assert.equal(put(outer, 0, second), 'ok');
      assert.equal(bench.run(LOOKUP, 0, 1), 22n);
      assert.equal(bench.run(LOOKUP, 0, 2), 0xffff_ffff_ffff_ffffn);
      assert.equal(number(outer.lookup(u32(0))), second.id);
      assert.equal(outer.lookup(u32(1)), undefined);
      assert.equal(outer.delete(u32(0)), true);
      assert.equal(bench.run(LOOKUP, 0, 1), 0xffff_ffff_ffff_ffffn);
    });

    it(`a map lives on in a ${name} after user space has closed it`, () => {
      using bench = open([INNER]);
      const [outer, first] = bench.maps;
      first.update(u32(1), u64(7n));
      put(outer, 0, first);
      // Before it is closed: programs of the bench name all maps.
      assert.equal(bench.run(LOOKUP, 0, 1), 7n);
      const { handle } = first;
      first.close();
      assert.equal(
        outcome(() => first.lookup(u32(1))),
        'EBADF',
      );
      assert.equal(bench.run(LOOKUP, 0, 1), 7n);
      assert.equal(
        outcome(() => outer.update(u32(1), u32(handle))),
        'EBADF',
      );
      outer.delete(u32(0));
      assert.equal(bench.run(LOOKUP, 0, 1), 0xffff_ffff_ffff_ffffn);
    });

    it(`a ${name} takes only maps that are like its inner map`, () => {
      const others = [{ maxEntries: 3 }, { valueSize: 16 }, { type: MAP_TYPES.hash }, { flags: 1024 }];
      using bench = open([INNER, ...others.map((other) => ({ ...INNER, ...other }))]);
      const [outer, fitting, ...rest] = bench.maps;
      assert.equal(put(outer, 0, fitting), 'ok');
      for (const map of rest) assert.equal(put(outer, 0, map), 'EINVAL');
      assert.equal(put(outer, 0, outer), 'EINVAL');
      assert.equal(
        outcome(() => outer.update(u32(0), u32(99_999))),
        'EBADF',
      );
    });

    it(`errors of a ${name} are those of Linux`, () => {
      using bench = open([INNER]);
      const [outer, first] = bench.maps;
      put(outer, 0, first);
      const flags = [1, 2, 3, 4].map((each) => put(outer, 0, first, each));
      assert.deepEqual(flags, isArray ? Array(4).fill('EINVAL') : ['EEXIST', 'ok', 'EINVAL', 'EINVAL']);
      assert.equal(put(outer, 5, first), isArray ? 'E2BIG' : 'ok');
      assert.equal(put(outer, 6, first), 'E2BIG');
      assert.equal(
        outcome(() => outer.lookupAndDelete(u32(0))),
        'ENOTSUPP',
      );
      assert.equal(
        outcome(() => [...outer.lookupBatches(4)]),
        'ok',
      );
      assert.deepEqual([...outer.keys()].map(number).sort(), isArray ? [0, 1] : [0, 5]);
      assert.equal(
        outcome(() => [...outer.lookupBatches(4, true)]),
        isArray ? 'ENOTSUPP' : 'ok',
      );
      assert.equal(
        outcome(() => assert.equal(outer.delete(u32(8)), false)),
        isArray ? 'E2BIG' : 'ok',
      );
    });
  }

  it('a hash map inside may have any number of elements, an array only with BPF_F_INNER_MAP', () => {
    const hash = { ...INNER, type: MAP_TYPES.hash };
    for (const [template, other, answer] of [
      [hash, { ...hash, maxEntries: 9 }, 'ok'],
      [INNER, { ...INNER, maxEntries: 9 }, 'EINVAL'],
      [{ ...INNER, flags: 0x1000 }, { ...INNER, flags: 0x1000, maxEntries: 9 }, 'ok'],
    ] as const) {
      const outer = { type: MAP_TYPES.array_of_maps, valueSize: 4, inner: inner(template) };
      using bench = kernel.bench([outer, other]);
      assert.equal(put(bench.maps[0], 0, bench.maps[1]), answer);
    }
  });

  it('not every type of map can be inside another', () => {
    const create = (settings: object) =>
      outcome(() => {
        using _ = kernel.bench([{ type: MAP_TYPES.array_of_maps, valueSize: 4, inner: inner(settings) }]);
      });
    assert.equal(create({ type: MAP_TYPES.array_of_maps, valueSize: 4, inner: inner() }), 'EINVAL');
    assert.equal(create({ type: MAP_TYPES.lru_hash }), 'ok');
    assert.equal(create({ type: MAP_TYPES.queue, keySize: 0 }), 'ok');
    assert.equal(create({ type: MAP_TYPES.hash, keySize: 0 }), 'EINVAL');
  });

  it('user space makes maps that belong to no object', () => {
    using running = kernel.open();
    const map = running.createMap({ type: MAP_TYPES.hash, keySize: 4, valueSize: 8, maxEntries: 10 });
    map.update(u32(1), u64(1n));
    assert.ok(map.lookup(u32(1)) !== undefined && map.id > 0);
    const made = { type: MAP_TYPES.array_of_maps, keySize: 4, valueSize: 4, maxEntries: 1 };
    assert.equal(
      outcome(() => running.createMap(made)),
      'EINVAL',
    );
    const outer = running.createMap({ ...made, inner: { ...INNER, maxEntries: 4 } });
    assert.equal(put(outer, 0, running.createMap({ ...INNER, maxEntries: 4 })), 'ok');
    map.close();
    assert.equal(
      outcome(() => map.lookup(u32(1))),
      'EBADF',
    );
  });
});
