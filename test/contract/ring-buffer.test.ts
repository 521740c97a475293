import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { BpfMap } from '../../src/kernel.ts';
import { MAP_TYPES } from '../../src/object/map-types.ts';
import { type Bench, onAllEngines, outcome } from './kernels.ts';

/** Ring buffers, from the programs that fill them to the reader in user space, on both kernels. */

const SIZE = 4096;
/** r1: what to send, r2: flags. */
const OUTPUT = '*(u64 *)(r10 - 8) = r1; r4 = r2; r2 = r10; r2 += -8; r3 = 8; r1 = MAP 0; call 130; exit';
/** Likewise; only `r1` bytes, at most 8. */
const OUTPUT_BYTES =
  'r3 = r1; r3 &= 7; *(u64 *)(r10 - 8) = r1; r4 = 0; r2 = r10; r2 += -8; r1 = MAP 0; call 130; exit';
/** Reserves 24 bytes, fills them with r1, submits them, or discards them when r2 is not 0. */
const RESERVE = `r6 = r1; r7 = r2; r1 = MAP 0; r2 = 24; r3 = 0; call 131; if r0 == 0 goto full; *(u64 *)(r0 + 0) = r6; *(u64 *)(r0 + 8) = r6;
  *(u64 *)(r0 + 16) = r6; r1 = r0; r2 = 0; if r7 != 0 goto not; call 132; r0 = 0; exit; not: call 133; r0 = 0; exit; full: r0 = -1; exit`;
/** Reserves 8 bytes, sends r1 while they are reserved, then submits them. */
const NESTED = `r6 = r1; r1 = MAP 0; r2 = 8; r3 = 0; call 131; if r0 == 0 goto full; r7 = r0; *(u64 *)(r7 + 0) = 1; *(u64 *)(r10 - 8) = r6; r1 = MAP 0; r2 = r10;
  r2 += -8; r3 = 8; r4 = 0; call 130; r1 = MAP 0; r2 = 0; call 134; r6 = r0; r1 = r7; r2 = 0; call 132; r0 = r6; exit; full: r0 = -1; exit`;
const QUERY = 'r2 = r1; r1 = MAP 0; call 134; exit';
const errno = (value: bigint) => Number(BigInt.asIntN(32, value));

const numbers = (records: Uint8Array[]) =>
  records.map((record) => Number(new DataView(record.buffer).getBigUint64(0, true)));

function all(map: BpfMap): Uint8Array[] {
  using reader = map.reader();
  const records: Uint8Array[] = [];
  reader.drain((record) => records.push(record));
  return records;
}

onAllEngines('ring buffers', (kernel) => {
  const open = (): Bench =>
    kernel.bench([{ type: MAP_TYPES.ringbuf, keySize: 0, valueSize: 0, maxEntries: SIZE }]);

  it('records come in the order in which they were sent, of the size that they had', () => {
    using bench = open();
    for (let i = 0; i < 8; i++) assert.equal(errno(bench.run(OUTPUT_BYTES, i)), 0);
    assert.deepEqual(
      all(bench.maps[0]).map((record) => record.length),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
    assert.equal(errno(bench.run(OUTPUT, 77, 0)), 0);
    assert.deepEqual(numbers(all(bench.maps[0])), [77]);
  });

  it('a full ring gives EAGAIN, and NULL to reserve, until the reader has taken something', () => {
    using bench = open();
    let sent = 0;
    while (errno(bench.run(OUTPUT, sent, 0)) === 0) sent++;
    assert.equal(errno(bench.run(OUTPUT, sent, 0)), -11);
    assert.equal(errno(bench.run(RESERVE, 0, 0)), -1);
    // One byte less than the ring is the most that can be in it, and a record of 8 takes 16.
    assert.equal(sent, SIZE / 16 - 1);
    assert.deepEqual(numbers(all(bench.maps[0])), [...Array(sent).keys()]);
    assert.equal(errno(bench.run(OUTPUT, 5, 0)), 0);
  });

  it('nothing is lost or torn while the ring goes round many times', () => {
    using bench = open();
    using reader = bench.maps[0].reader();
    let next = 0;
    for (let i = 0; i < 2000; i++) {
      assert.equal(errno(bench.run(RESERVE, i, i % 3 === 0 ? 1 : 0)), 0);
      if (i % 50 !== 49) continue;
      reader.drain((record) => {
        if (next % 3 === 0) next++;
        const words = new BigUint64Array(record.buffer);
        assert.deepEqual([...words], [BigInt(next), BigInt(next), BigInt(next)]);
        next++;
      });
    }
    assert.equal(next, 2000);
  });

  it('what is reserved holds back what comes behind it', () => {
    using bench = open();
    assert.equal(Number(bench.run(NESTED, 2)), 32);
    assert.deepEqual(numbers(all(bench.maps[0])), [1, 2]);
  });

  it('a query tells bytes, size and positions', () => {
    using bench = open();
    for (let i = 0; i < 3; i++) bench.run(OUTPUT, i, 0);
    using reader = bench.maps[0].reader();
    reader.take();
    const answers = [0, 1, 2, 3, 99].map((what) => Number(bench.run(QUERY, what)));
    assert.deepEqual(answers, [32, SIZE, 16, 48, 0]);
  });

  it('other flags are refused', () => {
    using bench = open();
    assert.deepEqual(
      [0, 1, 2, 3, 4, 2 ** 32].map((flags) => errno(bench.run(OUTPUT, 1, flags))),
      [0, 0, 0, 0, -22, -22],
    );
  });

  it('a reader that waits is woken by a record, and ends when it is closed', async () => {
    using bench = open();
    const reader = bench.maps[0].reader();
    const waiting = reader.wait();
    await delay(1);
    bench.run(OUTPUT, 5, 0);
    assert.equal(await waiting, true);
    assert.deepEqual(numbers([reader.take() as Uint8Array]), [5]);
    const got: number[] = [];
    const reading = (async () => {
      for await (const record of reader) if (got.push(...numbers([record])) === 3) reader.close();
    })();
    for (let i = 10; i < 13; i++) bench.run(OUTPUT, i, 0);
    await reading;
    assert.deepEqual(got, [10, 11, 12]);
    assert.equal(
      outcome(() => reader.take()),
      'EBADF',
    );
  });

  it('waiting ends with the reason of its signal', async () => {
    using bench = open();
    using reader = bench.maps[0].reader();
    const stop = new AbortController();
    const waiting = reader.wait({ signal: stop.signal });
    stop.abort(new Error('enough'));
    await assert.rejects(waiting, /enough/);
  });

  it('a ring is a power of two of pages, and has no elements', () => {
    const create = (settings: object) =>
      outcome(() => {
        using _ = kernel.bench([
          { type: MAP_TYPES.ringbuf, keySize: 0, valueSize: 0, maxEntries: SIZE, ...settings },
        ]);
      });
    assert.equal(create({ keySize: 4 }), 'EINVAL');
    assert.equal(create({ valueSize: 4 }), 'EINVAL');
    assert.equal(create({ maxEntries: 0 }), 'EINVAL');
    assert.equal(create({ maxEntries: 2 * SIZE }), 'ok');
    using bench = open();
    const [map] = bench.maps;
    const none = new Uint8Array(0);
    const operations = [
      () => map.lookup(none),
      () => map.update(none, none),
      () => map.delete(none),
      () => map.nextKey(),
      () => map.lookupAndDelete(none),
      () => [...map.lookupBatches()],
    ];
    for (const operation of operations) assert.equal(outcome(operation), 'ENOTSUPP');
  });
});
