import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { type Command, OPTION, type Result } from '../../programs/kv/commands.ts';
import type { Kernel } from '../../src/index.ts';
import { syscall } from '../../src/linux/ffi.ts';
import { onBothKernels } from '../contract/kernels.ts';
import { type Frame, frame, PORT } from './frames.ts';
import { judge, type Stored } from './judge.ts';
import { AcceleratedStore, NOW, XDP_PASS, XDP_TX } from './store.ts';

/**
 * Answers that a CPU of the accelerator keeps: they are given as long as they are right, and not a command longer. Whether an answer came
 * from its slot shows when the slot is spoiled: then what is answered is, too.
 */

const OLD = 'the old value, by its letters';
/** Of the random walk. */
const STEPS = 2500;

/** What changes an item, and what there is to be said of it then: undefined where `get` may not be answered. */
const CHANGES: readonly [string, Command | Command[], string | undefined][] = [
  ['set', { op: 'set', key: 'x', value: 'new' }, 'new'],
  ['replace', { op: 'replace', key: 'x', value: 'newer', flags: 0 }, 'newer'],
  ['append', { op: 'append', key: 'x', value: '!' }, `${OLD}!`],
  ['prepend', { op: 'prepend', key: 'x', value: '!' }, `!${OLD}`],
  ['delete', { op: 'delete', key: 'x' }, undefined],
  [
    'delete and add',
    [
      { op: 'delete', key: 'x' },
      { op: 'add', key: 'x', value: 'again' },
    ],
    'again',
  ],
  ['a delete that keeps it empty', { op: 'delete', key: 'x', options: OPTION.dropValue }, ''],
  ['a delete that marks it stale', { op: 'delete', key: 'x', options: OPTION.invalidate }, undefined],
  ['a win', { op: 'get', key: 'x', options: OPTION.recache, recacheBefore: NOW + 1e6 }, undefined],
  ['touch with a time that has come', { op: 'touch', key: 'x', expires: NOW }, undefined],
  [
    'get and touch with a time that has come',
    { op: 'get', key: 'x', options: OPTION.touch, expires: 1 },
    undefined,
  ],
  ['flush', { op: 'flush', key: '' }, undefined],
  [
    'flush and set',
    [
      { op: 'flush', key: '' },
      { op: 'set', key: 'x', value: OLD },
    ],
    OLD,
  ],
];

/** Has this thread run on the CPU it is on. */
function stayOnOneCpu(): void {
  const mask = new Uint8Array(128);
  assert.ok(syscall('sched_getaffinity', 0, mask.length, mask) > 0);
  const first = mask.findIndex((byte) => byte !== 0);
  mask.fill(0, first + 1);
  mask[first] &= -mask[first];
  assert.equal(syscall('sched_setaffinity', 0, mask.length, mask), 0);
}

/** As kv_hash() does. The lower bits say which slots, and which bucket. */
function hashOf({ loaded }: AcceleratedStore, key: string): number {
  const odd = 0x9e3779b97f4a7c15n;
  const words = new BigUint64Array(32);
  new Uint8Array(words.buffer).set(Buffer.from(key, 'latin1'));
  const factors = loaded.globals.kv.factor as ArrayLike<bigint>;
  const sum = words.reduce((all, word, i) => all + word * factors[i], BigInt(key.length) * odd);
  const low = BigInt.asUintN(64, sum);
  return Number(BigInt.asUintN(64, (low ^ (low >> 32n)) * odd) >> 32n);
}

/** Of a CPU. */
function slotsOf({ loaded }: AcceleratedStore): number {
  const { hot_pages: pages, cpus } = loaded.globals.kv_xdp;
  return (Number(pages) * 4096) / 256 / Number(cpus);
}

