import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { epollSettled } from '../../src/linux/epoll.ts';
import type { LinuxLoad } from '../../src/linux/load.ts';
import { PerfBuffer } from '../../src/linux/perf-buffer.ts';
import type { PerfBufferOptions } from '../../src/perf-ring.ts';
import { onLinux } from '../contract/kernels.ts';
import { loadBuffers, numberOf, perfOutput } from './buffers.ts';
import { resources } from './resources.ts';

/** What programs send to a perf buffer, and what its reader gets. */

/** Header, size, 16 bytes, padding. */
const RECORD_BYTES = 32;
const PAGE_SIZE = 4096;
const ENOENT = 2;

async function withPerf(
  work: (perf: PerfBuffer, load: LinuxLoad) => void | Promise<void>,
  options?: PerfBufferOptions,
): Promise<void> {
  const load = await loadBuffers();
  const perf = new PerfBuffer(load.maps.events, options);
  try {
    await work(perf, load);
  } finally {
    perf.close();
    load.close();
    await epollSettled();
  }
}

/** Everything in the buffer, as `number@cpu` and `-lost@cpu`. */
function takeAll(perf: PerfBuffer): string[] {
  const seen: string[] = [];
  for (let record = perf.take(); record !== undefined; record = perf.take()) {
    if (record.kind === 'lost') seen.push(`-${record.count}@${record.cpu}`);
    else seen.push(`${numberOf(record.data)}@${record.cpu}`);
  }
  return seen;
}

onLinux('perf buffer', () => {
  it('records say which CPU they come from', async () => {
    await withPerf((perf, load) => {
      assert.equal(perfOutput(load, 10, 0), 0);
      assert.equal(perfOutput(load, 11, 0), 0);
      assert.deepEqual(takeAll(perf), ['10@0', '11@0']);
    });
  });

  it('records come whole and in order, also over the end of the ring', async () => {
    await withPerf(
      (perf, load) => {
        for (let number = 0; number < (5 * PAGE_SIZE) / RECORD_BYTES; number++) {
          perfOutput(load, number, 0);
          const record = perf.take();
          assert.ok(record?.kind === 'record');
          assert.deepEqual([...new BigUint64Array(record.data.slice(0, 16).buffer)], [BigInt(number), 0n]);
        }
      },
      { bytesPerCpu: PAGE_SIZE },
    );
  });

  it('what a full ring has no room for is lost, and how many were is said', async () => {
    await withPerf(
      (perf, load) => {
        const room = PAGE_SIZE / RECORD_BYTES;
        for (let number = 0; number < room + 10; number++) perfOutput(load, number, 0);
        const kept = takeAll(perf);
        perfOutput(load, 1000, 0);
        const after = takeAll(perf);
        assert.equal(after.at(-1), '1000@0');
        assert.equal(after.at(-2), `-${room + 10 - kept.length}@0`);
      },
      { bytesPerCpu: PAGE_SIZE },
    );
  });

  it('a reader that waits is woken, whichever CPU sends', async () => {
    await withPerf(async (perf, load) => {
      const records = perf.records();
      for (let i = 0; i < 50; i++) {
        const next = records.next();
        if (i % 2 === 0) await delay(0);
        const cpu = i % availableParallelism();
        perfOutput(load, i, cpu);
        const { value } = await next;
        assert.ok(value?.kind === 'record');
        assert.deepEqual([numberOf(value.data), value.cpu], [i, cpu]);
      }
    });
  });

  it('closing ends a reader that waits, and takes the rings out of the map', async () => {
    await withPerf(async (perf, load) => {
      const waiting = perf.records().next();
      await delay(5);
      perf.close();
      assert.deepEqual(await waiting, { value: undefined, done: true });
      assert.equal(perfOutput(load, 1, 0) | 0, -ENOENT);
    });
  });

  it('a size that is no power of two of pages is refused', async () => {
    await withPerf((_perf, load) => {
      for (const bytesPerCpu of [0, PAGE_SIZE / 2, 3 * PAGE_SIZE]) {
        assert.throws(() => new PerfBuffer(load.maps.events, { bytesPerCpu }), {
          code: 'EINVAL',
          message: `perf buffer 'events': a ring of ${bytesPerCpu} bytes is no power of two of pages (${PAGE_SIZE} bytes)`,
        });
      }
    });
  });

  it('200 times opened, waited for and closed, it leaves no descriptor, mapping or thread', async () => {
    const load = await loadBuffers();
    const cycle = async () => {
      const perf = new PerfBuffer(load.maps.events, { bytesPerCpu: PAGE_SIZE });
      const waiting = perf.records().next();
      await delay(0);
      perf.close();
      await waiting;
    };
    await cycle();
    await epollSettled();
    const before = resources();
    for (let i = 0; i < 200; i++) await cycle();
    await epollSettled();
    assert.deepEqual(resources(), before);
    load.close();
  });
});
