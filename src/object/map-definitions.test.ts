import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileBpf, noClang } from '../../test/clang.ts';
import { BtfBuilder } from '../btf/index.ts';
import { SHF_ALLOC, SHF_WRITE, writeElf } from '../elf/index.ts';
import { BpfError, type ErrnoName } from '../errors.ts';
import type { MapSpec } from './map-spec.ts';
import { MAP_TYPES } from './map-types.ts';
import { parseObject } from './object.ts';
import { assembleObject } from './write.ts';

/** What a map's members may be made of. */
interface Forms {
  types: BtfBuilder;
  int: number;
  uint(value: number): number;
  enumerator(kind: 'enum' | 'enum64', ...values: (number | bigint)[]): number;
  type(id: number): number;
  flexible(id: number, nelems?: number): number;
  struct(members: Members): number;
}
type Members = readonly (readonly [name: string, type: number])[];

/** An object whose `.maps` holds `map` with these members. */
function mapObject(describe: (forms: Forms) => Members, wrap?: (forms: Forms, struct: number) => number) {
  const types = new BtfBuilder();
  const int = types.int('int', 4);
  const struct = (members: Members) =>
    types.add({
      kind: 'struct',
      name: '',
      size: members.length * 8,
      members: members.map(([name, type], i) => ({ name, type, bitOffset: i * 64, bitfieldSize: 0 })),
    });
  const forms: Forms = {
    types,
    int,
    struct,
    uint: (value) => types.ptr(types.array(int, value)),
    type: (id) => types.ptr(id),
    flexible: (id, nelems = 0) => types.array(types.ptr(id), nelems),
    enumerator: (kind, ...values) => {
      const list = values.map((value, i) => ({ name: `value${i}`, value }));
      return types.add({
        kind,
        name: '',
        size: kind === 'enum' ? 4 : 8,
        signed: false,
        values: list,
      } as never);
    },
  };
  const id = struct(describe(forms));
  const variable = types.add({ kind: 'var', name: 'map', type: wrap?.(forms, id) ?? id, linkage: 'global' });
  types.add({
    kind: 'datasec',
    name: '.maps',
    size: 0,
    variables: [{ type: variable, offset: 0, size: 64 }],
  });
  const flags = SHF_ALLOC | SHF_WRITE;
  return writeElf({
    sections: [
      { name: '.maps', flags, data: new Uint8Array(128) },
      { name: '.BTF', data: types.write() },
    ],
    symbols: [{ name: 'map', section: 0, size: 128 }],
  });
}

function readMap(...args: Parameters<typeof mapObject>): MapSpec {
  return parseObject(mapObject(...args), 'object').maps.map;
}

/** Each attribute, in each form that compilers give it, and the field that results. */
const ATTRIBUTES: readonly [string, (forms: Forms) => Members, Partial<MapSpec>][] = [
  ['max_entries as __uint', ({ uint }) => [['max_entries', uint(7)]], { maxEntries: 7 }],
  ['the largest __uint', ({ uint }) => [['max_entries', uint(0xffffffff)]], { maxEntries: 0xffffffff }],
  ['map_flags', ({ uint }) => [['map_flags', uint(0x400)]], { flags: 0x400 }],
  ['numa_node', ({ uint }) => [['numa_node', uint(3)]], { numaNode: 3 }],
  [
    'key_size and value_size',
    ({ uint }) => [
      ['key_size', uint(4)],
      ['value_size', uint(12)],
    ],
    { keySize: 4, valueSize: 12 },
  ],
  ['key as __type', ({ type, int }) => [['key', type(int)]], { keySize: 4, keyType: 1 }],
  ['value as __type', ({ type, int }) => [['value', type(int)]], { valueSize: 4, valueType: 1 }],
  [
    'a type and its size, when they agree',
    ({ type, int, uint }) => [
      ['key', type(int)],
      ['key_size', uint(4)],
    ],
    { keySize: 4, keyType: 1 },
  ],
  ['map_extra as __uint', ({ uint }) => [['map_extra', uint(5)]], { mapExtra: 5n }],
  [
    'map_extra as a 32-bit __ulong',
    ({ enumerator }) => [['map_extra', enumerator('enum', 9)]],
    { mapExtra: 9n },
  ],
  [
    'map_extra as a 64-bit __ulong',
    ({ enumerator }) => [['map_extra', enumerator('enum64', 1n << 44n)]],
    { mapExtra: 1n << 44n },
  ],
  [
    'a __ulong with its highest bit set',
    ({ enumerator }) => [['map_extra', enumerator('enum64', 0xffff_ffff_0000_0000n)]],
    { mapExtra: 0xffff_ffff_0000_0000n },
  ],
  ['pinning none', ({ uint }) => [['pinning', uint(0)]], { pinByName: false }],
  ['pinning by name', ({ uint }) => [['pinning', uint(1)]], { pinByName: true, pinPath: undefined }],
];

