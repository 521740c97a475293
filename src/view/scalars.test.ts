import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FakeMemory } from '../../test/view-memory.ts';
import { BTF_INT_SIGNED, BtfBuilder } from '../btf/index.ts';
import { globalsView, type ViewOptions, viewOf } from './index.ts';

const SEED = 20261122;
const INTEGERS = [
  ['unsigned char', 1],
  ['signed char', 1],
  ['unsigned short', 2],
  ['short', 2],
  ['unsigned int', 4],
  ['int', 4],
  ['unsigned long long', 8],
  ['long long', 8],
  ['unsigned __int128', 16],
  ['__int128', 16],
] as const;

/** One variable `x` of the type that `make` builds, at `offset`. */
function variable(make: (builder: BtfBuilder) => number, offset = 0, options?: ViewOptions) {
  const builder = new BtfBuilder();
  const type = make(builder);
  const memory = new FakeMemory(64);
  const sections = [{ memory, base: 0, variables: [{ name: 'x', type, offset }] }];
  return { memory, globals: globalsView<{ x: unknown }>(builder.build(), sections, options) };
}

/** Little-endian integer of the bytes. */
function whole(memory: FakeMemory): bigint {
  let value = 0n;
  for (let at = 31; at >= 0; at--) value = (value << 8n) | BigInt(memory.view.getUint8(at));
  return value;
}

describe('integers', () => {
  for (const [name, size] of INTEGERS) {
    const signed = !name.startsWith('unsigned');
    const bits = size * 8;
    const low = signed ? -(2n ** BigInt(bits - 1)) : 0n;
    const high = low + 2n ** BigInt(bits) - 1n;
    const native = (value: bigint) => (size > 4 ? value : Number(value));

    it(`${name}: every value reads back at any alignment, and only its bytes change`, () => {
      const value = fc.bigInt({ min: low, max: high });
      fc.assert(
        fc.property(value, fc.nat(15), (value, offset) => {
          const { memory, globals } = variable((builder) => builder.int(name, size), offset);
          globals.x = native(value);
          assert.equal(globals.x, native(value));
          assert.equal(whole(memory), BigInt.asUintN(bits, value) << BigInt(offset * 8));
        }),
        { seed: SEED, numRuns: 50 },
      );
    });

    it(`${name}: a value out of range is ERANGE and nothing is written`, () => {
      const { memory, globals } = variable((builder) => builder.int(name, size));
      for (const value of [low - 1n, high + 1n]) {
        assert.throws(
          () => {
            globals.x = value;
          },
          { code: 'ERANGE' },
        );
      }
      assert.equal(whole(memory), 0n);
    });
  }

  it('take no fractions, texts or objects: EINVAL', () => {
    const { globals } = variable((builder) => builder.int('int', 4));
    for (const value of [1.5, Number.NaN, '1', {}, null, undefined, true]) {
      assert.throws(
        () => {
          globals.x = value;
        },
        { code: 'EINVAL' },
      );
    }
  });

  it('of 64 bits are numbers where asked for, and ERANGE where none is exact', () => {
    for (const [name, value, exact] of [
      ['long long', -(2n ** 53n) + 1n, true],
      ['long long', -5n, true],
      ['unsigned long long', 2n ** 53n - 1n, true],
      ['unsigned long long', 2n ** 53n, false],
      ['unsigned long long', 2n ** 64n - 1n, false],
      ['long long', -(2n ** 53n) - 1n, false],
    ] as const) {
      const { globals } = variable((builder) => builder.int(name, 8), 3, { int64: 'number' });
      globals.x = value;
      if (exact) assert.equal(globals.x, Number(value));
      else assert.throws(() => globals.x, { code: 'ERANGE' });
    }
  });
});

