import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { FakeMemory } from '../../test/view-memory.ts';
import { BtfBuilder } from '../btf/index.ts';
import { type ArrayView, addressOf, globalsView, sizeOf, toPlain, viewOf } from './index.ts';

interface Point {
  x: number;
  y: number;
}

interface Globals {
  ints: ArrayView<number>;
  grid: ArrayView<ArrayView<number>>;
  name: ArrayView<number>;
  bytes: ArrayView<number>;
  points: ArrayView<Point>;
  table: ArrayView<Point | null>;
  odd: ArrayView<bigint>;
  tail: { n: number; items: ArrayView<number> };
}

function setUp() {
  const builder = new BtfBuilder();
  const int = builder.int('int', 4);
  const point = builder.composite('struct', 'point', [
    { name: 'x', type: int },
    { name: 'y', type: int },
  ]);
  const tail = builder.composite('struct', 'tail', [
    { name: 'n', type: int },
    { name: 'items', type: builder.array(int, 0) },
  ]);
  const variables = [
    { name: 'ints', type: builder.array(int, 4), offset: 0 },
    { name: 'grid', type: builder.array(builder.array(int, 3), 2), offset: 16 },
    { name: 'name', type: builder.array(builder.int('char', 1), 8), offset: 40 },
    { name: 'bytes', type: builder.array(builder.int('unsigned char', 1), 4), offset: 48 },
    { name: 'points', type: builder.array(point, 3), offset: 56 },
    { name: 'table', type: builder.array(builder.ptr(point), 2), offset: 80 },
    { name: 'odd', type: builder.array(builder.int('long long', 8), 2), offset: 97 },
    { name: 'tail', type: tail, offset: 4084 },
  ];
  const btf = builder.build();
  const memory = new FakeMemory(4096);
  const globals = globalsView<Globals>(btf, [{ memory, base: 0, variables }]);
  return { btf, memory, globals, point };
}

