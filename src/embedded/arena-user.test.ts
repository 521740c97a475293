import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BPF_F_SEGV_ON_FAULT } from '../object/map-flags.ts';
import { type ArenaAddress, PAGE_SIZE } from './layout.ts';
import type { ArenaMap } from './maps/arena.ts';
import type { MapAttributes } from './maps/attributes.ts';
import { TestKernel } from './testdata/harness.ts';

/** User space's side of the arena: what a touch does, what it sees of programs, and what that costs in memory. */

const START = 0x10_0000_0000n;
const MMAPABLE = 1 << 10;
const NO_USER_CONV = 1 << 18;
const MIB = 2 ** 20;

const PEEK = 'r1 = addr_space_cast(r1, 0, 1); r0 = *(u64 *)(r1 + 0); exit';
const POKE = 'r1 = addr_space_cast(r1, 0, 1); *(u64 *)(r1 + 0) = r2; r0 = 0; exit';
const RESERVE = 'r3 = r2; r2 = r1; r1 = MAP 0; call bpf_arena_reserve_pages; exit';
const ALLOC = 'r5 = 0; r3 = r2; r2 = r1; r1 = MAP 0; r4 = -1; call bpf_arena_alloc_pages; exit';
const FREE = 'r3 = r2; r2 = r1; r1 = MAP 0; call bpf_arena_free_pages; r0 = 0; exit';

function open(attributes: Partial<MapAttributes> = {}) {
  const map = { type: 33, keySize: 0, valueSize: 0, maxEntries: 8, flags: MMAPABLE, mapExtra: START };
  const test = new TestKernel([{ ...map, ...attributes }]);
  const { arena } = test.maps[0] as ArenaMap;
  const touch = (user: bigint, writes = false) => arena.touch(arena.arenaAddress(user), 8, writes);
  return { test, arena, touch, [Symbol.dispose]: () => test.close() };
}

describe('a touch of user space', () => {
  it('faults an absent page in, zeroed, and programs see it', () => {
    using opened = open();
    const { arena, test, touch } = opened;
    touch(START + 0x1000n, true);
    assert.deepEqual(
      [0, 1, 2].map((page) => arena.pageState(page)),
      ['free', 'present', 'free'],
    );
    assert.equal(test.run(PEEK, START + 0x1000n).r0, 0n);
    new DataView(arena.memory.buffer).setBigUint64(0x1000, 42n, true);
    assert.equal(test.run(PEEK, START + 0x1000n).r0, 42n);
  });

  it('makes the page unavailable to allocation', () => {
    using opened = open();
    opened.touch(START);
    assert.equal(opened.test.run(ALLOC, START, 1).r0, 0n);
    assert.equal(opened.test.run(ALLOC, 0, 1).r0, START + 0x1000n);
  });

  it('populates reserved pages, too', () => {
    using opened = open();
    opened.test.run(RESERVE, START, 2);
    assert.deepEqual(opened.arena.statistics, { pages: 8, present: 0, reserved: 2, peak: 0 });
    opened.touch(START, true);
    assert.deepEqual(opened.arena.statistics, { pages: 8, present: 1, reserved: 1, peak: 1 });
  });

  it('is SIGSEGV on an absent page with BPF_F_SEGV_ON_FAULT', () => {
    using opened = open({ flags: MMAPABLE | BPF_F_SEGV_ON_FAULT });
    assert.throws(() => opened.touch(START), { code: 'EFAULT', message: /not present.*BPF_F_SEGV_ON_FAULT/ });
    opened.test.run(ALLOC, START, 1);
    opened.touch(START);
  });

  it('is SIGSEGV outside the mapping', () => {
    using opened = open();
    for (const user of [START - 8n, START + 0x8000n, START + 0x1_0000_0000n, 0n, 8n]) {
      assert.throws(() => opened.touch(user), { code: 'EFAULT', message: /outside the arena/ });
    }
    assert.throws(() => opened.touch(START + 0x7ffcn), { code: 'EFAULT' });
  });

  it('sees zeroes after a page was freed and faulted in again', () => {
    using opened = open();
    opened.touch(START, true);
    opened.test.run(POKE, START, -1n);
    opened.test.run(FREE, START, 1);
    assert.equal(opened.arena.pageState(0), 'free');
    assert.equal(opened.test.run(PEEK, START).r0, 0n);
    opened.touch(START);
    assert.equal(opened.test.run(PEEK, START).r0, 0n);
  });

  it('sees zeroes also where a late store of user space raced with the free', () => {
    using opened = open();
    opened.touch(START, true);
    opened.test.run(FREE, START, 1);
    opened.arena.window[8] = 1;
    assert.equal(opened.test.run(ALLOC, START, 1).r0, START);
    assert.equal(opened.test.run(PEEK, START + 8n).r0, 0n);
  });
});

