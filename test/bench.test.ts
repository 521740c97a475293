import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WORKLOADS, type Workload } from '../bench/programs/workloads.ts';
import { embedded, type Kernel, open } from '../src/index.ts';
import { linux } from '../src/linux/index.ts';
import { onLinux } from './contract/kernels.ts';

/** The benchmark programs compute the same on every engine, and as often as they are run; slow engines run them once. */

async function gives(
  { object, setup, before, drains, name, checksum }: Workload,
  kernel: Kernel,
  times: number,
): Promise<void> {
  using loaded = await (await open(`programs/bench/${object}.bpf.o`)).load(kernel);
  const run = (program: string) =>
    assert.equal(loaded.programs[program].run().retval | 0, 0, `${program} failed`);
  setup.forEach(run);
  using ring = drains === undefined ? undefined : loaded.maps[drains].reader();
  for (let time = 0; time < times; time++) {
    ring?.drain(() => true);
    if (before !== undefined) run(before);
    run(name);
    assert.equal(String(loaded.globals.checksum), checksum);
  }
}

// The interpreter takes longer than Linux would let a loop go on.
const mayGoto = { iterations: 2 ** 30 };

for (const engine of ['jit', 'interpreter'] as const) {
  describe(`benchmark programs, ${engine}`, () => {
    for (const workload of WORKLOADS) {
      it(workload.name, async () => {
        using kernel = embedded({ engine, mayGoto });
        await gives(workload, kernel, engine === 'jit' ? 2 : 1);
      });
    }
  });
}

onLinux('benchmark programs, Linux', () => {
  for (const workload of WORKLOADS) {
    it(workload.name, async () => {
      using kernel = linux();
      await gives(workload, kernel, 2);
    });
  }
});
