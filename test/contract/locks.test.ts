import assert from 'node:assert/strict';
import { it } from 'node:test';
import { open } from '../../src/index.ts';
import { onBothKernels } from './kernels.ts';

/** Locks in map values that several CPUs want at once. */

const OBJECT = new URL('../../programs/contract/contention.bpf.o', import.meta.url);
const CPUS = 2;
const REPEAT = 5;
const ROUNDS = 2000;

onBothKernels('locks in map values', (contract) => {
  for (const [kind, program, total] of [
    ['spin locks', 'count', 'plain_total'],
    ['resilient ones', 'count_resilient', 'resilient_total'],
  ]) {
    it(`${kind}: what CPUs add under one is all there`, async () => {
      using kernel = contract.open({ cpus: CPUS });
      using loaded = await (await open(OBJECT)).load(kernel);
      const results = await loaded.programs[program].runOnAll({ repeat: REPEAT });
      assert.ok(results.every(({ retval }) => retval === 0));
      loaded.programs[program].run();
      assert.equal(loaded.globals[total], BigInt((results.length * REPEAT + 1) * ROUNDS));
    });
  }

  it('resilient ones that are taken crosswise are refused, or had, and free afterwards', async () => {
    using kernel = contract.open({ cpus: CPUS });
    using loaded = await (await open(OBJECT)).load(kernel);
    const results = await loaded.programs.cross.runOnAll({ repeat: REPEAT });
    assert.ok(results.every(({ retval }) => retval === 0));
    const { both } = loaded.globals;
    assert.ok(both > 0n);
    assert.equal(loaded.globals.others, 0n);
    assert.equal(loaded.programs.cross.run().retval, 0);
    assert.equal(loaded.globals.both, both + 500n);
  });
});
