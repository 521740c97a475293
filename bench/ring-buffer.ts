import { assembleObject, open } from '../src/index.ts';
import { addressOf, syscallOnThread } from '../src/linux/ffi.ts';
import { LinuxMap, LinuxProgram, linux, linuxUnavailable, RingBuffer } from '../src/linux/index.ts';
import { COMMANDS, encodeStruct } from '../src/linux/layouts.ts';
import { argumentsOf } from '../tools/arguments.ts';

/**
 * A ring buffer of Linux: how many 16-byte records a second TypeScript takes from a full one, and from a program that
 * sends on another CPU at the same time; and how long a reader that waits takes to get a record.
 */

argumentsOf('usage: npm run bench -- ring-buffer', { json: { type: 'boolean' } });

const BYTES = 2 ** 22;
const MILLISECONDS = 1000;
/** Records of one run, which its loop budget cuts short: about 250 ms. */
const ENDLESS = 2 ** 31 - 1;

const TEXT = `
.license "GPL"
.map ring, type=ringbuf, max_entries=${BYTES}
.section syscall
.func send : s32 (void *ctx)
        r6 = *(u64 *)(r1 + 0)
        r7 = r6
again:  may_goto end
        if r6 == 0 goto end
        r6 += -1
        *(u64 *)(r10 - 16) = r6
        *(u64 *)(r10 - 8) = r6
        r1 = ring ll
        r2 = r10
        r2 += -16
        r3 = 16
        r4 = 0
        call bpf_ringbuf_output
        if r0 == 0 goto again
        r6 += 1
        goto again
end:    r0 = r7
        r0 -= r6
        exit
`;

const reason = linuxUnavailable();
if (reason !== undefined) {
  console.log(`not measured: ${reason}`);
} else {
  using kernel = linux();
  using loaded = await (await open(assembleObject(TEXT, 'ring.bpfasm'))).load(kernel);
  const { send } = loaded.programs;
  if (!(send instanceof LinuxProgram)) throw new Error('the program is in Linux');
  const { ring: map } = loaded.maps;
  if (!(map instanceof LinuxMap)) throw new Error('the map is in Linux');
  using ring = new RingBuffer(map);

  const context = (count: number) => new Uint8Array(BigUint64Array.of(BigInt(count)).buffer);

  /** Fills the ring and empties it, again and again. Only emptying counts. */
  const emptying = async (label: string, empty: () => Promise<number> | number) => {
    let [count, spent] = [0, 0];
    while (spent < MILLISECONDS) {
      send.run({ ctx: context(Math.floor(BYTES / 24)) });
      const start = performance.now();
      count += await empty();
      spent += performance.now() - start;
    }
    console.log(`${label}: ${(count / spent / 1e3).toFixed(1)} million records a second`);
  };

  await emptying('drain, ring full', () => ring.drain(() => true));
  await emptying('for await, ring full', async () => {
    let count = 0;
    for await (const _record of ring) {
      count++;
      if (ring.available === 0) break;
    }
    return count;
  });

  /** A program sends on another thread for as long as it may; a record that finds no room is sent again. */
  const sending = async (label: string, step: (signal: AbortSignal) => Promise<number>) => {
    const ctx = context(ENDLESS);
    const attr = encodeStruct(
      COMMANDS.prog_test_run[1],
      { prog_fd: send.fdNumber, ctx_in: ctx, ctx_size_in: ctx.length },
      addressOf,
    );
    const done = new AbortController();
    const run = syscallOnThread('bpf', COMMANDS.prog_test_run[0], attr, attr.length).finally(() =>
      done.abort(),
    );
    const start = performance.now();
    const count = await step(done.signal);
    const rate = count / (performance.now() - start) / 1e3;
    await run;
    void ctx;
    console.log(`${label}: ${rate.toFixed(1)} million records a second`);
  };

  for (let round = 0; round < 3; round++) {
    await sending('for await, program sending', async (signal) => {
      let count = 0;
      try {
        for await (const _record of ring.records({ signal })) count++;
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      return count;
    });
  }

  const times: number[] = [];
  const records = ring.records();
  while (ring.take() !== undefined);
  for (let i = 0; i < 2000; i++) {
    const next = records.next();
    // The thread is waiting by now.
    await new Promise((resolve) => setImmediate(resolve));
    const start = performance.now();
    send.run({ ctx: context(1) });
    await next;
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const [median, late] = [times[1000], times[1980]].map((time) => (time * 1000).toFixed(0));
  console.log(`from running the program to its reader: median ${median} µs, 99 % within ${late} µs`);
}
