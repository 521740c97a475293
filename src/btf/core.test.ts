import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import {
  type Btf,
  BtfBuilder,
  type BtfMember,
  CORE_RELO_KINDS,
  type CoreReloKind,
  CoreResolver,
  type CoreResult,
} from './index.ts';

/** [name, type, bit offset, bit field size] */
type Member = readonly [name: string, type: number, bitOffset: number, bitfieldSize?: number];

function members(list: readonly Member[]): BtfMember[] {
  return list.map(([name, type, bitOffset, bitfieldSize = 0]) => ({ name, type, bitOffset, bitfieldSize }));
}

/** BTF whose first types are always: 1 int, 2 unsigned int, 3 unsigned long, 4 long. */
function types(describe: (builder: BtfBuilder) => void): Btf {
  const builder = new BtfBuilder();
  builder.int('int', 4);
  builder.int('unsigned int', 4);
  builder.int('unsigned long', 8);
  builder.int('long', 8);
  describe(builder);
  return builder.build();
}

/** The id of the first type that a test adds to those. */
const FAR = 5;

function struct(builder: BtfBuilder, name: string, size: number, list: readonly Member[]): number {
  return builder.add({ kind: 'struct', name, size, members: members(list) });
}

function relocate(local: Btf, target: Btf, name: string, access: string, kind: CoreReloKind): CoreResult {
  const type = local.idOf(name) ?? assert.fail(`no ${name}`);
  return new CoreResolver(local, target).resolve({ insnOffset: 0, type, access, kind });
}

function values(result: CoreResult): [bigint, bigint] {
  assert.equal(result.poison, false);
  return [result.origValue, result.newValue];
}

/** struct task { int pid; int tgid; int kids[4]; unsigned flag:1; } and a rearranged one. */
const LOCAL = types((b) => {
  const array = b.array(1, 4);
  struct(b, 'task', 32, [
    ['pid', 1, 0],
    ['tgid', 1, 32],
    ['kids', array, 64],
    ['flag', 2, 192, 1],
  ]);
});
const TARGET = types((b) => {
  const array = b.array(1, 8);
  const inner = struct(b, '', 8, [
    ['other', 1, 0],
    ['tgid', 1, 32],
  ]);
  struct(b, 'task', 64, [
    ['', inner, 64],
    ['pid', 1, 128],
    ['kids', array, 160],
    ['flag', 2, 421, 3],
  ]);
});

test('a member is found by name, also in anonymous members', () => {
  assert.deepEqual(values(relocate(LOCAL, TARGET, 'task', '0:0', 'byte_off')), [0n, 16n]);
  assert.deepEqual(values(relocate(LOCAL, TARGET, 'task', '0:1', 'byte_off')), [4n, 12n]);
});

test('the first index counts whole structs, later ones elements', () => {
  assert.deepEqual(values(relocate(LOCAL, TARGET, 'task', '2:0', 'byte_off')), [64n, 144n]);
  assert.deepEqual(values(relocate(LOCAL, TARGET, 'task', '0:2:3', 'byte_off')), [20n, 32n]);
  assert.deepEqual(values(relocate(LOCAL, TARGET, 'task', '0:2', 'byte_sz')), [16n, 32n]);
});

test("an element beyond the target's array poisons; beyond the local array the record is damaged", () => {
  assert.equal(relocate(TARGET, LOCAL, 'task', '0:2:5', 'byte_off').poison, true);
  assert.throws(() => relocate(LOCAL, TARGET, 'task', '0:2:5', 'byte_off'), FormatError);
});

test('a flexible array at the end of a struct takes any index', () => {
  const flexible = types((b) => struct(b, 'task', 4, [['kids', b.array(1, 0), 32]]));
  assert.deepEqual(values(relocate(flexible, TARGET, 'task', '0:0:7', 'byte_off')), [32n, 48n]);
  assert.deepEqual(values(relocate(LOCAL, flexible, 'task', '0:2:3', 'byte_off')), [20n, 16n]);
  const short = types((b) => struct(b, 'task', 8, [['kids', b.array(1, 1), 32]]));
  assert.equal(
    relocate(LOCAL, short, 'task', '0:2:3', 'byte_off').poison,
    true,
    'one of a size is not flexible',
  );
});

test('a bit field is read with the smallest aligned load, and shifted', () => {
  const of = (kind: CoreReloKind) => relocate(LOCAL, TARGET, 'task', '0:3', kind);
  // Bits 421 to 423 lie in the 32-bit word at byte 52, at bit 5.
  assert.deepEqual(values(of('byte_off')), [24n, 52n]);
  assert.deepEqual(values(of('byte_sz')), [4n, 4n]);
  assert.deepEqual(values(of('lshift_u64')), [63n, 56n]);
  assert.deepEqual(values(of('rshift_u64')), [63n, 61n]);
  assert.deepEqual(values(of('signed')), [0n, 0n]);
  assert.deepEqual(
    (['byte_off', 'byte_sz', 'lshift_u64', 'rshift_u64', 'signed'] as const).map((kind) => of(kind).validate),
    [false, false, false, true, true],
  );
});

