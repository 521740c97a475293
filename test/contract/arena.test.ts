import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import type { ArenaMap } from '../../src/kernel.ts';
import { arenaOf, type Bench, type BenchMap, onAllEngines, outcome } from './kernels.ts';

/** The arena as programs and user space see it: FACTS "The map", "Pages" and "Access from programs", on both kernels. */

const PAGE_SIZE = 4096;
/** Above 2^46: below, the heap of JavaScript lies anywhere. */
const START = 0x4010_0000_0000n;
const START_HIGH = 0x4010;
const MMAPABLE = 1 << 10;
const SEGV_ON_FAULT = 1 << 17;
const NO_USER_CONV = 1 << 18;
const ARENA = { type: 33, keySize: 0, valueSize: 0, maxEntries: 16, flags: MMAPABLE, mapExtra: START };

const dataOf = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../src/embedded/testdata/${name}.json`, import.meta.url), 'utf8'));

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
  peek: 'r1 = MAP 0; r1 = addr_space_cast(r1, 0, 1); r0 = *(u64 *)(r1 + 0); exit',
};
const PEEK = 'r2 = MAP 0; r1 = addr_space_cast(r1, 0, 1); r0 = *(u64 *)(r1 + 0); exit';
const POKE = `r3 = MAP 0; ${OPERATIONS.poke}`;

const CREATION: readonly [Partial<BenchMap>, string][] = [
  [{}, 'ok'],
  [{ flags: MMAPABLE | SEGV_ON_FAULT }, 'ok'],
  [{ flags: MMAPABLE | NO_USER_CONV }, 'ok'],
  [{ flags: 0 }, 'EINVAL'],
  [{ flags: MMAPABLE | (1 << 7) }, 'EINVAL'],
  [{ flags: MMAPABLE | (1 << 2) }, 'EINVAL'],
  [{ keySize: 4 }, 'EINVAL'],
  [{ valueSize: 8 }, 'EINVAL'],
  [{ maxEntries: 0 }, 'EINVAL'],
  [{ maxEntries: 2 ** 20 }, 'ok'],
  [{ maxEntries: 2 ** 20, mapExtra: 0n }, 'ok'],
  [{ maxEntries: 2 ** 20 + 1 }, 'E2BIG'],
  [{ mapExtra: START + 1n }, 'EINVAL'],
  [{ mapExtra: START + 0xffff_f000n, maxEntries: 2 }, 'ERANGE'],
];

function readU64({ memory }: ArenaMap, offset: number): bigint {
  memory.touch(offset, 8, false);
  return memory.view.getBigUint64(offset, true);
}

function writeU64({ memory }: ArenaMap, offset: number, value: bigint): void {
  memory.touch(offset, 8, true);
  memory.view.setBigUint64(offset, value, true);
}

onAllEngines('creating an arena', (kernel) => {
  for (const [attributes, expected] of CREATION) {
    const text = Object.entries(attributes).map(([name, value]) => `${name} 0x${value?.toString(16)}`);
    it(`with ${text.join(', ') || 'nothing special'}: ${expected}`, () => {
      const create = () => kernel.bench([{ ...ARENA, ...attributes }])[Symbol.dispose]();
      assert.equal(outcome(create), expected);
    });
  }
});

onAllEngines('pages of an arena', (kernel) => {
  for (const { name, maxEntries, mapExtra, mapped, steps } of dataOf('arena-pages') as Sequence[]) {
    // A mapping that is shorter than the arena is made by hand, not by loading.
    if (mapped !== undefined) continue;
    it(name, () => {
      using bench = kernel.bench([{ ...ARENA, maxEntries, mapExtra: BigInt(mapExtra ?? START) }]);
      steps.forEach(([operation, args, result], i) => {
        const asm = operation === 'peek' ? PEEK : operation === 'poke' ? POKE : OPERATIONS[operation];
        const answer = bench.run(asm, ...args.split(' '));
        assert.equal(`0x${answer.toString(16)}`, result, `step ${i}: ${operation}(${args})`);
      });
    });
  }
});

onAllEngines('user space and an arena', (kernel) => {
  const open = (attributes: Partial<BenchMap> = {}): [Bench, ArenaMap] => {
    const bench = kernel.bench([{ ...ARENA, ...attributes }]);
    return [bench, arenaOf(bench)];
  };

  it('lies at map_extra, and its memory finds user addresses', () => {
    const [bench, arena] = open();
    using _ = bench;
    assert.equal(arena.userVmStart, START);
    assert.equal(arena.memory.addressOf(arena.offsetOf(START + 0x1008n)), START + 0x1008n);
    assert.equal(arena.bytes.length, 16 * PAGE_SIZE);
  });

  it('map operations: EINVAL, and EOPNOTSUPP for get_next_key', () => {
    const [bench, arena] = open();
    using _ = bench;
    const none = new Uint8Array();
    assert.equal(
      outcome(() => arena.lookup(none)),
      'EINVAL',
    );
    assert.equal(
      outcome(() => arena.update(none, none)),
      'EINVAL',
    );
    assert.equal(
      outcome(() => arena.delete(none)),
      'EINVAL',
    );
    assert.equal(
      outcome(() => arena.nextKey()),
      'EOPNOTSUPP',
    );
  });

  it('a touch faults a page in, zeroed, visible to programs and taken from allocation', () => {
    const [bench, arena] = open();
    using _ = bench;
    const offset = arena.offsetOf(START);
    assert.equal(readU64(arena, offset + 8), 0n);
    writeU64(arena, offset + 8, 42n);
    assert.equal(bench.run(PEEK, START + 8n), 42n);
    assert.equal(bench.run(OPERATIONS.alloc, 0, 16, 0), 0n);
    assert.equal(bench.run(OPERATIONS.alloc, START, 1, 0), 0n);
  });

  it('a reserved page is faulted in by a touch, too', () => {
    const [bench, arena] = open();
    using _ = bench;
    assert.equal(bench.run(OPERATIONS.reserve, START, 1), 0n);
    arena.touch(START, 8, true);
    writeU64(arena, arena.offsetOf(START), 7n);
    assert.equal(bench.run(PEEK, START), 7n);
  });

  it('a freed page reads 0 for both, whoever comes first', () => {
    const [bench, arena] = open();
    using _ = bench;
    const offset = arena.offsetOf(START);
    writeU64(arena, offset, 1n);
    bench.run(OPERATIONS.free, START, 1);
    assert.equal(bench.run(PEEK, START), 0n);
    bench.run(POKE, START, 5n);
    assert.equal(readU64(arena, offset), 0n);
  });

  it('outside the arena: EFAULT, for addresses and for pointers in memory', () => {
    const [bench, arena] = open();
    using _ = bench;
    const end = START + BigInt(16 * PAGE_SIZE);
    for (const address of [START - 1n, end, 0x1000n, START + (1n << 32n)])
      assert.equal(
        outcome(() => arena.offsetOf(address)),
        'EFAULT',
        `0x${address.toString(16)}`,
      );
    assert.equal(
      outcome(() => arena.touch(end - 4n, 8)),
      'EFAULT',
    );
    assert.equal(
      outcome(() => arena.memory.pointerTarget(0x20000, START_HIGH)),
      'EFAULT',
    );
    assert.equal(
      outcome(() => arena.memory.pointerTarget(0x1000, START_HIGH + 1)),
      'EFAULT',
    );
    assert.equal(arena.memory.pointerTarget(0x1000, START_HIGH), arena.memory);
  });

  it('with SEGV_ON_FAULT a touch of an absent page is EFAULT, and of a present one works', () => {
    const [bench, arena] = open({ flags: MMAPABLE | SEGV_ON_FAULT });
    using _ = bench;
    const offset = arena.offsetOf(START + 0x1000n);
    assert.equal(
      outcome(() => readU64(arena, offset)),
      'EFAULT',
    );
    assert.equal(
      outcome(() => writeU64(arena, offset, 1n)),
      'EFAULT',
    );
    assert.equal(
      outcome(() => arena.touch(START + 0x1000n, 1)),
      'EFAULT',
    );
    assert.equal(bench.run(OPERATIONS.alloc, START + 0x1000n, 1, 0), START + 0x1000n);
    writeU64(arena, offset, 9n);
    assert.equal(bench.run(PEEK, START + 0x1000n), 9n);
    assert.equal(arena.pageState(1), 'present');
    bench.run(OPERATIONS.free, START + 0x1000n, 1);
    assert.equal(
      outcome(() => readU64(arena, offset)),
      'EFAULT',
    );
  });

  it('once closed, a touch throws EBADF', () => {
    const [bench, arena] = open();
    arena.touch(START, 8, true);
    const { memory } = arena;
    bench[Symbol.dispose]();
    assert.equal(
      outcome(() => memory.touch(0, 8, false)),
      'EBADF',
    );
    assert.equal(
      outcome(() => arena.bytes),
      'EBADF',
    );
  });
});
