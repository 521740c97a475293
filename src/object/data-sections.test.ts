import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SHF_ALLOC, SHF_WRITE, SHT_NOBITS, writeElf } from '../elf/index.ts';
import { BpfError, type ErrnoName, FormatError } from '../errors.ts';
import { type DataSection, readDataSections } from './data-sections.ts';
import { type BpfObject, parseObject } from './object.ts';
import { ObjectFile } from './object-file.ts';
import { assembleObject } from './write.ts';

const RDONLY_PROG = 1 << 7;
const MMAPABLE = 1 << 10;

function open(text: string, name = 'object'): BpfObject {
  return parseObject(assembleObject(text), name);
}

/** How libbpf names the maps of data sections in Linux. */
const NAMES = [
  ['list', '.bss', 'list.bss'],
  ['list', '.rodata', 'list.rodata'],
  ['a_long_object_name', '.bss', 'a_long_o.bss'],
  ['a_long_object_name', '.rodata', 'a_long_o.rodata'],
  ['with-dash', '.data', 'with_das.data'],
  ['list', '.data.named', '.data.named'],
  ['list', '.rodata.str1.1', '.rodata.str1.1'],
  ['list', '.rodata.cst32.and.more', '.rodata.cst32.a'],
] as const;

for (const [object, section, name] of NAMES) {
  test(`section ${section} of ${object} is map ${name}`, () => {
    const { maps } = open(`.section ${section}\n.byte 0`, object);
    assert.equal(maps[section].kernelName, name);
  });
}

test('a section is an array map of one element: its bytes', () => {
  const { maps, data } = open('.data\n.var static a : u32 = 7\n.var static b : u8[3] = 1, 2, 3');
  const { type, keySize, valueSize, maxEntries, flags, frozen, contents } = maps['.data'];
  assert.deepEqual([type, keySize, valueSize, maxEntries, flags, frozen], [2, 4, 7, 1, 0, false]);
  assert.deepEqual(contents, Uint8Array.of(7, 0, 0, 0, 1, 2, 3));
  assert.deepEqual(
    data[0].variables.map(({ name, offset, size }) => [name, offset, size]),
    [
      ['a', 0, 4],
      ['b', 4, 3],
    ],
  );
});

test('user space may map a section that has a variable which is not static', () => {
  const flags = (text: string) => open(text).maps['.data'].flags;
  assert.equal(flags('.data\n.var a : u32'), MMAPABLE);
  assert.equal(flags('.data\n.var static a : u32'), 0);
});

test('.rodata and its like are read-only for programs and frozen for user space', () => {
  const { maps } = open('.rodata\n.var a : u32 = 1\n.section .rodata.cst\n.var static b : u8 = 2');
  assert.deepEqual([maps['.rodata'].flags, maps['.rodata'].frozen], [RDONLY_PROG | MMAPABLE, true]);
  assert.deepEqual([maps['.rodata.cst'].flags, maps['.rodata.cst'].frozen], [RDONLY_PROG, true]);
});

test('.bss is zeroes, larger than a page, too', () => {
  const { maps } = open('.bss\n.var a : u8[10000]');
  assert.deepEqual(maps['.bss'].contents, new Uint8Array(10_000));
});

test('a change before load is a change of what is loaded', () => {
  const { maps, data } = open('.data\n.var a : u32 = 1');
  data[0].contents[0] = 9;
  assert.equal(maps['.data'].contents?.[0], 9);
});

test('the file stays as it is', () => {
  const bytes = assembleObject('.data\n.var a : u32 = 1');
  parseObject(bytes).data[0].contents[0] = 9;
  assert.equal(parseObject(bytes).data[0].contents[0], 1);
});

test('sections that only look like data are left alone: no dot, no allocation, code, nothing in them', () => {
  const bytes = Uint8Array.of(1);
  const file = writeElf({
    sections: [
      { name: '.data_foo', flags: SHF_ALLOC, data: bytes },
      { name: '.rodata', flags: 0, data: bytes },
      { name: '.database', flags: SHF_ALLOC, data: bytes },
      { name: '.data', flags: SHF_ALLOC, data: new Uint8Array(0) },
      { name: '.bss.used', flags: SHF_ALLOC | SHF_WRITE, type: SHT_NOBITS, size: 3 },
    ],
    symbols: [],
  });
  assert.deepEqual(
    readDataSections(new ObjectFile(file, 'object')).map(({ name }) => name),
    ['.bss.used'],
  );
});

