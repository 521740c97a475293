import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { ErrnoName } from '../errors.ts';
import { BPF_F_SEGV_ON_FAULT } from '../object/map-flags.ts';
import type { Arena, ArenaMapping } from './arena.ts';
import { PAGE_SIZE } from './layout.ts';
import type { ArenaMap } from './maps/arena.ts';
import type { MapAttributes } from './maps/attributes.ts';
import type { EmbeddedMap } from './maps/map.ts';
import { useDiscard } from './memory-pool.ts';
import { discardPages } from './node.ts';
import { TestKernel } from './testdata/harness.ts';

/** The arena as a map and its pages: FACTS "The map" and "Pages", row by row. Linux 6.18 gave all expected values. */

// Some tests hold gigabytes that nobody touches; looking at each page of them takes seconds.
useDiscard(discardPages);

const MMAPABLE = 1 << 10;
const NO_USER_CONV = 1 << 18;
const START = 0x4010_0000_0000n;
const ARENA = { type: 33, keySize: 0, valueSize: 0, maxEntries: 100, flags: MMAPABLE, mapExtra: 0n };

/** What an action's error says, or 'ok'. */
function outcome(action: () => unknown): ErrnoName | 'ok' {
  try {
    action();
    return 'ok';
  } catch (error) {
    return (error as { code: ErrnoName }).code;
  }
}

/** An arena that is not mapped yet. */
function create(test: TestKernel, attributes: Partial<MapAttributes> = {}): Arena {
  return (test.kernel.createMap({ ...ARENA, name: 'arena', ...attributes }) as ArenaMap).arena;
}

const CREATION: readonly [Partial<MapAttributes>, ErrnoName | 'ok'][] = [
  [{}, 'ok'],
  [{ flags: MMAPABLE | BPF_F_SEGV_ON_FAULT }, 'ok'],
  [{ flags: MMAPABLE | NO_USER_CONV }, 'ok'],
  [{ flags: MMAPABLE | BPF_F_SEGV_ON_FAULT | NO_USER_CONV }, 'ok'],
  [{ flags: 0 }, 'EINVAL'],
  [{ flags: BPF_F_SEGV_ON_FAULT }, 'EINVAL'],
  [{ keySize: 4 }, 'EINVAL'],
  [{ valueSize: 8 }, 'EINVAL'],
  [{ maxEntries: 0 }, 'EINVAL'],
  [{ mapExtra: 1n }, 'EINVAL'],
  [{ mapExtra: 0xfffn }, 'EINVAL'],
  [{ mapExtra: 0x1000n }, 'ok'],
  [{ maxEntries: 2 ** 20 }, 'ok'],
  [{ maxEntries: 2 ** 20 + 1 }, 'E2BIG'],
  [{ maxEntries: 2 ** 32 - 1 }, 'E2BIG'],
  [{ maxEntries: 2 ** 20 + 1, mapExtra: 0x1001n }, 'EINVAL'],
  [{ maxEntries: 2 ** 20 + 1, mapExtra: 0x1000n }, 'E2BIG'],
  [{ maxEntries: 2 ** 20, mapExtra: START }, 'ok'],
  [{ maxEntries: 2 ** 20, mapExtra: START + 0x1000n }, 'ERANGE'],
  [{ maxEntries: 2, mapExtra: START + 0xffff_f000n }, 'ERANGE'],
  [{ maxEntries: 1, mapExtra: START + 0xffff_f000n }, 'ok'],
  [{ maxEntries: 2, mapExtra: START + 0xffff_e000n }, 'ok'],
  [{ maxEntries: 1, mapExtra: 0xffff_ffff_ffff_f000n }, 'ok'],
  [{ maxEntries: 2, mapExtra: 0xffff_ffff_ffff_f000n }, 'ERANGE'],
];

