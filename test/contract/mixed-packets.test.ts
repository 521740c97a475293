import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type EmbeddedOptions, embedded, open } from '../../src/index.ts';
import type { Kernel } from '../../src/kernel.ts';
import { linux } from '../../src/linux/index.ts';
import { onLinux } from './kernels.ts';
import { mixedPackets } from './mixed-packets.ts';

/** programs/contract/xdp_mixed on thousands of packets: whatever runs it, verdicts, bytes and counters are the same. */

const OBJECT = fileURLToPath(new URL('../../programs/contract/xdp_mixed.bpf.o', import.meta.url));
const SEED = Number(process.env.PACKETS_SEED ?? 1);

async function outcome(kernel: Kernel, packets: readonly Uint8Array[]) {
  try {
    const loaded = await (await open(OBJECT)).load(kernel);
    const answers = packets.map((data) => {
      const { retval, dataOut = new Uint8Array() } = loaded.programs.xdp_mixed.run({ data });
      return `${retval} ${Buffer.from(dataOut).toString('hex')}`;
    });
    return { answers, counters: loaded.readGlobals({}) };
  } finally {
    kernel.close();
  }
}

const here = (count: number, options: EmbeddedOptions = {}) =>
  outcome(embedded(options), mixedPackets(count, SEED));

it(`1,000 packets: the engines agree, and every verdict is met (seed ${SEED})`, async () => {
  const jit = await here(1_000);
  assert.deepEqual(await here(1_000, { engine: 'interpreter', checked: true }), jit);
  const verdicts = new Set(jit.answers.map((answer) => answer[0]));
  assert.deepEqual([...verdicts].sort(), ['1', '2', '3']);
});

onLinux('Linux, on packets of all kinds', () => {
  it(`10,000 packets: the same verdicts, bytes and counters as in the embedded kernel (seed ${SEED})`, async () => {
    const [ours, its] = [await here(10_000), await outcome(linux(), mixedPackets(10_000, SEED))];
    for (const [i, answer] of ours.answers.entries()) assert.equal(answer, its.answers[i], `packet ${i}`);
    assert.deepEqual(ours.counters, its.counters);
  });
});
