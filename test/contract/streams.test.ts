import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { embedded, type Kernel, open } from '../../src/index.ts';
import { assembleObject } from '../../src/object/write.ts';
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

/** Reads and writes a page that is not there, in a function of its own. */
const FAULTS = `.license "GPL"
.map arena, type=arena, max_entries=8, map_flags=0x400, map_extra=0x700000000000
.section syscall
.func touches : s32 (void *ctx)
r1 = arena ll
r1 = 0
r1 = addr_space_cast(r1, 0, 1)
r2 = *(u32 *)(r1 + 8196)
*(u32 *)(r1 + 4100) = r2
r0 = 0
exit
`;

describe('what a program writes to its streams', () => {
  for (const cpu of [0, 1])
    it(`is how it touched pages that are not there, where that is reported: CPU ${cpu}`, async () => {
      using kernel = embedded({ cpus: 2, faults: 'report' });
      using loaded = await (await open(assembleObject(FAULTS, 'faults'))).load(kernel);
      const { touches: program } = loaded.programs;
      const { faults } = await program.runOn(cpu);
      assert.equal(faults.length, 2);
      const text = program.readStream('stderr');
      const each = (kind: string, address: string, place: string) =>
        `ERROR: Arena ${kind} access at unmapped address ${address}\nCPU: ${cpu} UID: \\d+ PID: ${process.pid} ` +
        `Comm: \\S+\nCall trace:\ntouches\\+${place}\n( .*\n)?\n`;
      assert.match(
        text,
        new RegExp(
          `^${each('READ', '0x700000002004', '0x20/0x40')}${each('WRITE', '0x700000001004', '0x28/0x40')}$`,
        ),
      );
      assert.equal(program.readStream('stderr'), '');
    });

  it('is the same on the interpreter', async () => {
    using kernel = embedded({ engine: 'interpreter' });
    await reads(kernel);
  });

  it('comes from other CPUs, too', async () => {
    using kernel = embedded({ cpus: 2 });
    await reads(kernel, 1);
  });
});