describe('arrays', () => {
  it('read and write elements by index, at and set, and iterate', () => {
    const { globals, memory } = setUp();
    const { ints } = globals;
    ints[1] = -5;
    ints.set(2, 6);
    assert.deepEqual([ints[1], ints.at(2), ints.length], [-5, 6, 4]);
    assert.deepEqual([...ints], [0, -5, 6, 0]);
    assert.equal(memory.view.getInt32(4, true), -5);
    assert.equal(globals.ints, ints);
    assert.equal(sizeOf(ints), 16);
  });

  it('are ERANGE beyond their ends, and for values that do not fit', () => {
    const { ints } = setUp().globals;
    for (const index of [-1, 4, 0.5, Number.NaN]) {
      assert.throws(() => ints.at(index), { code: 'ERANGE' }, `at(${index})`);
      assert.throws(() => ints.set(index, 1), { code: 'ERANGE' }, `set(${index})`);
    }
    assert.throws(() => ints[4], { code: 'ERANGE' });
    assert.throws(
      () => {
        ints[4] = 1;
      },
      { code: 'ERANGE' },
    );
    assert.throws(
      () => {
        ints[0] = 2 ** 31;
      },
      { code: 'ERANGE', message: /^element 0 of int \[4\]: / },
    );
  });

  it('nest', () => {
    const { globals, memory } = setUp();
    globals.grid[1][2] = 9;
    assert.equal(memory.view.getInt32(36, true), 9);
    assert.deepEqual(toPlain(globals.grid), [
      [0, 0, 0],
      [0, 0, 9],
    ]);
  });

  it('take the elements of anything iterable; shorter leaves the rest, longer is ERANGE', () => {
    const { globals } = setUp();
    const assign = globals as { ints: unknown; points: unknown };
    assign.ints = [1, 2, 3, 4];
    assign.ints = new Set([8, 9]);
    assert.deepEqual([...globals.ints], [8, 9, 3, 4]);
    assign.points = [{ x: 1, y: 2 }, { y: 3 }];
    assert.deepEqual(toPlain(globals.points), [
      { x: 1, y: 2 },
      { x: 0, y: 3 },
      { x: 0, y: 0 },
    ]);
    assert.throws(
      () => {
        assign.ints = [1, 2, 3, 4, 5];
      },
      { code: 'ERANGE' },
    );
    assert.throws(
      () => {
        assign.ints = 5;
      },
      { code: 'EINVAL' },
    );
    assert.throws(
      () => {
        assign.ints = 'text';
      },
      { code: 'EINVAL' },
    );
  });

  it('of structs give the same view for the same element', () => {
    const { globals } = setUp();
    globals.points[2].y = 4;
    assert.equal(globals.points[2], globals.points.at(2));
    assert.equal(globals.points[2].y, 4);
  });

  it('of pointers follow each', () => {
    const { globals, memory } = setUp();
    globals.points[1].x = 7;
    globals.table[1] = globals.points[1];
    assert.equal(globals.table[0], null);
    assert.equal(globals.table[1]?.x, 7);
    assert.equal(addressOf(globals.table[1] as Point), memory.addressOf(64));
  });

  it('that are flexible have no length, and reach as far as the memory does', () => {
    const { tail } = setUp().globals;
    assert.equal(tail.items.length, 0);
    tail.items.set(1, 5);
    assert.equal(tail.items.at(1), 5);
    assert.deepEqual([...tail.items.subarray(0, 2)], [0, 5]);
    assert.throws(() => tail.items.at(2), { code: 'EFAULT' });
    assert.throws(() => tail.items.at(-1), { code: 'ERANGE' });
  });

  it('have parts that share their memory', () => {
    const { ints } = setUp().globals;
    const part = ints.subarray(1, 3);
    part[0] = 3;
    assert.deepEqual([part.length, ints[1]], [2, 3]);
    for (const [begin, end] of [
      [-1, 2],
      [3, 2],
      [0, 5],
    ]) {
      assert.throws(() => ints.subarray(begin, end), { code: 'ERANGE' });
    }
    assert.deepEqual([...ints.subarray(2, 2)], []);
    assert.throws(() => ints.subarray(2, 2).at(0), { code: 'ERANGE' });
  });

  it('have typed arrays over the same bytes when aligned, and none otherwise', () => {
    const { globals } = setUp();
    const typed = globals.ints.typed as Int32Array;
    typed[3] = 11;
    assert.equal(globals.ints[3], 11);
    assert.equal(typed.length, 4);
    assert.throws(() => globals.odd.typed, { code: 'EINVAL' });
    assert.throws(() => globals.points.typed, { code: 'EINVAL' });
    globals.odd[1] = -1n;
    assert.deepEqual([...globals.odd], [0n, -1n]);
  });
});

describe('text', () => {
  it('in char arrays is UTF-8 up to the NUL; assigning clears what follows', () => {
    const { globals, memory } = setUp();
    globals.name.string = 'abcdefg';
    Object.assign(globals, { name: 'hé' });
    assert.equal(`${globals.name}`, 'hé');
    assert.equal(globals.name.string, 'hé');
    assert.equal(memory.view.getUint32(44, true), 0);
    assert.equal(toPlain(globals.name), 'hé');
    assert.equal(globals.name[0], 'h'.charCodeAt(0));
  });

  it('without a NUL ends with the array', () => {
    const { globals } = setUp();
    for (let index = 0; index < 8; index++) globals.name[index] = 97;
    assert.equal(globals.name.string, 'aaaaaaaa');
  });

  it('needs room for its NUL: ERANGE', () => {
    const { globals } = setUp();
    assert.throws(() => Object.assign(globals, { name: 'abcdefgh' }), { code: 'ERANGE' });
  });

  it('is in byte arrays when asked for', () => {
    const { globals } = setUp();
    globals.bytes.string = 'ab';
    assert.equal(globals.bytes.string, 'ab');
    assert.equal(`${globals.bytes}`, '97,98,0,0');
    assert.throws(() => globals.ints.string, { code: 'EINVAL' });
  });
});

describe('inspection', () => {
  it('shows the first elements of a long array, and how many follow', () => {
    const builder = new BtfBuilder();
    const id = builder.array(builder.int('unsigned char', 1), 4000);
    const view = viewOf<object>(builder.build(), id, new FakeMemory(4096), 0);
    assert.match(inspect(view), /^unsigned char \[4000\] \[/);
    assert.deepEqual(toPlain(view, { maxElements: 2 }), [0, 0, '… 3998 more']);
  });
});
