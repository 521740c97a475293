import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kernel, LoadedObject } from '../../src/index.ts';
import { onBothKernels } from '../../test/contract/kernels.ts';
import { type Command, OPTION, Port, startStore } from './commands.ts';

/** Memory: what is evicted, whose pages go to whom, and that all of them come back. */

const BUDGET = 800;
const PROGRAMS = ['kv_batch', 'kv_expire', 'kv_statistics', 'kv_trim', 'kv_walk', 'kv_start_timer'];

const get = (key: string): Command => ({ op: 'get', key, options: OPTION.value });
const argument = (number: number) => {
  const ctx = new Uint8Array(8);
  new DataView(ctx.buffer).setUint32(4, number, true);
  return { ctx };
};

onBothKernels('the memory of the store', ({ open }) => {
  let kernel: Kernel & Disposable;
  let loaded: LoadedObject;
  let port: Port;
  before(async () => {
    kernel = open();
    loaded = await startStore(kernel, { budget: BUDGET, programs: PROGRAMS });
    port = new Port(loaded);
    loaded.globals.kv.now = 1000;
  });
  after(() => {
    port[Symbol.dispose]();
    loaded.close();
    kernel[Symbol.dispose]();
  });

  const statistics = () => {
    assert.equal(loaded.programs.kv_statistics.run().retval, 0);
    return loaded.globals.kv.statistics;
  };
  /** Stores values of that many bytes until so many bytes were stored. */
  const fill = (prefix: string, bytes: number, total: number) => {
    const value = 'v'.repeat(bytes);
    for (let at = 0; at < total / bytes; at += 50) {
      const commands = Array.from(
        { length: 50 },
        (_, i): Command => ({ op: 'set', key: `${prefix}${at + i}`, value }),
      );
      for (const { status } of port.run(commands)) assert.equal(status, 'ok');
      assert.ok(Number(loaded.globals.kv.pages) <= BUDGET);
    }
  };
  const hits = (prefix: string, count: number) =>
    port
      .run(Array.from({ length: count }, (_, i) => get(`${prefix}${i}`)))
      .filter(({ status }) => status === 'ok').length;

  it('is what was evicted when it is full, and what is used stays', () => {
    fill('used', 500, 100_000);
    // Asked for each time the hand may have come round.
    for (let i = 0; i < 12; i++) {
      fill(`new${i}-`, 500, 400_000);
      assert.ok(hits('used', 200) > 190, `${hits('used', 200)} of 200 are there, in round ${i}`);
    }
    const { evictions, stored, items } = statistics().all;
    assert.ok(evictions > 4000n, `${evictions} were evicted`);
    assert.equal(stored, items + evictions);
  });

  it('goes to the sizes that are wanted now', () => {
    fill('large', 7_000, 6_000_000);
    const pagesOf = (bytes: number) => {
      const classes = [...statistics().class];
      return classes.find(({ size }) => size >= bytes + 60)?.pages ?? 0;
    };
    assert.ok(pagesOf(7_000) > 400, `${pagesOf(7_000)} pages for what is stored now`);
    assert.ok(pagesOf(500) < 250, `${pagesOf(500)} pages for what was stored before`);
    fill('huge', 50_000, 6_000_000);
    assert.ok(statistics().class[31].pages > 400, 'pages for items that have their own');
    assert.equal(statistics().all.no_memory, 0n);
  });

  it('comes back when items expire, with a crawler that looks', () => {
    const soon: Command = { op: 'set', key: 'soon', value: '', expires: 1005 };
    port.run([{ op: 'flush', key: '' }, soon]);
    assert.equal(loaded.programs.kv_expire.run(argument(100_000)).retval, 0);
    assert.equal(statistics().all.items, 1n);
    loaded.globals.kv.now = 1005;
    assert.equal(loaded.programs.kv_expire.run(argument(100_000)).retval, 0);
    loaded.programs.kv_trim.run();
    const { all, pages, pages_ports, pages_table, class: classes } = statistics();
    assert.deepEqual([all.items, all.bytes], [0n, 0n]);
    assert.deepEqual(
      [...classes].map((each) => Number(each.pages) + Number(each.used_slots)),
      Array(32).fill(0),
    );
    // What is left are the store's own globals.
    assert.ok(pages - pages_ports - pages_table < 20n, `${pages} pages`);
    assert.ok(all.crawler_reclaimed > 0n);
  });

  it('a timer crawls, too', async () => {
    assert.equal(loaded.programs.kv_start_timer.run(argument(0)).retval | 0, -22);
    port.run([{ op: 'set', key: 'timed', value: '', expires: 1010 }]);
    loaded.globals.kv.now = 1010;
    assert.equal(loaded.programs.kv_start_timer.run(argument(2)).retval, 0);
    for (let i = 0; i < 1000 && statistics().all.items > 0n; i++) await sleep(2);
    assert.equal(statistics().all.items, 0n);
  });
});
