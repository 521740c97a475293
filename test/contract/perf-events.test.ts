import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { assembleObject, embedded, open } from '../../src/index.ts';
import type { BpfMap } from '../../src/kernel.ts';
import type { PerfRecord } from '../../src/perf-ring.ts';
import { type ContractKernel, onAllEngines, outcome } from './kernels.ts';
import { packet } from './packet-bench.ts';

/** Perf event arrays, from the programs that send to the reader in user space, on both kernels. */

/** Word 0 of the context: how many bytes, at most 16; word 1: flags; word 2: a number, which is sent, and its successor. */
const SEND = `
        r0 = 99
        r6 = *(u64 *)(r1 + 16)
        *(u64 *)(r10 - 16) = r6
        r6 += 1
        *(u64 *)(r10 - 8) = r6
        r5 = *(u64 *)(r1 + 0)
        if r5 > 16 goto none
        r3 = *(u64 *)(r1 + 8)
        r2 = events ll
        r4 = r10
        r4 += -16
        call bpf_perf_event_output
none:   exit`;
/** Sends 8 bytes, and as much of the packet as its first four bytes say. */
const SEND_PACKET = (data: number, end: number) => `
        r9 = r1
        r7 = *(u32 *)(r1 + ${data})
        r8 = *(u32 *)(r1 + ${end})
        r2 = r7
        r2 += 8
        if r2 > r8 goto none
        r3 = *(u32 *)(r7 + 0)
        r3 <<= 32
        r2 = 0xffffffff ll
        r3 |= r2
        r6 = 0x0706050403020100 ll
        *(u64 *)(r10 - 8) = r6
        r2 = events ll
        r4 = r10
        r4 += -8
        r5 = 8
        call bpf_perf_event_output
        exit
none:   r0 = 99
        exit`;

const HEAD = '.license "GPL"\n.map events, type=perf_event_array, key_size=4, value_size=4, max_entries=64\n';

async function load(kernel: ContractKernel, section: string, body: string, options = {}) {
  const text = `${HEAD}.section ${section}\n.func f : s32 (void *ctx)${body}\n`;
  const loaded = await (await open(assembleObject(text, 'perf.bpfasm'))).load(kernel.open(options));
  return { loaded, map: loaded.maps.events, f: loaded.programs.f };
}

const CURRENT_CPU = 0xffff_ffffn;

async function sender(kernel: ContractKernel) {
  const { loaded, map, f } = await load(kernel, 'raw_tp/f', SEND);
  const send = (number: number, size = 8, flags = CURRENT_CPU): number => {
    const ctx = new Uint8Array(BigUint64Array.of(BigInt(size), flags, BigInt(number)).buffer);
    return f.run({ ctx, cpu: 0 }).retval | 0;
  };
  return { map, send, [Symbol.dispose]: () => loaded.close() };
}

function all(reader: { take(): PerfRecord | undefined }): string[] {
  const seen: string[] = [];
  for (let record = reader.take(); record !== undefined; record = reader.take()) {
    if (record.kind === 'lost') seen.push(`lost ${record.count}`);
    else seen.push(`${new DataView(record.data.buffer, record.data.byteOffset).getUint32(0, true)}`);
  }
  return seen;
}

const key = (index: number) => new Uint8Array(Uint32Array.of(index).buffer);

