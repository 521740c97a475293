import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, type OpenedObject, open } from '../../src/index.ts';
import { onBothKernels, outcome } from './kernels.ts';

/** Prepared runs: a context that stays in its place, and calls that do nothing else. */

const TEXT = `
.license "GPL"
.section syscall
.func twice : s32 (void *ctx)
        r2 = *(u32 *)(r1 + 0)
        r2 <<= 1
        *(u32 *)(r1 + 0) = r2
        r0 = *(u32 *)(r1 + 4)
        exit
.func minus : s32 (void *ctx)
        r0 = -1
        exit
`;

const opened = (): Promise<OpenedObject> => open(assembleObject(TEXT, 'prepared.bpfasm'));

onBothKernels('a prepared run', (kernel) => {
  it('starts with a copy of the context, and keeps what the program writes there', async () => {
    using own = kernel.open();
    using loaded = await (await opened()).load(own);
    const given = Uint8Array.of(3, 0, 0, 0, 9, 0, 0, 0);
    using prepared = loaded.programs.twice.prepare({ ctx: given });
    assert.deepEqual([prepared.run(), prepared.run()], [9, 9]);
    assert.deepEqual([...prepared.ctx], [12, 0, 0, 0, 9, 0, 0, 0]);
    assert.equal(given[0], 3);
  });

  it('sees what user space writes between calls, through any view', async () => {
    using own = kernel.open();
    using loaded = await (await opened()).load(own);
    using prepared = loaded.programs.twice.prepare({ ctx: { size: 8 } });
    assert.deepEqual([...prepared.ctx], [0, 0, 0, 0, 0, 0, 0, 0]);
    const { buffer, byteOffset, byteLength } = prepared.ctx;
    const view = new DataView(buffer, byteOffset, byteLength);
    for (const value of [1, 0x1234, 0xffff_fff0]) {
      view.setUint32(0, value, true);
      view.setUint32(4, value, true);
      assert.equal(prepared.run(), value);
      assert.equal(view.getUint32(0, true), (2 * value) % 2 ** 32);
    }
  });

  it('has a context of its own, whatever runs in between', async () => {
    using own = kernel.open();
    using loaded = await (await opened()).load(own);
    const { twice } = loaded.programs;
    using one = twice.prepare({ ctx: Uint8Array.of(1, 0, 0, 0, 5, 0, 0, 0) });
    using other = twice.prepare({ ctx: Uint8Array.of(2, 0, 0, 0, 6, 0, 0, 0) });
    twice.run({ ctx: new Uint8Array(64).fill(0xff) });
    assert.deepEqual([one.run(), other.run()], [5, 6]);
    assert.deepEqual([one.ctx[0], other.ctx[0]], [2, 4]);
  });

  it('gives the low half of r0, unsigned; without a context its ctx has no bytes', async () => {
    using own = kernel.open();
    using loaded = await (await opened()).load(own);
    using prepared = loaded.programs.minus.prepare();
    assert.equal(prepared.run(), 0xffff_ffff);
    assert.equal(prepared.ctx.length, 0);
    assert.deepEqual(prepared.faults, []);
  });

  it('that no run would get throws what the run throws', async () => {
    using own = kernel.open();
    using loaded = await (await opened()).load(own);
    const { twice, minus } = loaded.programs;
    const made = (options: Parameters<typeof twice.prepare>[0], program = twice) =>
      outcome(() => program.prepare(options).run());
    assert.equal(made({ ctx: { size: 4 } }), 'EINVAL');
    assert.equal(made({}), 'EINVAL');
    assert.equal(made({ ctx: { size: 65_536 } }), 'EINVAL');
    assert.equal(made({ ctx: { size: -1 } }), 'EINVAL');
    assert.equal(made({ ctx: { size: 1.5 } }), 'EINVAL');
    assert.equal(made({ cpu: 5_000 }, minus), 'EINVAL');
    assert.equal(made({ ctx: { size: 65_535 }, cpu: 0 }), 'ok');
  });

  it('ends with close, with its program, and with the kernel: EBADF', async () => {
    const own = kernel.open();
    const loaded = await (await opened()).load(own);
    const other = await (await opened()).load(own);
    const [first, second] = [1, 2].map(() => loaded.programs.twice.prepare({ ctx: { size: 8 } }));
    const third = other.programs.twice.prepare({ ctx: { size: 8 } });
    first.close();
    first.close();
    assert.equal(
      outcome(() => first.run()),
      'EBADF',
    );
    assert.equal(
      outcome(() => first.ctx),
      'EBADF',
    );
    second.run();
    loaded.close();
    assert.equal(
      outcome(() => second.run()),
      'EBADF',
    );
    assert.equal(
      outcome(() => loaded.programs.twice.prepare({ ctx: { size: 8 } })),
      'EBADF',
    );
    third.run();
    own.close();
    assert.equal(
      outcome(() => third.run()),
      'EBADF',
    );
  });
});