onBothKernels('hot answers of the XDP program', ({ name, open }) => {
  let kernel: Kernel & Disposable;
  let store: AcceleratedStore;
  before(async () => {
    // Slots are a CPU's own.
    if (name === 'linux') stayOnOneCpu();
    kernel = open({ cpus: 2 });
    store = await AcceleratedStore.open(kernel);
  });
  after(() => {
    store[Symbol.dispose]();
    kernel[Symbol.dispose]();
  });

  const request = (key: string, more: Partial<Frame> = {}) => frame({ payload: `get ${key}\r\n`, ...more });
  /** Asks for a key, and holds what comes against what is stored; undefined where it passes. */
  const ask = (key: string, stored: Stored | undefined, more: Partial<Frame> = {}) => {
    const bytes = request(key, more);
    const { retval, packet } = store.run(bytes);
    const item = (name: string) => (name === key ? stored : undefined);
    const expected = judge(bytes, { port: PORT, item });
    assert.equal(retval, expected === undefined ? XDP_PASS : XDP_TX);
    assert.deepEqual(
      Buffer.from(packet).toString('latin1'),
      Buffer.from(expected ?? bytes).toString('latin1'),
    );
  };
  const text = (value: string, flags = 0): Stored => ({ value: Buffer.from(value, 'latin1'), flags });
  const done = (...results: Result[]) => {
    for (const { status } of results) assert.equal(status, 'ok');
  };
  /** Overwrites a value in slots. */
  const spoil = (value: string, by: string) => {
    const { arena, globals } = store.loaded;
    assert.ok(arena);
    const { hot, hot_pages: pages } = globals.kv_xdp;
    const start = arena.bytes.byteOffset + Number(BigInt(hot) - arena.userVmStart);
    const slots = Buffer.from(arena.bytes.buffer, start, 4096 * pages);
    const at = slots.indexOf(value);
    assert.ok(at > 0, 'a slot has it');
    slots.write(by, at, 'latin1');
    assert.equal(slots.indexOf(value), -1, 'no other slot has it');
  };
  const FRAMES: readonly [string, Partial<Frame>][] = [
    ['IPv4', {}],
    ['IPv4, its checksum left to a device', { checksum: 'partial' }],
    ['IPv4 without a checksum', { checksum: 'none' }],
    ['a VLAN tag', { vlans: [{ type: 0x8100, tag: 5 }] }],
    ['IPv6', { version: 6 }],
  ];

  for (const [what, more] of FRAMES) {
    it(`are given without a look at the item: ${what}`, () => {
      const value = `a value for ${what}`;
      done(store.port.one({ op: 'set', key: 'kept-aside', value, flags: 7 }));
      ask('kept-aside', text(value, 7), more);
      spoil(value, value.toUpperCase());
      ask('kept-aside', text(value.toUpperCase(), 7), more);
      ask('kept-aside', text(value.toUpperCase(), 7));
      // Until something happens to the item.
      done(store.port.one({ op: 'touch', key: 'kept-aside', expires: NOW + 100 }));
      ask('kept-aside', text(value, 7), more);
    });
  }

  for (const [what, commands, value] of CHANGES) {
    it(`are not given any more after ${what}`, () => {
      store.port.one({ op: 'delete', key: 'x' });
      done(store.port.one({ op: 'set', key: 'x', value: OLD, expires: NOW + 1000 }));
      ask('x', text(OLD));
      ask('x', text(OLD));
      done(...store.port.run([commands].flat()));
      ask('x', value === undefined ? undefined : text(value));
      ask('x', value === undefined ? undefined : text(value));
    });
  }

  it('follow a number that is counted, in place and in a new item', () => {
    done(store.port.one({ op: 'set', key: 'number-of-visits', value: '95' }));
    for (let n = 95; n < 105; n++) {
      ask('number-of-visits', text(`${n}`));
      ask('number-of-visits', text(`${n}`));
      done(store.port.one({ op: 'incr', key: 'number-of-visits', number: 1n }));
    }
  });

  it('end with the second: what expires is not given any more, and the item is marked as used again', () => {
    const { globals } = store.loaded;
    const look: Command = { op: 'get', key: 'expires-soon', options: OPTION.quiet };
    done(store.port.one({ op: 'set', key: 'expires-soon', value: OLD, expires: NOW + 2 }));
    for (let second = 0; second < 2; second++) {
      globals.kv.now = NOW + second;
      ask('expires-soon', text(OLD));
      ask('expires-soon', text(OLD));
      assert.equal(store.port.one(look).accessed, NOW + second);
    }
    globals.kv.now = NOW + 2;
    ask('expires-soon', undefined);
    globals.kv.now = NOW;
  });

  it('end when a hand has gone a quarter of its way: what is asked for is not evicted, though its slot could answer', () => {
    const { port, loaded } = store;
    const value = 'of a key that is asked for now and then'.padEnd(180, '.');
    done(
      port.one({ op: 'set', key: 'asked-for', value }),
      port.one({ op: 'set', key: 'not-asked-for', value }),
    );
    const passing = (round: number) => Array.from({ length: 4000 }, (_, i) => `passing ${round} ${i}`);
    const ROUNDS = 34;
    for (let round = 0; round < ROUNDS; round++) {
      // About an eighth of what there is room for.
      port.run(passing(round).map((key) => ({ op: 'set', key, value }) as const));
      ask('asked-for', text(value));
      ask('asked-for', text(value));
    }
    assert.equal(port.one({ op: 'get', key: 'not-asked-for' }).status, 'not found');
    assert.equal(loaded.programs.kv_statistics.run().retval, 0);
    const { evictions, items } = loaded.globals.kv.statistics.all;
    assert.ok(evictions > 3n * items, 'the hand has gone round three times');
    for (let round = 0; round < ROUNDS; round++)
      port.run(passing(round).map((key) => ({ op: 'delete', key }) as const));
    assert.equal(loaded.programs.kv_trim.run().retval, 0);
  });

  it('of two keys that go to one slot are both kept, and a third one has to be asked for more often', () => {
    const slots = slotsOf(store);
    const keys: string[] = [];
    for (let number = 0; keys.length < 3; number++)
      if ((hashOf(store, `pair-${number}`) & (slots - 1)) === 5) keys.push(`pair-${number}`);
    const [one, two, three] = keys;
    for (const key of keys) done(store.port.one({ op: 'set', key, value: `the value of ${key}.` }));
    // Whatever had these slots before has been hit 64 times at most.
    for (let i = 0; i < 150; i++) for (const key of [one, two]) ask(key, text(`the value of ${key}.`));
    for (const key of [one, two]) {
      spoil(`the value of ${key}.`, `THE VALUE OF ${key}.`);
      for (let i = 0; i < 3; i++) ask(key, text(`THE VALUE OF ${key}.`));
    }
    for (let i = 0; i < 20; i++) ask(three, text(`the value of ${three}.`));
    for (const key of [one, two]) ask(key, text(`THE VALUE OF ${key}.`));
    for (let i = 0; i < 150; i++) ask(three, text(`the value of ${three}.`));
    spoil(`the value of ${three}.`, `THE VALUE OF ${three}.`);
    ask(three, text(`THE VALUE OF ${three}.`));
    const left = [one, two].filter((key) => {
      const { packet } = store.run(request(key));
      return Buffer.from(packet).includes(`THE VALUE OF ${key}.`);
    });
    assert.equal(left.length, 1, 'it took the place of one of them');
  });

  it('do not survive their items: eviction, slabs that move, buckets that are split', () => {
    const { port, loaded } = store;
    const alive = (key: string) => port.one({ op: 'get', key, options: OPTION.value | OPTION.quiet });
    const keys = Array.from({ length: 40 }, (_, i) => `resident-${i}`);
    done(...port.run(keys.map((key) => ({ op: 'set', key, value: `of ${key}` }) as const)));
    let [gone, kept, round] = [0, 0, 0];
    const fill = (count: number, bytes: number) => {
      const value = 'f'.repeat(bytes);
      round++;
      port.run(
        Array.from({ length: count }, (_, i) => ({ op: 'set', key: `${round} ${i}`, value }) as const),
      );
      // A few stay in use; the others are asked for when some more items have come.
      for (const key of keys.filter((_, i) => i < 4 || (i + round) % 10 === 0)) {
        const { status, value: found } = alive(key);
        ask(key, status === 'ok' ? text(found ?? '') : undefined);
        if (status === 'ok') kept++;
        else gone++;
      }
    };
    // Buckets are split; then small items make room for each other, and then slabs of them for large ones.
    for (let i = 0; i < 90; i++) fill(900, 30);
    for (let i = 0; i < 90; i++) fill(15, 6000);
    assert.equal(loaded.programs.kv_statistics.run().retval, 0);
    const { buckets, all } = loaded.globals.kv.statistics;
    assert.ok(buckets > 4096n && all.evictions > 0n && all.slabs_moved > 0n);
    assert.ok(kept > 0 && gone > 0, `${kept} were there, ${gone} were not`);
  });

  it('are of the key that is asked for, and no other that has the same slot and bucket', () => {
    const mask = Number(store.loaded.globals.kv.state >> 32n);
    const long = 'a-key-that-is-longer-than-what-goes-straight'.repeat(2);
    // Keys that differ at the beginning, at the end; those that begin like each other; and so where they are long.
    const shapes: readonly ((number: number, family: number) => string)[] = [
      (number) => `${`${number}`.padStart(8, '0')}same-until-the-end`,
      (number) => `the-same-until-the-end--${number + 1000}`,
      (number, family) => `${family}-${'r'.repeat(number % 55)}`,
      (number) => `${long}-${number + 1000}`,
      (number, family) => `${long}-${family}-${'r'.repeat(number % 140)}`,
    ];
    for (const shape of shapes) {
      let pair: string[] | undefined;
      for (let family = 1000; pair === undefined; family++) {
        assert.ok(family < 9000);
        const seen = new Map<number, string>();
        for (let number = 0; number < 140 && pair === undefined; number++) {
          const key = shape(number + 140 * (family - 1000), family);
          const bucket = hashOf(store, key) & mask;
          const other = seen.get(bucket) ?? key;
          if (other !== key) pair = [other, key].reverse();
          seen.set(bucket, key);
        }
      }
      // One whose slot is the first of theirs: what is there has the whole hash compared, what is in the second the key alone.
      const slot = hashOf(store, pair[0]) & (slotsOf(store) - 1);
      let before = 0;
      while ((hashOf(store, `in-front-${before}`) & (slotsOf(store) - 1)) !== slot) before++;
      const front = `in-front-${before}`;
      for (const key of [front, ...pair])
        done(store.port.one({ op: 'set', key, value: `of ${key}`.slice(-40) }));
      for (let hits = 0; hits < 200; hits++) ask(front, text(`of ${front}`));
      for (let i = 0; i < 12; i++)
        for (const [, more] of FRAMES) {
          // One that is kept, then the other, with the answer at hand that is not its own.
          for (const key of [front, front, pair[0], pair[0], pair[1]])
            ask(key, text(`of ${key}`.slice(-40)), more);
          if (i === 6) pair.reverse();
        }
    }
  });

  it('are those of the key, also where slots are short: many keys, asked for and changed at random', () => {
    const seed = Math.trunc(Math.random() * 1e9);
    let state = seed;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const { port, loaded } = store;
    port.one({ op: 'flush', key: '' });
    const model = new Map<string, { value: string; flags: number; expires: number }>();
    // Three times as many as there are slots, of all lengths; some are asked for much more often.
    const keys = Array.from({ length: 100 }, (_, i) => `k${i}${'-'.repeat((i * 7) % 90)}`);
    let now = NOW;
    for (let step = 0; step < STEPS; step++) {
      const key = keys[Math.min(random(keys.length), random(keys.length), random(keys.length))];
      const [, more] = FRAMES[random(9) < 5 ? 0 : random(FRAMES.length)];
      const old = model.get(key);
      const there = old !== undefined && (old.expires === 0 || old.expires > now) ? old : undefined;
      const what = random(40);
      if (what < 4) {
        const value = `${step} `.repeat(random(40));
        const [flags, expires] = [random(11), random(3) ? 0 : now + random(3)];
        done(port.one({ op: 'set', key, value, flags, expires }));
        model.set(key, { value, flags, expires });
      } else if (what === 4) {
        port.one({ op: 'delete', key });
        model.delete(key);
      } else if (what === 5 && there !== undefined) {
        done(port.one({ op: 'append', key, value: '+' }));
        there.value += '+';
      } else if (what === 6 && there !== undefined) {
        there.expires = now + random(3);
        done(port.one({ op: 'touch', key, expires: there.expires }));
      } else if (what === 7) loaded.globals.kv.now = ++now;
      else if (what === 8 && random(10) === 0) {
        done(port.one({ op: 'flush', key: '' }));
        model.clear();
      } else {
        const stored = there && text(there.value, there.flags);
        assert.doesNotThrow(() => ask(key, stored, more), `step ${step}, seed ${seed}`);
      }
    }
    loaded.globals.kv.now = NOW;
  });

  // On Linux the test of the server does that.
  if (name === 'embedded')
    it('are never older than the last command that was answered before the request, on any CPU', async () => {
      const program = store.loaded.programs.kv_xdp_answer;
      const data = frame({ payload: 'get counted-here\r\n' });
      let [stored, hot] = [0, 0];
      const set = () => {
        const { status } = store.port.one({ op: 'set', key: 'counted-here', value: `${stored + 1}` });
        assert.equal(status, 'ok');
        stored++;
      };
      set();
      for (let i = 0; i < 1500; i++) {
        const least = stored;
        const run = program.runOn(1, { data });
        // While it runs, or before, or after.
        for (let n = 0; n < i % 5; n++) set();
        const { retval, dataOut } = await run;
        // A writer was at it.
        if (retval === XDP_PASS) continue;
        const [, value] = /\r\n(\d+)\r\nEND\r\n$/.exec(Buffer.from(dataOut ?? []).toString('latin1')) ?? [];
        assert.ok(Number(value) >= least && Number(value) <= stored, `${value}, of ${least} to ${stored}`);
        if (i % 5 === 0) hot++;
      }
      assert.ok(hot > 100, `${hot} requests with nobody who writes`);
    });
});