test('a bit field that crosses its word is read with a wider load', () => {
  const crossing = types((b) => struct(b, 'task', 8, [['flag', 2, 30, 4]]));
  const of = (kind: CoreReloKind) => values(relocate(LOCAL, crossing, 'task', '0:3', kind))[1];
  assert.deepEqual([of('byte_off'), of('byte_sz'), of('lshift_u64'), of('rshift_u64')], [0n, 8n, 30n, 60n]);
});

test('a missing field poisons all but the question whether it exists', () => {
  const without = types((b) => struct(b, 'task', 4, [['pid', 1, 0]]));
  assert.equal(relocate(LOCAL, without, 'task', '0:1', 'byte_off').poison, true);
  assert.equal(relocate(LOCAL, without, 'task', '0:1', 'byte_sz').poison, true);
  assert.deepEqual(values(relocate(LOCAL, without, 'task', '0:1', 'field_exists')), [1n, 0n]);
  assert.deepEqual(values(relocate(LOCAL, without, 'task', '0:0', 'field_exists')), [1n, 1n]);
});

test('a field of an incompatible type does not count', () => {
  const pointer = types((b) => struct(b, 'task', 8, [['pid', b.ptr(1), 0]]));
  assert.equal(relocate(LOCAL, pointer, 'task', '0:0', 'byte_off').poison, true);
});

test('sizes of a load may change for unsigned integers only', () => {
  const wide = (type: number) => types((b) => struct(b, 'counter', 8, [['n', type, 0]]));
  const resize = (from: number, to: number) => {
    const { origSize, newSize, failMemsizeAdjust } = relocate(
      wide(from),
      wide(to),
      'counter',
      '0:0',
      'byte_off',
    );
    return [origSize, newSize, failMemsizeAdjust];
  };
  assert.deepEqual(resize(2, 3), [4, 8, false]);
  assert.deepEqual(resize(3, 2), [8, 4, false]);
  assert.deepEqual(resize(1, 4), [4, 8, true]);
  assert.deepEqual(resize(2, 4), [4, 8, true]);
  assert.deepEqual(resize(1, 1), [4, 4, false]);
});

test('flavours are ignored on both sides', () => {
  const local = types((b) => struct(b, 'task___mine', 4, [['pid', 1, 0]]));
  const target = types((b) => struct(b, 'task___v2', 8, [['pid', 1, 32]]));
  assert.deepEqual(values(relocate(local, target, 'task___mine', '0:0', 'byte_off')), [0n, 4n]);
  const four = types((b) => struct(b, 'task____v2', 8, [['pid', 1, 32]]));
  assert.equal(relocate(local, four, 'task___mine', '0:0', 'byte_off').poison, true);
});

test('candidates that agree are one answer, candidates that differ an error', () => {
  const twice = (offset: number) =>
    types((b) => {
      struct(b, 'task', 8, [['pid', 1, 32]]);
      struct(b, 'task___2', 16, [['pid', 1, offset]]);
    });
  assert.deepEqual(values(relocate(LOCAL, twice(32), 'task', '0:0', 'byte_off')), [0n, 4n]);
  assert.throws(
    () => relocate(LOCAL, twice(64), 'task', '0:0', 'byte_off'),
    /types 5 and 6 of the target are both called task and give different answers \(4, 8\)/,
  );
});

test("what a candidate lacks once rules it out for the type's later relocations", () => {
  const target = types((b) => {
    struct(b, 'task', 8, [
      ['pid', 1, 32],
      ['tgid', 1, 0],
    ]);
    struct(b, 'task___2', 16, [['pid', 1, 64]]);
  });
  const resolver = new CoreResolver(LOCAL, target);
  const type = LOCAL.idOf('task') ?? 0;
  const relo = (access: string) => ({ insnOffset: 0, type, access, kind: 'byte_off' as const });
  assert.throws(() => resolver.resolve(relo('0:0')), FormatError);
  assert.equal(resolver.resolve(relo('0:1')).newValue, 0n);
  assert.equal(resolver.resolve(relo('0:0')).newValue, 4n);
});

test("a module's own types are tried only when its base has none", () => {
  const builder = new BtfBuilder({ base: TARGET });
  struct(builder, 'task', 4, [['pid', 1, 0]]);
  struct(builder, 'extra', 8, [['pid', 1, 32]]);
  const split = builder.build();
  const local = types((b) => {
    struct(b, 'task', 4, [['pid', 1, 0]]);
    struct(b, 'extra', 4, [['pid', 1, 0]]);
  });
  assert.equal(relocate(local, split, 'task', '0:0', 'byte_off').newValue, 16n);
  assert.equal(relocate(local, split, 'extra', '0:0', 'byte_off').newValue, 4n);
});

