import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, open } from '../../src/index.ts';
import { onBothKernels, outcome } from './kernels.ts';

/** Maps as JavaScript has maps, with keys and values by their types, on both kernels. */

const OBJECT = `.license "GPL"
.types "struct point { int x; short y; char name[8]; }; struct where { unsigned char a; unsigned int b; };"
.map points, type=hash, key=struct where, value=struct point, max_entries=8
.map counts, type=percpu_array, key=u32, value=u64, max_entries=2
.map list, type=array, key=u32, value=u64, max_entries=3
.map queue, type=queue, key_size=0, value=u64, max_entries=2
.map bytes, type=hash, key_size=3, value_size=2, max_entries=2
.map inner, type=array, key=u32, value=u64, max_entries=2
.map bloom, type=bloom_filter, key_size=0, value=u64, max_entries=10
.section syscall
.func f : s32 (void *ctx)
r0 = 0
exit
`;

onBothKernels('typed maps', (kernel) => {
  it('keys and values are what their types say', async () => {
    using running = kernel.open();
    using loaded = await (await open(assembleObject(OBJECT, 'typed'))).load(running);
    const { points } = loaded.typedMaps;
    const key = { a: 1, b: 70_000 };
    points.set(key, { x: -5, y: 3, name: 'here' }).set({ a: 2, b: 1 }, { x: 1 });
    assert.deepEqual(points.get(key), { x: -5, y: 3, name: 'here' });
    assert.deepEqual(points.get({ a: 2, b: 1 }), { x: 1, y: 0, name: '' });
    assert.equal(points.size, 2);
    assert.equal(points.has({ a: 9, b: 9 }), false);
    assert.equal(points.get({ a: 9, b: 9 }), undefined);
    const xs = [...points].map(([key, value]) => [(key as { a: number }).a, (value as { x: number }).x]);
    assert.deepEqual(xs.sort(), [
      [1, -5],
      [2, 1],
    ]);
    assert.equal(points.delete(key), true);
    assert.equal(points.delete(key), false);
    points.clear();
    assert.equal(points.size, 0);
    assert.equal(
      outcome(() => points.set(key, { x: 2 ** 40 })),
      'ERANGE',
    );
    assert.equal(
      outcome(() => points.set(key, { z: 1 })),
      'EINVAL',
    );
  });

  it('an array has all its elements, and a per-CPU array an array of values', async () => {
    using running = kernel.open();
    using loaded = await (await open(assembleObject(OBJECT, 'typed'))).load(running);
    const { list, counts } = loaded.typedMaps;
    list.set(1, 7n);
    assert.deepEqual(
      [...list.entries()],
      [
        [0, 0n],
        [1, 7n],
        [2, 0n],
      ],
    );
    assert.deepEqual([...list.values()], [0n, 7n, 0n]);
    assert.equal(list.size, 3);
    counts.set(0, 5n);
    const values = counts.get(0) as bigint[];
    assert.ok(values.length > 0 && values.every((value) => value === 5n));
    counts.set(
      1,
      values.map((_, cpu) => BigInt(cpu)),
    );
    assert.deepEqual(
      counts.get(1),
      values.map((_, cpu) => BigInt(cpu)),
    );
    assert.equal(
      outcome(() => counts.set(1, [...values, 1n])),
      'EINVAL',
    );
  });

  it('a queue pushes, peeks and pops, and a filter has what was pushed', async () => {
    using running = kernel.open();
    using loaded = await (await open(assembleObject(OBJECT, 'typed'))).load(running);
    const { queue, bloom } = loaded.typedMaps;
    queue.push(1n);
    queue.push(2n);
    assert.equal(
      outcome(() => queue.push(3n)),
      'E2BIG',
    );
    queue.push(3n, 2);
    assert.deepEqual([queue.peek(), queue.pop(), queue.pop(), queue.pop()], [2n, 2n, 3n, undefined]);
    bloom.push(77n);
    assert.equal(bloom.has(77n), true);
  });

  it('what has no type is bytes', async () => {
    using running = kernel.open();
    using loaded = await (await open(assembleObject(OBJECT, 'typed'))).load(running);
    const bytes = loaded.typedMaps.bytes as unknown as Map<Uint8Array, Uint8Array>;
    bytes.set(Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5));
    assert.deepEqual([...bytes.entries()], [[Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)]]);
    assert.equal(
      outcome(() => bytes.set(Uint8Array.of(1), Uint8Array.of(4, 5))),
      'EINVAL',
    );
  });
});
