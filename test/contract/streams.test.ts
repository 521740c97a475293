import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { embedded, type Kernel, open } from '../../src/index.ts';
import { onBothKernels } from './kernels.ts';

/** What programs write to streams of their own is read once; programs/contract/streams.bpf.c writes it. */

const OBJECT = new URL('../../programs/contract/streams.bpf.o', import.meta.url);

async function reads(kernel: Kernel, cpu = 0): Promise<void> {
  using loaded = await (await open(OBJECT)).load(kernel);
  const { writes_to_both: program, there_are_two: other } = loaded.programs;
  assert.equal(program.readStream('stdout'), '');
  assert.equal((await program.runOn(cpu)).retval, 0);
  if (kernel.name === 'linux' && loaded.globals.no_memory !== 0) return;
  assert.equal(program.readStream('stdout'), 'answer 42, 0x2a\nmore\n');
  assert.equal(program.readStream('stdout'), '');
  assert.equal(program.readStream('stderr'), 'no -7');
  assert.equal(other.readStream('stderr'), '');
}

onBothKernels('what a program writes to its streams', ({ open: openKernel }) => {
  it('is read once, from that program', async () => {
    using kernel = openKernel();
    await reads(kernel);
  });
});

describe('what a program writes to its streams', () => {
  it('is the same on the interpreter', async () => {
    using kernel = embedded({ engine: 'interpreter' });
    await reads(kernel);
  });

  it('comes from other CPUs, too', async () => {
    using kernel = embedded({ cpus: 2 });
    await reads(kernel, 1);
  });
});