describe('creating an arena', () => {
  for (const [attributes, expected] of CREATION) {
    const text = Object.entries(attributes).map(([name, value]) => `${name} 0x${value.toString(16)}`);
    it(`with ${text.join(', ') || 'nothing special'}: ${expected}`, () => {
      using test = new TestKernel([]);
      assert.equal(
        outcome(() => create(test, attributes)),
        expected,
      );
    });
  }

  it('refuses every flag but BPF_F_MMAPABLE, BPF_F_SEGV_ON_FAULT and BPF_F_NO_USER_CONV', () => {
    using test = new TestKernel([]);
    const allowed = Array.from({ length: 32 }, (_, bit) => bit).filter(
      (bit) => outcome(() => create(test, { flags: (MMAPABLE | (1 << bit)) >>> 0 })) === 'ok',
    );
    assert.deepEqual(allowed, [10, 17, 18]);
  });

  it('a refused arena leaves kernel memory as it was', () => {
    using test = new TestKernel([]);
    const before = test.kernel.memory.allocated;
    for (const [attributes, expected] of CREATION)
      if (expected !== 'ok') outcome(() => create(test, attributes));
    assert.equal(test.kernel.memory.allocated, before);
  });

  it('that finds no kernel memory for its bookkeeping leaves it as it was', () => {
    using test = new TestKernel([]);
    const map = { type: 33, keySize: 0, valueSize: 0, maxEntries: 2 ** 20, flags: MMAPABLE, name: 'arena' };
    const open = () => test.kernel.createMap({ ...map, mapExtra: START });
    const room = test.kernel.memory.allocate(2 ** 32 - 2 ** 26);
    const maps: EmbeddedMap[] = [];
    const before = test.kernel.memory.allocated;
    while (maps.length < 10 && outcome(() => maps.push(open())) === 'ok');
    assert.equal(outcome(open), 'ENOMEM');
    for (const each of maps.splice(0)) test.kernel.closeMap(each);
    assert.equal(test.kernel.memory.allocated, before);
    test.kernel.memory.free(room);
  });
});

const pages = (count: number) => count * PAGE_SIZE;
const hundred = pages(100);

/** Mappings one after the other, each with where it ends up or the errno. */
const MAPPINGS: readonly [
  string,
  Partial<MapAttributes>,
  readonly [ArenaMapping, bigint | ErrnoName | 'ok'][],
][] = [
  ['MAP_PRIVATE', {}, [[{ length: hundred, private: true }, 'EINVAL']]],
  ['an offset', {}, [[{ length: hundred, offset: 4096 }, 'EINVAL']]],
  ['no length', {}, [[{ length: 0 }, 'EINVAL']]],
  ['4 GiB', {}, [[{ length: 2 ** 32 }, 'ok']]],
  ['more than 4 GiB', {}, [[{ length: 2 ** 32 + 1 }, 'E2BIG']]],
  [
    'part of a page counts as a page',
    {},
    [
      [{ length: 5, address: START }, START],
      [{ length: 4096, address: START, fixed: true }, START],
    ],
  ],
  ['map_extra, but no address', { mapExtra: START }, [[{ length: hundred }, 'EINVAL']]],
  ['map_extra as a hint', { mapExtra: START }, [[{ length: hundred, address: START }, START]]],
  [
    'map_extra inexactly, as a hint',
    { mapExtra: START },
    [[{ length: hundred, address: START + 1n }, START]],
  ],
  [
    'map_extra with MAP_FIXED',
    { mapExtra: START },
    [[{ length: hundred, address: START, fixed: true }, START]],
  ],
  [
    'elsewhere than map_extra',
    { mapExtra: START },
    [[{ length: hundred, address: START + 0x10_0000n, fixed: true }, 'EINVAL']],
  ],
  [
    'shorter than map_extra says',
    { mapExtra: START },
    [
      [{ length: pages(50), address: START }, 'EINVAL'],
      [{ length: hundred, address: START }, START],
    ],
  ],
  ['longer than map_extra says', { mapExtra: START }, [[{ length: pages(101), address: START }, 'E2BIG']]],
  ['a hint', {}, [[{ length: hundred, address: START }, START]]],
  ['a hint inside a page', {}, [[{ length: hundred, address: START + 0xfffn }, START]]],
  ['MAP_FIXED inside a page', {}, [[{ length: hundred, address: START + 1n, fixed: true }, 'EINVAL']]],
  [
    'across a 4 GiB boundary goes to the boundary',
    {},
    [[{ length: hundred, address: START - 0x1000n }, START]],
  ],
  [
    'across a boundary with MAP_FIXED, too',
    {},
    [[{ length: hundred, address: START - 0x1000n, fixed: true }, START]],
  ],
  ['up to a 4 GiB boundary', {}, [[{ length: hundred, address: START - 0x64000n }, START - 0x64000n]]],
  ['shorter than max_entries', {}, [[{ length: pages(50) }, 'ok']]],
  ['longer than max_entries', {}, [[{ length: pages(200) }, 'ok']]],
  ...(
    [
      ['larger', { length: pages(101) }, 'E2BIG'],
      ['larger, in place', { length: pages(101), address: START, fixed: true }, 'E2BIG'],
      ['smaller', { length: pages(50) }, 'EINVAL'],
      ['smaller, in place', { length: pages(50), address: START, fixed: true }, 'EINVAL'],
      ['anywhere', { length: hundred }, 'EINVAL'],
      ['elsewhere', { length: hundred, address: START + 0x100_0000n }, 'EINVAL'],
      ['elsewhere with MAP_FIXED', { length: hundred, address: START + 0x100_0000n, fixed: true }, 'EINVAL'],
      ['in place as a hint', { length: hundred, address: START }, 'EBUSY'],
      ['in place with MAP_FIXED', { length: hundred, address: START, fixed: true }, START],
      ['private', { length: hundred, private: true }, 'EINVAL'],
    ] as const
  ).map(([name, mapping, expected]): (typeof MAPPINGS)[number] => [
    `a second time, ${name}`,
    {},
    [
      [{ length: hundred, address: START, fixed: true }, START],
      [mapping, expected],
    ],
  ]),
];

