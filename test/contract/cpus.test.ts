import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, open } from '../../src/index.ts';
import { onBothKernels } from './kernels.ts';

/** Runs on a chosen CPU, and on all of them. */

const CPUS = 2;

const OBJECT = assembleObject(
  `
.license "GPL"
.map sum, type=array, key_size=4, value_size=8, max_entries=1
.section syscall
# Adds 1 so many times as the context says, atomically; leaves its CPU there.
.func count : s32 (void *ctx)
r6 = r1
*(u32 *)(r10 - 4) = 0
r2 = r10
r2 += -4
r1 = sum ll
call 1
if r0 == 0 goto out
r7 = r0
r8 = 1000
loop:
r1 = 1
lock *(u64 *)(r7 + 0) += r1
r8 += -1
if r8 != 0 goto loop
call 8
*(u32 *)(r6 + 0) = r0
exit
out:
r0 = -1
exit
`,
  'cpus',
);

onBothKernels('programs on several CPUs', (contract) => {
  const skip = contract.oneCpu;

  it('run on the CPU that is asked for, with context in and out', { skip }, async () => {
    using kernel = contract.open({ cpus: CPUS });
    using loaded = await (await open(OBJECT)).load(kernel);
    for (const cpu of [1, 0]) {
      const { retval, ctxOut, faults } = await loaded.programs.count.runOn(cpu, { ctx: new Uint8Array(8) });
      assert.deepEqual([retval, ctxOut, faults], [cpu, Uint8Array.of(cpu, 0, 0, 0, 0, 0, 0, 0), []]);
    }
  });

  it('run on all CPUs, and what they add atomically is all there', { skip }, async () => {
    using kernel = contract.open({ cpus: CPUS });
    using loaded = await (await open(OBJECT)).load(kernel);
    const results = await loaded.programs.count.runOnAll({ ctx: new Uint8Array(8), repeat: 5 });
    assert.ok(results.length >= CPUS);
    assert.deepEqual(
      results.map(({ retval }) => retval),
      [...results.keys()],
    );
    const sum = loaded.maps.sum.lookup(new Uint8Array(4)) as Uint8Array;
    assert.equal(new DataView(sum.buffer).getUint32(0, true), results.length * 5 * 1000);
  });

  it('reject with EINVAL for a CPU that there is not, with EBADF when closed', async () => {
    using kernel = contract.open({ cpus: CPUS });
    using loaded = await (await open(OBJECT)).load(kernel);
    const { count } = loaded.programs;
    for (const cpu of [1000, -1, 0.5])
      await assert.rejects(count.runOn(cpu, { ctx: new Uint8Array(8) }), { code: 'EINVAL' });
    loaded.close();
    await assert.rejects(count.runOn(1), { code: 'EBADF' });
    await assert.rejects(count.runOnAll(), { code: 'EBADF' });
  });
});