describe('a mapping of another size than max_entries', () => {
  const map = (length: number) => {
    const test = new TestKernel([]);
    const attributes = {
      type: 33,
      keySize: 0,
      valueSize: 0,
      maxEntries: 4,
      flags: MMAPABLE,
      mapExtra: 0n,
      name: 'arena',
    };
    const { arena } = test.kernel.createMap(attributes) as ArenaMap;
    arena.mmap({ length: length * PAGE_SIZE, address: START });
    return { test, arena, [Symbol.dispose]: () => test.close() };
  };

  it('user space faults beyond a short one', () => {
    using opened = map(2);
    assert.equal(opened.arena.allocate(0x3000 as ArenaAddress, 1), -1);
    assert.throws(() => opened.arena.arenaAddress(START + 0x2000n), { code: 'EFAULT' });
  });

  it('user space faults pages in beyond max_entries of a long one', () => {
    using opened = map(6);
    opened.arena.touch(opened.arena.arenaAddress(START + 0x5000n), 8, true);
    assert.equal(opened.arena.pageState(5), 'present');
    assert.equal(opened.arena.allocate(undefined, 5), -1);
  });
});

const CASTS: readonly (readonly [bigint, bigint, bigint])[] = [
  [0n, 0n, 0n],
  [0x10n, START + 0x10n, 0x10n],
  [START + 0x10n, START + 0x10n, 0x10n],
  [0xdeadbeef_0000_0010n, START + 0x10n, 0x10n],
  [START, 0n, 0n],
];

it('cast_user adds the upper half of user_vm_start to all but 0; with BPF_F_NO_USER_CONV it is a 32-bit move', () => {
  using plain = open();
  using raw = open({ flags: MMAPABLE | NO_USER_CONV });
  const cast = 'r0 = addr_space_cast(r1, 1, 0); exit';
  for (const [value, converted, unconverted] of CASTS) {
    assert.equal(plain.test.run(cast, value).r0, converted);
    assert.equal(raw.test.run(cast, value).r0, unconverted);
  }
});

it('with BPF_F_NO_USER_CONV user space also follows pointers without an upper half', () => {
  using raw = open({ flags: MMAPABLE | NO_USER_CONV });
  assert.equal(raw.arena.arenaAddress(0x1000n), 0x1000);
  assert.throws(() => open().arena.arenaAddress(0x1000n), { message: /stored without cast_user/ });
});

describe('memory', () => {
  /** Bytes by which an action makes the process larger. */
  const growth = (action: () => void): number => {
    const before = process.memoryUsage.rss();
    action();
    return process.memoryUsage.rss() - before;
  };

  it('an arena of 4 GiB costs nothing until it is touched', () => {
    open({ maxEntries: MIB }).test.close();
    let opened: ReturnType<typeof open> | undefined;
    const grown = growth(() => {
      opened = open({ maxEntries: MIB });
    });
    opened?.test.close();
    assert.ok(grown < 4 * MIB, `${grown} bytes`);
  });

  it('pages that were never written are neither zeroed nor made resident', () => {
    using opened = open({ maxEntries: MIB });
    const { arena } = opened;
    const grown = growth(() => {
      for (let round = 0; round < 3; round++) {
        assert.equal(arena.allocate(undefined, MIB), 0);
        opened.test.run(PEEK, START + 0x7000_0000n);
        arena.free(0 as ArenaAddress, MIB);
      }
    });
    assert.equal(arena.statistics.peak, MIB);
    // Of 4 GiB; the byte table of the pages and the collector's slack are what is left.
    assert.ok(grown < 64 * MIB, `${grown} bytes`);
  });

  it('a program may fill a page after its arena was reused, and starts from zeroes', () => {
    for (let round = 0; round < 3; round++) {
      using opened = open();
      assert.equal(opened.test.run(ALLOC, 0, 8).r0, START);
      for (let page = 0n; page < 8n; page++) {
        assert.equal(opened.test.run(PEEK, START + page * 0x1000n).r0, 0n);
        opened.test.run(POKE, START + page * 0x1000n, -1n);
      }
    }
  });
});

it('a million single pages of 4 GiB, allocated and freed in random order, are each owned once and zeroed', () => {
  const count = 2 ** 20;
  const held = 250_000;
  using opened = open({ maxEntries: count, mapExtra: 0x10_0000_0000n });
  const { arena } = opened;
  const words = new Uint32Array(arena.memory.buffer);
  const owned: number[] = [];
  const taken = new Uint8Array(count);
  let state = 20260;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor(((state >>> 8) / 2 ** 24) * below);
  };
  for (let operation = 0; operation < 1_000_000; operation++) {
    if (random(2 * held) >= owned.length) {
      const address = arena.allocate(undefined, 1);
      const page = address / PAGE_SIZE;
      assert.ok(page >= 0 && page < count && taken[page] === 0 && words[address >>> 2] === 0, `page ${page}`);
      taken[page] = 1;
      owned.push(address);
      if (random(64) === 0) {
        arena.touch(address as ArenaAddress, 4, true);
        words[address >>> 2] = operation;
      }
    } else {
      const index = random(owned.length);
      const address = owned[index];
      owned[index] = owned[owned.length - 1];
      owned.pop();
      taken[address / PAGE_SIZE] = 0;
      arena.free(address as ArenaAddress, 1);
    }
  }
  assert.equal(arena.statistics.present, owned.length);
});
