import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { embedded, type Kernel, type LoadedObject } from '../../src/index.ts';
import { onBothKernels } from '../../test/contract/kernels.ts';
import { BITS, type Command, OPTION, Port, type Result, startStore } from './commands.ts';

/** What each command does, alone and in batches. Memory, growth and several CPUs: memory.test.ts, tools/kv-stress.ts. */

const NOW = 1000;

const get = (key: string, options = 0): Command => ({ op: 'get', key, options: options | OPTION.value });
const set = (key: string, value: string, more: Partial<Command> = {}): Command => ({
  op: 'set',
  key,
  value,
  ...more,
});
const statuses = (results: readonly Result[]) => results.map(({ status }) => status).join(', ');
const values = (results: readonly Result[]) => results.map(({ value }) => value);

function declare(make: () => Kernel & Disposable): void {
  let kernel: Kernel & Disposable;
  let loaded: LoadedObject;
  let port: Port;
  before(async () => {
    kernel = make();
    loaded = await startStore(kernel, { budget: 4096, programs: ['kv_batch', 'kv_walk'] });
    port = new Port(loaded);
    loaded.globals.kv.now = NOW;
  });
  after(() => {
    port[Symbol.dispose]();
    loaded.close();
    kernel[Symbol.dispose]();
  });

  it('gives what was set, until it is deleted', () => {
    const [miss, stored, hit, deleted, again, gone] = port.run([
      get('one'),
      set('one', 'the value', { flags: 42 }),
      get('one'),
      { op: 'delete', key: 'one' },
      { op: 'delete', key: 'one' },
      get('one'),
    ]);
    assert.equal(statuses([miss, stored, hit]), 'not found, ok, ok');
    assert.deepEqual([hit.value, hit.flags, hit.cas], ['the value', 42, stored.cas]);
    assert.equal(statuses([deleted, again, gone]), 'ok, not found, not found');
  });

  it('keeps keys and values of every length apart', () => {
    const keys = Array.from({ length: 250 }, (_, i) => 'k'.repeat(i + 1));
    const valueFor = (key: string) => String.fromCharCode(key.length).repeat((key.length * 7) % 300);
    port.run(keys.map((key) => set(key, valueFor(key))));
    assert.deepEqual(values(port.run(keys.map((key) => get(key)))), keys.map(valueFor));
  });

  it('add stores only what is not there, replace only what is', () => {
    const add: Command = { op: 'add', key: 'two', value: 'added' };
    const replace: Command = { op: 'replace', key: 'two', value: 'replaced' };
    const results = port.run([replace, add, add, get('two'), replace, get('two')]);
    assert.equal(statuses(results), 'not stored, ok, not stored, ok, ok, ok');
    assert.deepEqual([results[3].value, results[5].value], ['added', 'replaced']);
  });

  it('a store with a CAS number stores only over the item that has it', () => {
    const ifCas = { options: OPTION.ifCas, cas: 1n };
    const { cas } = port.one(set('three', '1'));
    assert.equal(statuses(port.run([set('3', '', ifCas), set('three', '2', ifCas)])), 'not found, exists');
    assert.equal(port.one(set('three', '2', { ...ifCas, cas })).status, 'ok');
    assert.equal(port.one(set('three', '3', { ...ifCas, cas })).status, 'exists');
    assert.equal(port.one(set('three', '3', { options: OPTION.newCas, newCas: 77n })).cas, 77n);
    const [append, incr, remove] = (['append', 'incr', 'delete'] as const).map((op) =>
      port.one({ op, key: 'three', ...ifCas, number: 1n }),
    );
    assert.equal(statuses([append, incr, remove, port.one(get('three'))]), 'exists, exists, exists, ok');
  });

  it('append and prepend put values of any lengths together', () => {
    const letters = 'abcdefghijklmnopqrst';
    for (let old = 0; old < 20; old++) {
      for (const length of [0, 1, 7, 8, 9, 20]) {
        const more = letters.slice(0, length).toUpperCase();
        const [, , appended, , prepended] = port.run([
          set('four', letters.slice(0, old), { flags: 9 }),
          { op: 'append', key: 'four', value: more },
          get('four'),
          { op: 'prepend', key: 'four', value: more },
          get('four'),
        ]);
        assert.deepEqual(
          [appended.value, prepended.value, prepended.flags],
          [letters.slice(0, old) + more, more + letters.slice(0, old) + more, 9],
        );
      }
    }
    const nothing = port.run([
      { op: 'append', key: 'none', value: 'x' },
      { op: 'prepend', key: 'none', value: 'x', options: OPTION.vivify },
      get('none'),
    ]);
    assert.equal(statuses(nothing), 'not stored, ok, ok');
  });

  it('incr and decr count in decimal, within 64 bits', () => {
    const count = (op: 'incr' | 'decr', number: bigint, options = 0): Command => ({
      op,
      key: 'five',
      number,
      options,
      initial: 12n,
      vivifyExpires: NOW + 9,
    });
    assert.equal(port.one(count('incr', 1n)).status, 'not found');
    const made = port.one(count('incr', 1n, OPTION.vivify));
    assert.deepEqual([made.value, port.one(get('five')).expires], ['12', NOW + 9]);
    port.one(set('five', '5'));
    const results = port.run([
      count('incr', 4n),
      count('incr', 1n),
      count('decr', 1n),
      get('five'),
      count('decr', 100n),
    ]);
    // As with memcached: what has become shorter is followed by spaces, in the value but not in the answer.
    assert.deepEqual(values(results), ['9', '10', '9', '9 ', '0']);
    port.one(set('five', '18446744073709551615'));
    assert.deepEqual(values(port.run([count('incr', 2n), get('five')])), ['1', `1${' '.repeat(19)}`]);
    for (const text of ['', 'x', '1x', '-1', '18446744073709551616'])
      assert.equal(statuses(port.run([set('five', text), count('incr', 1n)])), 'ok, not a number', text);
    assert.deepEqual(values(port.run([set('five', ' +7 '), count('incr', 1n)]))[1], '8');
  });

  it('an item has expired when its time has come, and touch sets another one', () => {
    const until = (expires: number) => set('six', 'v', { expires });
    assert.equal(
      statuses(port.run([until(NOW), get('six'), until(NOW + 1), get('six')])),
      'ok, not found, ok, ok',
    );
    const touches = port.run([
      { op: 'touch', key: 'six', expires: NOW + 5 },
      { ...get('six', OPTION.touch), expires: NOW + 10 },
      { op: 'touch', key: 'never there', expires: 1 },
    ]);
    assert.deepEqual([statuses(touches), touches[1].expires], ['ok, ok, not found', NOW + 10]);
    loaded.globals.kv.now = NOW + 9;
    assert.equal(port.one(get('six')).status, 'ok');
    loaded.globals.kv.now = NOW + 10;
    assert.equal(statuses(port.run([get('six'), { op: 'add', key: 'six', value: '' }])), 'not found, ok');
    loaded.globals.kv.now = NOW;
  });

  it('a flush ends what was stored before it, now or later', () => {
    const results = port.run([set('seven', ''), { op: 'flush', key: '' }, get('seven'), set('seven', '')]);
    assert.equal(statuses([...results, port.one(get('seven'))]), 'ok, ok, not found, ok, ok');
    port.run([set('seven', ''), { op: 'flush', key: '', expires: NOW + 2 }]);
    assert.equal(port.one(get('seven')).status, 'ok');
    loaded.globals.kv.now = NOW + 2;
    assert.equal(statuses(port.run([get('seven'), set('seven', ''), get('seven')])), 'not found, ok, ok');
    loaded.globals.kv.now = NOW;
  });

  it('says when an item was used before, and whether it was hit', () => {
    port.one(set('eight', ''));
    loaded.globals.kv.now = NOW + 5;
    const quiet = port.run([get('eight', OPTION.quiet), get('eight', OPTION.quiet)]);
    assert.deepEqual(
      quiet.map(({ accessed, item }) => [accessed, item]),
      [
        [NOW, 0],
        [NOW, 0],
      ],
    );
    const used = port.run([get('eight'), get('eight')]);
    assert.deepEqual(
      used.map(({ accessed, item }) => [accessed, item]),
      [
        [NOW, 0],
        [NOW + 5, BITS.fetched],
      ],
    );
    loaded.globals.kv.now = NOW;
  });

  it('of those who find nothing, or something stale, one wins', () => {
    const vivify: Command = { ...get('nine', OPTION.vivify), vivifyExpires: NOW + 30 };
    const [first, second] = port.run([
      vivify,
      { ...vivify, options: (vivify.options ?? 0) | OPTION.recache },
    ]);
    assert.deepEqual(
      [first.item, first.status, second.item, second.value],
      [BITS.won, 'ok', BITS.winSent | BITS.fetched, ''],
    );
    const { cas } = port.one(set('nine', 'fresh'));
    const recache: Command = { ...get('nine', OPTION.recache), recacheBefore: NOW + 10 };
    port.one({ op: 'touch', key: 'nine', expires: NOW + 9 });
    const soon = port.run([recache, recache]);
    assert.deepEqual(
      soon.map(({ item }) => item),
      [BITS.won | BITS.fetched, BITS.winSent | BITS.fetched],
    );
    port.one({
      op: 'delete',
      key: 'nine',
      options: OPTION.invalidate | OPTION.touch,
      expires: NOW + 50,
    });
    const stale = port.run([get('nine'), { ...recache, recacheBefore: 0 }, { ...recache, recacheBefore: 0 }]);
    const bits = BITS.stale | BITS.fetched;
    assert.deepEqual(
      stale.map(({ item, value, expires }) => [item, value, expires]),
      [
        [bits, 'fresh', NOW + 50],
        [bits | BITS.won, 'fresh', NOW + 50],
        [bits | BITS.winSent, 'fresh', NOW + 50],
      ],
    );
    const late = set('nine', 'late', { options: OPTION.ifCas | OPTION.invalidate, cas });
    assert.equal(port.one(late).status, 'ok');
    assert.deepEqual(
      [port.one(get('nine')).item, port.one(get('nine')).value],
      [BITS.stale | BITS.winSent, 'late'],
    );
  });

  it('a delete may drop the value alone', () => {
    const drop: Command = { op: 'delete', key: 'ten', options: OPTION.dropValue };
    const { cas } = port.one(set('ten', 'value', { flags: 3, expires: NOW + 3 }));
    assert.equal(statuses(port.run([drop, { ...drop, key: '10' }])), 'ok, not found');
    const left = port.one(get('ten'));
    assert.deepEqual([left.status, left.value, left.flags, left.expires, left.cas], ['ok', '', 0, 0, cas]);
  });

  it('a large value is written into reserved memory, piece by piece', () => {
    const large = 'large value '.repeat(30_000).slice(0, 300_001);
    const reserve: Command = { op: 'reserve', key: 'eleven', valueBytes: large.length };
    const reserved = port.one(reserve);
    assert.deepEqual([reserved.status, port.one(get('eleven')).status], ['ok', 'not found']);
    port.bytesAt(reserved.address, large.length).write(large, 'latin1');
    const store: Command = {
      op: 'set',
      key: 'eleven',
      options: OPTION.reserved,
      number: reserved.address,
      valueBytes: large.length,
    };
    assert.equal(statuses(port.run([{ ...store, key: '11' }, store, store])), 'bad command, ok, bad command');
    const found = port.one({ op: 'get', key: 'eleven' });
    assert.deepEqual([found.status, found.valueBytes], ['ok', large.length]);
    assert.equal(port.one(get('eleven')).status, 'too large', 'the port of this test holds less');
    const { address } = port.one(reserve);
    const release: Command = { op: 'release', key: 'eleven', number: address };
    assert.equal(statuses(port.run([release, release])), 'ok, bad command');
    assert.equal(port.one({ ...reserve, valueBytes: (1 << 20) + 1 }).status, 'too large');
  });

  it('ends a batch where the results are full, and goes on in the next', () => {
    const value = 'v'.repeat(20_000);
    port.one(set('twelve', value));
    loaded.globals.kv.port[0].command_bytes = port.write(Array(10).fill(get('twelve'))).at(-1) ?? 0;
    loaded.programs.kv_batch.run({ ctx: new Uint8Array(8) });
    const { done, done_bytes, command_bytes } = loaded.globals.kv.port[0];
    assert.ok(done === 3 && done_bytes < command_bytes, `${done} are done`);
    assert.deepEqual(values(port.run(Array(10).fill(get('twelve')))), Array(10).fill(value));
  });

  it('refuses commands that cannot be', () => {
    const refused = port.run([
      { op: 'get', key: '' },
      get('after it nothing is known of where the next one begins'),
    ]);
    assert.equal(statuses(refused), 'bad command, not found');
    assert.equal(port.one({ op: 'reserve', key: 'k'.repeat(251), valueBytes: 1 }).status, 'bad command');
    assert.equal(
      loaded.programs.kv_batch.run({ ctx: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) }).retval | 0,
      -22,
    );
    assert.equal(
      loaded.programs.kv_batch.run({ ctx: Uint8Array.of(16, 0, 0, 0, 0, 0, 0, 0) }).retval | 0,
      -22,
    );
  });

  it('grows to a bucket for each item and a half, and a walk sees all', () => {
    port.one({ op: 'flush', key: '' });
    const keys = Array.from({ length: 9000 }, (_, i) => `key ${i}`);
    port.run(keys.map((key) => set(key, `${key}'s`, { flags: key.length })));
    assert.deepEqual(
      values(port.run(keys.map((key) => get(key)))),
      keys.map((key) => `${key}'s`),
    );
    const buckets = Number(loaded.globals.kv.state & 0xffffffffn);
    assert.ok(buckets >= 5900 && buckets < 7000, `${buckets} buckets`);
    const walked = port.walk();
    assert.deepEqual(walked.map(({ key }) => key).sort(), keys.toSorted());
    assert.ok(
      walked.every(({ key, flags, valueBytes }) => flags === key.length && valueBytes === key.length + 2),
    );
  });
}

onBothKernels('the store', ({ open }) => declare(() => open()));
describe('the store, interpreted', () => declare(() => embedded({ engine: 'interpreter' })));