test('addresses among the initial values stay unresolved, and a warning says so', () => {
  const { warnings, data } = open('.data\n.var a : u64\n.quad a + 8');
  assert.match(warnings[0], /^section '\.data': initial values that are addresses are not filled in/);
  assert.equal(data[0].contents[8], 8);
});

test('arena globals are no map; they are bytes for the arena', () => {
  const { maps, data, arenaGlobals } = open(
    '.map arena, type=arena, max_entries=1, map_flags=0x400\n.section .addr_space.1\n.var a : u64 = 5',
  );
  assert.deepEqual([Object.keys(maps), data], [['arena'], []]);
  assert.deepEqual((arenaGlobals as DataSection).contents, Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0));
  assert.deepEqual(
    arenaGlobals?.variables.map(({ name }) => name),
    ['a'],
  );
});

test('arena globals may fill the arena to its last byte', () => {
  assert.ok(open('.map a, type=arena, max_entries=2\n.section .addr_space.1\n.zero 8192').arenaGlobals);
});

/** What libbpf refuses before it creates anything. */
const REFUSED: readonly (readonly [string, string, ErrnoName, RegExp])[] = [
  [
    'two arenas',
    '.map a, type=arena, max_entries=1\n.map b, type=arena, max_entries=1',
    'EINVAL',
    /map 'b': only single ARENA map is supported \(map 'a' is also ARENA\); put both structures into one arena/,
  ],
  [
    'arena globals without an arena',
    '.section .addr_space.1\n.var x : u64',
    'ENOENT',
    /section '\.addr_space\.1': to use global __arena variables the ARENA map should be explicitly declared in SEC\("\.maps"\)/,
  ],
  [
    'arena globals that are larger than the arena',
    '.map a, type=arena, max_entries=2\n.section .addr_space.1\n.zero 8193',
    'E2BIG',
    /declared ARENA map size \(8192\) is too small to hold global __arena variables of size 8193; max_entries of 'a' must be at least 3/,
  ],
];

for (const [name, text, code, message] of REFUSED) {
  test(`refused: ${name}`, () => {
    const ours = (error: unknown) =>
      error instanceof BpfError && error.code === code && message.test(error.message);
    assert.throws(() => open(text), ours);
  });
}

test('refused: a variable that ends beyond its section', () => {
  const bytes = assembleObject('.data\n.var first : u32\n.var last : u32');
  const elf = new ObjectFile(bytes, 'object').elf;
  const table = elf.sections.find(({ name }) => name === '.symtab');
  const last = elf.symbols.find(({ name }) => name === 'last');
  new DataView(bytes.buffer).setUint32((table?.offset ?? 0) + (last?.index ?? 0) * 24 + 8, 6, true);
  assert.throws(() => parseObject(bytes), {
    code: 'EINVAL',
    message: "section '.data': variable 'last' ends at 10, the section at 8",
  });
});

test('refused: more zeroes than map values can hold, in one section or in many', () => {
  const bss = (...sizes: number[]) =>
    writeElf({
      sections: sizes.map((size, i) => ({
        name: `.bss.${i}`,
        flags: SHF_ALLOC | SHF_WRITE,
        type: SHT_NOBITS,
        size,
      })),
      symbols: [],
    });
  assert.throws(() => parseObject(bss(2 ** 40)), FormatError);
  assert.throws(
    () => parseObject(bss(2 ** 26, 2 ** 26, 1)),
    /\.bss\.2, offset 0: 1 bytes are more than map values/,
  );
});

/** As bpftool links two files, each with a static variable of this name. */
function linkedTwins(): BpfObject {
  const bytes = assembleObject('.data\n.var static one : u32 = 1\n.var static two : u32 = 2');
  for (let at = bytes.length - 3; at >= 0; at--) {
    if (bytes[at] === 116 && bytes[at + 1] === 119 && bytes[at + 2] === 111) bytes.set([111, 110, 101], at);
  }
  return parseObject(bytes, 'linked');
}

test('static variables of one name, from files that were linked, keep places of their own', () => {
  const object = linkedTwins();
  const places = [
    ['one', 0],
    ['one', 4],
  ];
  assert.deepEqual(
    object.data[0].variables.map(({ name, offset }) => [name, offset]),
    places,
  );
  const builder = object.loadableBtf();
  assert.ok(builder);
  const loaded = [];
  for (let id = 1; id < builder.count; id++) {
    const type = builder.type(id);
    if (type.kind !== 'datasec') continue;
    for (const { type: variable, offset } of type.variables)
      loaded.push([builder.type(variable).name, offset]);
  }
  assert.deepEqual(loaded, places);
});