describe('mapping an arena', () => {
  for (const [name, attributes, mappings] of MAPPINGS) {
    it(`${name}: ${mappings.map(([, expected]) => (typeof expected === 'bigint' ? 'there' : expected)).join(', then ')}`, () => {
      using test = new TestKernel([]);
      const arena = create(test, attributes);
      for (const [mapping, expected] of mappings) {
        if (typeof expected === 'bigint') assert.equal(arena.mmap(mapping), expected);
        else
          assert.equal(
            outcome(() => arena.mmap(mapping)),
            expected,
          );
      }
    });
  }

  it('what no mapping and no map_extra placed has no user address', () => {
    using test = new TestKernel([]);
    assert.throws(() => create(test).userVmStart, {
      code: 'EINVAL',
      message: "arena's user address must be set via map_extra or mmap()",
    });
  });
});

/** Calls of the kfuncs and accesses, each with its arguments and result, in the order in which Linux was given them. */
interface Sequence {
  name: string;
  maxEntries: number;
  mapExtra?: string;
  /** Pages mapped, when not max_entries. */
  mapped?: number;
  steps: [operation: keyof typeof OPERATIONS, args: string, result: string][];
}

const OPERATIONS = {
  alloc: 'r5 = r3; r3 = r2; r2 = r1; r1 = MAP 0; r4 = -1; call bpf_arena_alloc_pages; exit',
  free: 'r3 = r2; r2 = r1; r1 = MAP 0; call bpf_arena_free_pages; r0 = 0; exit',
  reserve: 'r3 = r2; r2 = r1; r1 = MAP 0; call bpf_arena_reserve_pages; exit',
  poke: 'r1 = addr_space_cast(r1, 0, 1); *(u64 *)(r1 + 0) = r2; r0 = *(u64 *)(r1 + 0); exit',
  peek: 'r1 = addr_space_cast(r1, 0, 1); r0 = *(u64 *)(r1 + 0); exit',
};

const sequences: Sequence[] = JSON.parse(
  readFileSync(new URL('testdata/arena-pages.json', import.meta.url), 'utf8'),
);

describe('pages are handed out, freed and reserved as Linux does', () => {
  for (const { name, maxEntries, mapExtra, mapped, steps } of sequences) {
    // The contract suite has those that are mapped as large as they are.
    if (mapped === undefined) continue;
    it(name, () => {
      using test = new TestKernel([]);
      const map = test.kernel.createMap({
        ...ARENA,
        name: 'arena',
        maxEntries,
        mapExtra: BigInt(mapExtra ?? 0),
      });
      (map as ArenaMap).arena.mmap({
        length: pages(mapped),
        address: BigInt(mapExtra ?? START),
        fixed: true,
      });
      test.maps.push(map);
      steps.forEach(([operation, args, result], i) => {
        const { r0 } = test.run(OPERATIONS[operation], ...args.split(' '));
        assert.equal(`0x${r0.toString(16)}`, result, `step ${i}: ${operation}(${args})`);
      });
    });
  }

  it('below its start an arena has nothing to free', () => {
    // Linux counts the distance modulo 4 GiB and marks pages as free that the arena does not have.
    using test = new TestKernel([{ ...ARENA, maxEntries: 4, mapExtra: START + 0x1_0000n }]);
    test.run(OPERATIONS.free, START + 0xf000n, 2);
    assert.equal(test.run(OPERATIONS.alloc, 0, 4, 0).r0, START + 0x1_0000n);
    assert.equal(test.run(OPERATIONS.alloc, 0, 1, 0).r0, 0n);
  });
});
