import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { epollSettled } from '../../src/linux/epoll.ts';
import { addressOf, syscallOnThread } from '../../src/linux/ffi.ts';
import { COMMANDS, encodeStruct } from '../../src/linux/layouts.ts';
import type { LinuxLoad } from '../../src/linux/load.ts';
import { RingBuffer } from '../../src/linux/ring-buffer.ts';
import { oneCpu, onLinux } from '../contract/kernels.ts';
import { contextOf, loadBuffers, numberOf, ringOutput } from './buffers.ts';
import { resources } from './resources.ts';

/** What programs put into a ring buffer, and what its reader gets. */

const RING_BYTES = 65_536;
/** Header and 16 bytes of data: not a divisor of the ring, so that records wrap. */
const RECORD_BYTES = 24;
const CAPACITY = Math.floor(RING_BYTES / RECORD_BYTES);
const BPF_RB_NO_WAKEUP = 1;

async function withRing(work: (ring: RingBuffer, load: LinuxLoad) => void | Promise<void>): Promise<void> {
  const load = await loadBuffers();
  const ring = new RingBuffer(load.maps.ring);
  try {
    await work(ring, load);
  } finally {
    ring.close();
    load.close();
    await epollSettled();
  }
}

/** All numbers in the ring; asserts that each record is whole. */
function takeAll(ring: RingBuffer): number[] {
  const numbers: number[] = [];
  ring.drain((record) => {
    const [number, complement] = new BigUint64Array(record.buffer);
    assert.equal(record.length, 16);
    assert.equal(complement, BigInt.asUintN(64, ~number));
    numbers.push(Number(number));
  });
  return numbers;
}

const range = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i);