for (const [name, describe, expected] of ATTRIBUTES) {
  test(name, () => {
    const map = readMap((forms) => [['type', forms.uint(MAP_TYPES.hash)], ...describe(forms)]);
    assert.deepEqual({ ...map, ...expected }, map);
    assert.equal(map.type, MAP_TYPES.hash);
  });
}

test('what is not given is at its default', () => {
  assert.deepEqual(
    readMap(({ uint }) => [['type', uint(1)]]),
    {
      name: 'map',
      kernelName: 'map',
      type: 1,
      keySize: 0,
      valueSize: 0,
      maxEntries: 0,
      flags: 0,
      mapExtra: 0n,
      numaNode: 0,
      pinPath: undefined,
      pinByName: false,
      autocreate: true,
      keyType: 0,
      valueType: 0,
      inner: undefined,
      slots: [],
      contents: undefined,
      frozen: false,
    },
  );
});

test('the struct and its members may hide behind typedefs and qualifiers', () => {
  const map = readMap(
    ({ types, uint }) => [['type', types.modifier('const', types.modifier('typedef', uint(2), 'two'))]],
    ({ types }, struct) => types.modifier('typedef', types.modifier('volatile', struct), 'map_t'),
  );
  assert.equal(map.type, 2);
});

test('a map of maps has the description of the maps inside, and values of 4 bytes', () => {
  const map = readMap(({ uint, flexible, struct }) => [
    ['type', uint(MAP_TYPES.array_of_maps)],
    [
      'values',
      flexible(
        struct([
          ['type', uint(MAP_TYPES.hash)],
          ['max_entries', uint(3)],
        ]),
      ),
    ],
  ]);
  assert.deepEqual(
    [map.valueSize, map.inner?.type, map.inner?.maxEntries, map.inner?.name],
    [4, 1, 3, 'map.inner'],
  );
});

test('a prog_array may declare its programs', () => {
  const map = readMap(({ types, uint, flexible, int }) => [
    ['type', uint(MAP_TYPES.prog_array)],
    ['values', flexible(types.funcProto(int, []))],
  ]);
  assert.deepEqual([map.valueSize, map.inner], [4, undefined]);
});