describe('bit fields', () => {
  it('of every width and offset read back and leave their neighbours alone', () => {
    const field = fc.record({
      size: fc.constantFrom(1, 2, 4, 8),
      signed: fc.boolean(),
      offset: fc.nat(100),
      width: fc.nat(),
      value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      around: fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
    });
    fc.assert(
      fc.property(field, ({ size, signed, offset, width, value, around }) => {
        const bits = 1 + (width % (size * 8));
        const { memory, view } = bitField(size, signed, offset, bits);
        for (let at = 0; at < 32; at++) memory.view.setUint8(at, Number((around >> BigInt(at * 8)) & 0xffn));
        const stored = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
        const wanted = size > 4 ? stored : Number(stored);
        view.f = wanted;
        assert.equal(view.f, wanted);
        const mask = (2n ** BigInt(bits) - 1n) << BigInt(offset);
        assert.equal(whole(memory), (around & ~mask) | (BigInt.asUintN(bits, value) << BigInt(offset)));
      }),
      { seed: SEED, numRuns: 1000 },
    );
  });

  it('take what their width holds and no more: ERANGE', () => {
    const { view } = bitField(4, true, 5, 3);
    for (const value of [-5, 4]) {
      assert.throws(
        () => {
          view.f = value;
        },
        { code: 'ERANGE', message: /struct s\.f: .* is not between -4 and 3/ },
      );
    }
  });

  it('touch only the bytes they lie in', () => {
    const { memory, view } = bitField(4, false, 4095 * 8 + 2, 6);
    view.f = 63;
    assert.equal(view.f, 63);
    assert.deepEqual([...memory.faulted], [0]);
  });

  function bitField(size: number, signed: boolean, bitOffset: number, bitfieldSize: number) {
    const builder = new BtfBuilder();
    const type = builder.int(`int${size}`, size, signed ? BTF_INT_SIGNED : 0);
    const members = [{ name: 'f', type, bitOffset, bitfieldSize }];
    const id = builder.add({ kind: 'struct', name: 's', size: 4100, members });
    const memory = new FakeMemory(8192);
    return { memory, view: viewOf<{ f: number | bigint }>(builder.build(), id, memory, 0) };
  }
});

describe('other scalars', () => {
  it('a bool is true for any byte but 0, and takes true, false, 1 and 0', () => {
    const { memory, globals } = variable((builder) => builder.int('_Bool', 1));
    globals.x = true;
    assert.equal(memory.view.getUint8(0), 1);
    memory.view.setUint8(0, 2);
    assert.equal(globals.x, true);
    globals.x = 0;
    assert.equal(globals.x, false);
    assert.throws(
      () => {
        globals.x = 2;
      },
      { code: 'EINVAL' },
    );
  });

  it('floats read back, rounded to their width', () => {
    for (const [size, value, wanted] of [
      [4, 0.1, Math.fround(0.1)],
      [8, 0.1, 0.1],
      [8, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ] as const) {
      const { globals } = variable((builder) => builder.add({ kind: 'float', name: 'float', size }), 1);
      globals.x = value;
      assert.equal(globals.x, wanted);
    }
  });

  it('an enum reads as its first name or a number, and takes names and numbers; other names are EINVAL', () => {
    const values = [
      { name: 'A', value: 0 },
      { name: 'B', value: -1 },
      { name: 'LAST', value: -1 },
    ];
    const { memory, globals } = variable((builder) =>
      builder.add({ kind: 'enum', name: 'e', size: 4, signed: true, values }),
    );
    assert.equal(globals.x, 'A');
    globals.x = 'LAST';
    assert.equal(globals.x, 'B');
    assert.equal(memory.view.getInt32(0, true), -1);
    globals.x = 77;
    assert.equal(globals.x, 77);
    assert.throws(
      () => {
        globals.x = 'C';
      },
      { code: 'EINVAL', message: 'x: "C" is no name of enum e, which has A, B, LAST' },
    );
  });

  it('an enum of 64 bits has bigints for what has no name', () => {
    const values = [{ name: 'BIG', value: 2n ** 63n }];
    const { globals } = variable((builder) =>
      builder.add({ kind: 'enum64', name: 'e', size: 8, signed: false, values }),
    );
    globals.x = 'BIG';
    assert.equal(globals.x, 'BIG');
    globals.x = 5n;
    assert.equal(globals.x, 5n);
  });
});