onLinux('ring buffer', () => {
  it('records come whole and in order, also over the end of the ring', async () => {
    await withRing((ring, load) => {
      for (let first = 0; first < 4 * CAPACITY; first += 1000) {
        assert.equal(ringOutput(load, { count: 1000, first }), 1000);
        assert.deepEqual(takeAll(ring), range(first, 1000));
      }
      assert.equal(ring.take(), undefined);
    });
  });

  it('discarded records are passed over', async () => {
    await withRing((ring, load) => {
      load.programs.ring_discard.run({ ctx: contextOf({ count: 6 }) });
      const numbers: number[] = [];
      ring.drain((record) => numbers.push(numberOf(record)));
      assert.deepEqual(numbers, [0, 2, 4]);
      assert.equal(ring.available, 0);
    });
  });

  it('a record that is not committed holds back those behind it', { skip: oneCpu }, async () => {
    await withRing(async (ring, load) => {
      const attr = encodeStruct(
        COMMANDS.prog_test_run[1],
        { prog_fd: load.programs.ring_busy.fdNumber },
        addressOf,
      );
      // On a busy machine the program may have committed before this thread looks: then it runs again.
      let held = false;
      for (let tries = 0; tries < 20 && !held; tries++) {
        const run = syscallOnThread('bpf', COMMANDS.prog_test_run[0], attr, attr.length);
        while (ring.available < 32) await delay(1);
        const early = ring.take();
        held = early === undefined;
        if (held) assert.equal(await ring.wait(), true);
        const first = early ?? ring.take()!;
        assert.deepEqual([1, 2], [numberOf(first), numberOf(ring.take()!)]);
        assert.equal(await run, 0);
      }
      assert.ok(held);
    });
  });

  it('a full ring keeps what it has, and has room again when it was read', async () => {
    await withRing((ring, load) => {
      assert.equal(ringOutput(load, { count: CAPACITY + 100 }), CAPACITY);
      assert.deepEqual(takeAll(ring), range(0, CAPACITY));
      assert.equal(ringOutput(load, { first: 7 }), 1);
      assert.deepEqual(takeAll(ring), [7]);
    });
  });

  it('iterating takes a record when the reader asks for one, not before', async () => {
    await withRing(async (ring, load) => {
      ringOutput(load, { count: 10 });
      let count = 0;
      for await (const record of ring) {
        assert.equal(numberOf(record), count++);
        assert.equal(ring.available, (10 - count) * RECORD_BYTES);
        if (count === 4) break;
      }
      assert.deepEqual(takeAll(ring), range(4, 6));
    });
  });

  it('a reader that waits is woken by a commit', async () => {
    await withRing(async (ring, load) => {
      const records = ring.records();
      for (let i = 0; i < 200; i++) {
        const next = records.next();
        if (i % 2 === 0) await delay(0);
        ringOutput(load, { first: i });
        assert.equal(numberOf((await next).value!), i);
      }
    });
  });

  it('a commit without a wake-up is seen with the next one', async () => {
    await withRing(async (ring, load) => {
      const next = ring.records().next();
      ringOutput(load, { first: 1, flags: BPF_RB_NO_WAKEUP });
      assert.equal(await Promise.race([next, delay(30, 'still waiting')]), 'still waiting');
      ringOutput(load, { first: 2, flags: 2 });
      assert.equal(numberOf((await next).value!), 1);
    });
  });

  it('readers of one ring share its records', async () => {
    await withRing(async (ring, load) => {
      const both = Promise.all([ring.records().next(), ring.records().next()]);
      ringOutput(load, { count: 2 });
      const numbers = (await both).map(({ value }) => numberOf(value!));
      assert.deepEqual(numbers.sort(), [0, 1]);
    });
  });

  it('timers run while a program fills the ring faster than it is read', async () => {
    await withRing(async (ring, load) => {
      setTimeout(() => ring.close(), 20);
      ringOutput(load, { count: 3 });
      let count = 0;
      for await (const _record of ring) count += ringOutput(load, { count: 3 });
      assert.ok(count > 1000, `${count} records`);
    });
  });

  it('closing ends a reader that waits', async () => {
    await withRing(async (ring) => {
      const waiting = ring.records().next();
      await delay(10);
      ring.close();
      assert.deepEqual(await waiting, { value: undefined, done: true });
      assert.throws(() => ring.take(), { code: 'EBADF' });
    });
  });

  it('aborting rejects a reader that waits, and loses nothing', async () => {
    await withRing(async (ring, load) => {
      const controller = new AbortController();
      const waiting = ring.records({ signal: controller.signal }).next();
      setTimeout(() => controller.abort(new Error('enough')), 10);
      await assert.rejects(waiting, /^Error: enough$/);
      ringOutput(load, { first: 5 });
      assert.deepEqual(takeAll(ring), [5]);
    });
  });

  it('many readers that wait leave the threads of Node to others', async () => {
    const loads = await Promise.all(range(0, 8).map(loadBuffers));
    const rings = loads.map(({ maps }) => new RingBuffer(maps.ring));
    const waiting = rings.map((ring) => ring.records().next());
    await delay(5);
    assert.match(await readFile('/proc/self/comm', 'latin1'), /./);
    assert.deepEqual(
      loads.map((load, first) => ringOutput(load, { first })),
      Array(8).fill(1),
    );
    assert.deepEqual(
      (await Promise.all(waiting)).map(({ value }) => numberOf(value!)),
      range(0, 8),
    );
    for (const ring of rings) ring.close();
    for (const load of loads) load.close();
    await epollSettled();
  });

  it('the reader outlives the map that was closed under it', async () => {
    await withRing((ring, load) => {
      ringOutput(load, { first: 3 });
      load.close();
      assert.deepEqual(takeAll(ring), [3]);
    });
  });

  it('a map of another type is refused', async () => {
    await withRing((_ring, load) => {
      assert.throws(() => new RingBuffer(load.maps.events), {
        code: 'EINVAL',
        message: "map 'events' is of type perf_event_array, not ringbuf",
      });
    });
  });

  it('200 times opened, waited for and closed, it leaves no descriptor, mapping or thread', async () => {
    await withRing(async (_ring, load) => {
      const cycle = async () => {
        const ring = new RingBuffer(load.maps.ring);
        const waiting = ring.records().next();
        await delay(0);
        ring.close();
        await waiting;
      };
      await cycle();
      await epollSettled();
      const before = resources();
      for (let i = 0; i < 200; i++) await cycle();
      await epollSettled();
      assert.deepEqual(resources(), before);
    });
  });

  it('a worker that waits can be terminated', async () => {
    const worker = new Worker(new URL('waiting-worker.ts', import.meta.url));
    await once(worker, 'message');
    assert.equal(await Promise.race([worker.terminate(), delay(5000, 'still there', { ref: false })]), 1);
  });

  it('a process that waits can exit', () => {
    const script = `
      import { loadBuffers } from ${JSON.stringify(new URL('buffers.ts', import.meta.url))};
      import { RingBuffer } from ${JSON.stringify(new URL('../../src/linux/ring-buffer.ts', import.meta.url))};
      const load = await loadBuffers();
      new RingBuffer(load.maps.ring).records().next();
      setTimeout(() => process.exit(7), 20);`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 10_000,
    });
    assert.deepEqual({ status, stderr }, { status: 7, stderr: '' });
  });
});