onAllEngines('perf event arrays', (kernel) => {
  it('records come whole and in order, with the CPU that they are from', async () => {
    using perf = await sender(kernel);
    using reader = perf.map.perfReader({ bytesPerCpu: 4096 });
    for (let i = 0; i < 1000; i++) {
      assert.equal(perf.send(i, 16), 0);
      const record = reader.take();
      assert.ok(record?.kind === 'record' && record.cpu === 0);
      assert.deepEqual([...new BigUint64Array(record.data.slice(0, 16).buffer)], [BigInt(i), BigInt(i + 1)]);
    }
    assert.equal(reader.take(), undefined);
  });

  it('a record has as many bytes as were sent, padded to a multiple of 8 less 4', async () => {
    using perf = await sender(kernel);
    using reader = perf.map.perfReader();
    const sizes = Array.from({ length: 16 }, (_, size) => {
      assert.equal(perf.send(0x01010101, size), 0);
      const record = reader.take();
      return record?.kind === 'record' ? record.data.length : -1;
    });
    assert.deepEqual(sizes, [4, 4, 4, 4, 4, 12, 12, 12, 12, 12, 12, 12, 12, 20, 20, 20]);
  });

  it('what a full ring has no room for is counted, and told before the next record', async () => {
    using perf = await sender(kernel);
    using reader = perf.map.perfReader({ bytesPerCpu: 4096 });
    let sent = 0;
    while (perf.send(sent) === 0) sent++;
    assert.equal(perf.send(sent), -28);
    // A record of 8 bytes takes 24, and one byte stays free.
    assert.equal(sent, Math.floor(4095 / 24));
    reader.take();
    // No room for the record and for the one that says what was lost.
    assert.equal(perf.send(1), -28);
    reader.take();
    assert.equal(perf.send(777), 0);
    const seen = all(reader);
    assert.deepEqual(seen.slice(-3), [`${sent - 1}`, 'lost 3', '777']);
    assert.equal(perf.send(778), 0);
    assert.deepEqual(all(reader), ['778']);
  });

  it('only the own CPU can be written to, by its number too; flags that are none are refused', async () => {
    using perf = await sender(kernel);
    assert.equal(perf.send(1), -2);
    using reader = perf.map.perfReader();
    const answers = [0n, 1n, 63n, 64n, 1n << 32n, (1n << 32n) | CURRENT_CPU, -1n & ((1n << 64n) - 1n)];
    assert.deepEqual(
      answers.map((flags) => perf.send(5, 8, flags)).filter((_, i) => kernel.name === 'linux' || i !== 1),
      kernel.name === 'linux' ? [0, -95, -2, -7, -22, -22, -22] : [0, -2, -7, -22, -22, -22],
    );
    assert.deepEqual(all(reader), ['5']);
  });

  it('a reader that waits is woken by a record, and ends when it is closed', async () => {
    using perf = await sender(kernel);
    const reader = perf.map.perfReader();
    const waiting = reader.wait();
    await delay(1);
    assert.equal(perf.send(5), 0);
    assert.equal(await waiting, true);
    assert.deepEqual(all(reader), ['5']);
    const ended = reader.wait();
    await delay(1);
    reader.close();
    assert.equal(await ended, false);
    assert.equal(perf.send(6), -2);
    assert.equal(
      outcome(() => reader.take()),
      'EBADF',
    );
  });

  it('the array has no elements that user space could read, nor perf events of other kinds', async () => {
    using perf = await sender(kernel);
    const { map } = perf;
    using _ = map.perfReader();
    const operations = [
      () => map.lookup(key(0)),
      () => map.update(key(0), key(0xffff)),
      () => map.update(key(64), key(0)),
      () => map.update(key(0), key(0), 1),
      () => map.delete(key(64)),
      () => map.lookupAndDelete(key(0)),
      () => [...map.lookupBatches()],
    ];
    assert.deepEqual(operations.map(outcome), [
      'ENOTSUPP',
      'EBADF',
      'E2BIG',
      'EINVAL',
      'E2BIG',
      'ENOTSUPP',
      'ENOTSUPP',
    ]);
    assert.equal(map.delete(key(0)), true);
    assert.equal(map.delete(key(0)), false);
    assert.equal(perf.send(1), -2);
    assert.equal([...map.keys()].length, 64);
  });

  it('there is a reader of this type alone, with rings of a power of two of pages', async () => {
    using perf = await sender(kernel);
    for (const bytesPerCpu of [0, 4095, 12288])
      assert.equal(
        outcome(() => perf.map.perfReader({ bytesPerCpu })),
        'EINVAL',
      );
    using bench = kernel.bench([{ type: 2 }]);
    const readers = (map: BpfMap) => [() => map.perfReader(), () => map.reader()];
    for (const reader of readers(bench.maps[0])) assert.equal(outcome(reader), 'EINVAL');
    assert.equal(outcome(readers(perf.map)[1]), 'EINVAL');
  });

  for (const [section, data, end] of [
    ['xdp', 0, 4],
    ['tc', 76, 80],
  ] as const) {
    it(`${section} programs send bytes of the packet behind their own`, async () => {
      const { loaded, map, f } = await load(kernel, section, SEND_PACKET(data, end));
      using reader = map.perfReader({ bytesPerCpu: 1 << 20 });
      const answer = (length: number, of: number) => {
        const bytes = packet(
          of,
          length & 255,
          (length >> 8) & 255,
          (length >> 16) & 255,
          (length >> 24) & 255,
        );
        const { retval } = f.run({ data: bytes });
        const record = reader.take();
        if (record?.kind !== 'record') return retval | 0;
        const sent = record.data.subarray(8, 8 + length);
        assert.deepEqual([...record.data.subarray(0, 8)], [0, 1, 2, 3, 4, 5, 6, 7]);
        assert.deepEqual(sent, bytes.subarray(0, length));
        return record.data.length;
      };
      assert.deepEqual(
        [0, 1, 60, 61, 0x100000].map((length) => answer(length, 60)),
        [12, 12, 68, -14, -22],
      );
      loaded.close();
    });
  }
});

it('each CPU has a ring of its own, and loses nothing while it has room', async () => {
  const kernel: ContractKernel = { name: 'embedded', open: embedded, bench: () => assert.fail() };
  const { loaded, map, f } = await load(kernel, 'raw_tp/f', SEND, { cpus: 3 });
  using reader = map.perfReader({ bytesPerCpu: 1 << 16 });
  const ctx = new Uint8Array(BigUint64Array.of(8n, CURRENT_CPU, 7n).buffer);
  const got = [0, 0, 0];
  const reading = (async () => {
    for await (const record of reader) {
      assert.equal(record.kind, 'record');
      got[record.cpu]++;
      if (got[0] + got[1] + got[2] === 3000) reader.close();
    }
  })();
  await f.runOnAll({ ctx, repeat: 1000 });
  await reading;
  assert.deepEqual(got, [1000, 1000, 1000]);
  loaded.close();
});