test('types: ids, existence, size', () => {
  const id = BigInt(LOCAL.idOf('task') ?? 0);
  const of = (kind: CoreReloKind) => values(relocate(LOCAL, TARGET, 'task', '0', kind));
  assert.deepEqual(of('local_type_id'), [id, id]);
  assert.deepEqual(of('target_type_id'), [id, BigInt(TARGET.idOf('task') ?? 0)]);
  assert.deepEqual(of('type_exists'), [1n, 1n]);
  assert.deepEqual(of('type_size'), [32n, 64n]);
  const none = types(() => {});
  const missing = (kind: CoreReloKind) => values(relocate(LOCAL, none, 'task', '0', kind))[1];
  assert.deepEqual([missing('type_exists'), missing('type_size'), missing('target_type_id')], [0n, 0n, 0n]);
});

test('enumerators: existence and value, between enum and enum64', () => {
  const small = (value: number) =>
    types((b) =>
      b.add({ kind: 'enum', name: 'e', size: 4, signed: value < 0, values: [{ name: 'A___x', value }] }),
    );
  const large = types((b) =>
    b.add({ kind: 'enum64', name: 'e', size: 8, signed: false, values: [{ name: 'A', value: 1n << 40n }] }),
  );
  assert.deepEqual(values(relocate(small(3), large, 'e', '0', 'enumval_value')), [3n, 1n << 40n]);
  assert.deepEqual(values(relocate(small(3), small(-1), 'e', '0', 'enumval_value')), [3n, -1n]);
  assert.deepEqual(values(relocate(small(3), large, 'e', '0', 'enumval_exists')), [1n, 1n]);
  const other = types((b) => b.add({ kind: 'enum', name: 'e', size: 4, signed: false, values: [] }));
  assert.deepEqual(values(relocate(small(3), other, 'e', '0', 'enumval_exists')), [1n, 0n]);
  assert.equal(relocate(small(3), other, 'e', '0', 'enumval_value').poison, true);
});

test('type_matches wants members by name and type, and behind pointers names only', () => {
  const make = (list: (b: BtfBuilder) => readonly Member[]) =>
    types((b) => {
      struct(b, 'far', 4, [['x', 1, 0]]);
      const inner = list(b);
      struct(b, 'task', 64, inner);
    });
  const matches = (local: Btf, target: Btf) =>
    relocate(local, target, 'task', '0', 'type_matches').newValue === 1n;
  const one = make(() => [['pid', 1, 0]]);
  const more = make(() => [
    ['tgid', 1, 0],
    ['pid', 1, 32],
  ]);
  assert.equal(matches(one, more), true, 'the target may have more, elsewhere');
  assert.equal(matches(more, one), false, 'but not less');
  assert.equal(
    matches(
      one,
      make(() => [['pid', 2, 0]]),
    ),
    false,
    'signedness counts',
  );
  assert.equal(
    matches(
      one,
      make(() => [['pid', 4, 0]]),
    ),
    false,
    'size counts',
  );
  const pointing = make((b) => [['far', b.ptr(FAR), 0]]);
  const forward = types((b) => {
    const fwd = b.add({ kind: 'fwd', name: 'far', fwdKind: 'struct' });
    struct(b, 'task', 8, [['far', b.ptr(fwd), 0]]);
  });
  assert.equal(matches(pointing, forward), true, 'a declaration will do behind a pointer');
  assert.equal(matches(forward, pointing), true);
  assert.equal(
    matches(
      make(() => [['far', FAR, 0]]),
      pointing,
    ),
    false,
  );
});

test('damaged records are refused', () => {
  const type = LOCAL.idOf('task') ?? 0;
  for (const access of ['', ':', '0:', '0:x', '0:9', '0:0:0', `0${':0'.repeat(70)}`, '0:99999999999']) {
    const resolver = new CoreResolver(LOCAL, TARGET);
    assert.throws(() => resolver.resolve({ insnOffset: 8, type, access, kind: 'byte_off' }), FormatError);
  }
  for (const kind of CORE_RELO_KINDS.filter((name) => name.includes('type'))) {
    assert.throws(() => relocate(LOCAL, TARGET, 'task', '0:0', kind), /the path of a type must be 0/);
  }
});

test('types made to be compared for ever run out of budget', () => {
  const fan = types((b) => {
    let inner = struct(b, '', 4, [['x', 1, 0]]);
    for (let level = 0; level < 40; level++) {
      inner = struct(b, level === 39 ? 'task' : '', 4, [
        ['', inner, 0],
        ['', inner, 0],
      ]);
    }
  });
  assert.throws(
    () => relocate(LOCAL, fan, 'task', '0:0', 'byte_off'),
    /nested too deeply, or too large, to compare/,
  );
});