/** What libbpf refuses, too, and how. */
const REFUSED: readonly [string, (forms: Forms) => Members, ErrnoName, RegExp][] = [
  [
    'an unknown field',
    ({ uint }) => [['colour', uint(1)]],
    'EOPNOTSUPP',
    /map 'map': unknown field 'colour'; known are type, max_/,
  ],
  ['a member without a name', ({ uint }) => [['', uint(1)]], 'EOPNOTSUPP', /a member without a name/],
  [
    'a map without a type',
    ({ uint }) => [['max_entries', uint(1)]],
    'EINVAL',
    /its type is missing; add __uint\(type, …\)/,
  ],
  ['an int instead of a __uint', ({ int }) => [['type', int]], 'EINVAL', /'type': is not written as __uint/],
  [
    'a pointer instead of a __uint',
    ({ type, int }) => [['type', type(int)]],
    'EINVAL',
    /is not written as __uint/,
  ],
  ['an int instead of a __type', ({ int }) => [['key', int]], 'EINVAL', /'key': is not written as __type/],
  [
    'a __ulong of two values',
    ({ enumerator }) => [['map_extra', enumerator('enum', 1, 2)]],
    'EINVAL',
    /'map_extra': is not written as __ulong/,
  ],
  ['an int instead of a __ulong', ({ int }) => [['map_extra', int]], 'EINVAL', /is not written as __ulong/],
  [
    'a key size that contradicts the key',
    ({ type, int, uint }) => [
      ['key', type(int)],
      ['key_size', uint(8)],
    ],
    'EINVAL',
    /'key_size': 8 bytes here, 4 bytes elsewhere/,
  ],
  [
    'a value size that contradicts the value',
    ({ type, int, uint }) => [
      ['value_size', uint(8)],
      ['value', type(int)],
    ],
    'EINVAL',
    /4 bytes here, 8 bytes elsewhere/,
  ],
  ['another pinning', ({ uint }) => [['pinning', uint(2)]], 'EINVAL', /pinning 2 is unknown/],
  [
    'values in a map that holds none',
    ({ uint, flexible, struct }) => [
      ['type', uint(1)],
      ['values', flexible(struct([]))],
    ],
    'EINVAL',
    /only prog_array, array_of_maps and hash_of_maps/,
  ],
  [
    'values before the type',
    ({ uint, flexible, struct }) => [
      ['values', flexible(struct([]))],
      ['type', uint(12)],
    ],
    'EINVAL',
    /must be the last member/,
  ],
  [
    'values of a fixed number',
    ({ uint, flexible, struct }) => [
      ['type', uint(12)],
      ['values', flexible(struct([]), 4)],
    ],
    'EINVAL',
    /must be the last member/,
  ],
  [
    'values that are no pointers',
    ({ types, uint, int }) => [
      ['type', uint(12)],
      ['values', types.array(int, 0)],
    ],
    'EINVAL',
    /is not written as __array/,
  ],
  [
    'values of a prog_array that are no functions',
    ({ uint, flexible, int }) => [
      ['type', uint(3)],
      ['values', flexible(int)],
    ],
    'EINVAL',
    /a prog_array holds programs/,
  ],
  [
    'inner maps without a type',
    ({ uint, flexible, struct }) => [
      ['type', uint(12)],
      ['values', flexible(struct([]))],
    ],
    'EINVAL',
    /map 'map\.inner': its type is missing/,
  ],
  [
    'maps of maps of maps',
    ({ uint, flexible, struct }) => {
      const inner = struct([['type', uint(1)]]);
      const middle = struct([
        ['type', uint(12)],
        ['values', flexible(inner)],
      ]);
      return [
        ['type', uint(12)],
        ['values', flexible(middle)],
      ];
    },
    'EINVAL',
    /maps nest one level deep/,
  ],
  [
    'pinned inner maps',
    ({ uint, flexible, struct }) => [
      ['type', uint(12)],
      [
        'values',
        flexible(
          struct([
            ['type', uint(1)],
            ['pinning', uint(1)],
          ]),
        ),
      ],
    ],
    'EINVAL',
    /the maps inside cannot be pinned/,
  ],
];

function refused(code: ErrnoName, message: RegExp) {
  return (error: unknown) => error instanceof BpfError && error.code === code && message.test(error.message);
}

for (const [name, describe, code, message] of REFUSED) {
  test(`refused: ${name}`, () => {
    assert.throws(() => readMap(describe), refused(code, message));
  });
}

test('refused: a map that is no struct', () => {
  const int = () =>
    readMap(
      () => [],
      ({ int }) => int,
    );
  assert.throws(int, refused('EINVAL', /map 'map': its type is int, not a struct/));
});

