import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { embedded, type Kernel, type LoadedObject, open } from '../../src/index.ts';
import { onBothKernels } from './kernels.ts';

/** Timers and work queues run what they were given, once, later; programs/contract/deferred.bpf.c has the programs. */

const OBJECT = new URL('../../programs/contract/deferred.bpf.o', import.meta.url);

/** What has run, by who started it. */
function counts({ globals }: LoadedObject): Record<string, number> {
  const { array_fired, hash_fired, worked, rounds, wrong_key, cancelled_itself } = globals;
  const all = {
    array_fired,
    hash_fired,
    worked,
    rounds,
    wrong_key,
    cancelled_itself: BigInt.asIntN(64, cancelled_itself),
  };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, Number(value)]));
}

const EXPECTED = {
  array_fired: 4,
  hash_fired: 1,
  worked: 13,
  rounds: 3,
  wrong_key: 0,
  cancelled_itself: -35,
};

async function runs(kernel: Kernel, cpu: number): Promise<void> {
  const object = await open(OBJECT);
  using loaded = await object.load(kernel);
  const { retval } = await loaded.programs.start_all.runOn(cpu);
  assert.equal(retval, 0);
  for (let round = 0; round < 500; round++) {
    const { array_fired, hash_fired, worked, rounds } = counts(loaded);
    if (array_fired > 0 && hash_fired > 0 && worked > 0 && rounds === 3) break;
    await wait(2);
  }
  // Longer than the timer whose element was deleted.
  await wait(50);
  assert.deepEqual(counts(loaded), EXPECTED);
}

onBothKernels('what programs start', ({ open: openKernel }) => {
  it('runs later, with map, key and value', async () => {
    using kernel = openKernel();
    await runs(kernel, 0);
  });
});

describe('what programs start', () => {
  it('runs later on the interpreter, too', async () => {
    using kernel = embedded({ engine: 'interpreter' });
    await runs(kernel, 0);
  });

  it('runs on CPU 0 when another CPU starts it', async () => {
    using kernel = embedded({ cpus: 2 });
    await runs(kernel, 1);
  });

  it('is forgotten when the object closes', async () => {
    using kernel = embedded();
    const loaded = await (await open(OBJECT)).load(kernel);
    loaded.programs.start_all.run();
    loaded.close();
    const other = await (await open(OBJECT)).load(kernel);
    await wait(40);
    assert.equal(counts(other).array_fired, 0);
  });
});