test('refused: legacy maps sections, with what to do instead', () => {
  const object = writeElf({ sections: [{ name: 'maps', data: new Uint8Array(20) }], symbols: [] });
  assert.throws(
    () => parseObject(object, 'old'),
    refused(
      'EOPNOTSUPP',
      /^old: legacy map definitions in section 'maps' are not supported; declare .*SEC\("\.maps"\)/,
    ),
  );
});

test('refused: maps without type information', () => {
  const object = writeElf({ sections: [{ name: '.maps', data: new Uint8Array(8) }], symbols: [] });
  assert.throws(
    () => parseObject(object, 'bare'),
    refused('EINVAL', /bare: section '\.maps' needs type information; compile with -g/),
  );
});

test('maps come in the order of the section, and names that are too long for Linux are cut', () => {
  const text = '.map zebra, type=hash\n.map a_name_of_twenty_chs, type=hash\n.map b, type=hash';
  const { maps } = parseObject(assembleObject(text));
  assert.deepEqual(
    Object.values(maps).map(({ kernelName }) => kernelName),
    ['zebra', 'a_name_of_twent', 'b'],
  );
});

test('every map type has the name that the assembler and libbpf use', () => {
  const text = Object.keys(MAP_TYPES).map((name) => `.map ${name}, type=${name}`);
  const { maps } = parseObject(assembleObject(text.join('\n')));
  assert.deepEqual(Object.fromEntries(Object.values(maps).map(({ name, type }) => [name, type])), MAP_TYPES);
});

const C_MAPS = `
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define JOIN(a, b) a##b
#define UNIQUE(a, b) JOIN(a, b)
#define __ulong(name, val) enum { UNIQUE(__unique_value, __COUNTER__) = val } name
struct point { int x, y; };
struct inner { __uint(type, 1); __type(key, unsigned); __type(value, struct point); __uint(max_entries, 5); };
struct inner one SEC(".maps"), two SEC(".maps");
struct { __uint(type, 33); __uint(map_flags, 1 << 10); __uint(max_entries, 100); __ulong(map_extra, 1ull << 44); }
  arena SEC(".maps");
struct { __uint(type, 33 - 20); __uint(max_entries, 4); __type(key, unsigned); __array(values, struct inner); }
  outer SEC(".maps") = { .values = { [0] = &one, [3] = &two } };
int tail(void *ctx);
struct { __uint(type, 3); __uint(max_entries, 2); __uint(key_size, 4); __array(values, int (void *)); }
  programs SEC(".maps") = { .values = { [1] = &tail } };
struct { __uint(type, 11); __uint(pinning, 1); __uint(numa_node, 0); __uint(map_flags, 1);
  __type(key, struct { int prefix; char address[16]; }); __type(value, long[3]); __uint(max_entries, 9); }
  trie SEC(".maps");
SEC("xdp") int tail(void *ctx) { return 2; }`;

test("clang's maps: typed, pinned, in each other, with map_extra", { skip: noClang }, () => {
  const { maps } = parseObject(compileBpf(C_MAPS));
  const shown = Object.values(maps).map(({ name, ...map }) => [
    name,
    [map.type, map.keySize, map.valueSize, map.maxEntries],
  ]);
  assert.deepEqual(Object.fromEntries(shown), {
    one: [1, 4, 8, 5],
    two: [1, 4, 8, 5],
    arena: [33, 0, 0, 100],
    outer: [13, 4, 4, 4],
    programs: [3, 4, 4, 2],
    trie: [11, 20, 24, 9],
  });
  assert.equal(maps.arena.mapExtra, 1n << 44n);
  assert.deepEqual(maps.outer.slots, [
    { index: 0, kind: 'map', name: 'one' },
    { index: 3, kind: 'map', name: 'two' },
  ]);
  assert.deepEqual([maps.outer.inner?.type, maps.outer.inner?.valueSize], [1, 8]);
  assert.deepEqual(maps.programs.slots, [{ index: 1, kind: 'program', name: 'tail' }]);
  assert.deepEqual([maps.trie.pinByName, maps.trie.flags], [true, 1]);
});
