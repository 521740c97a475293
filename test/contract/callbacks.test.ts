import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, embedded, type Kernel, open } from '../../src/index.ts';
import { onBothKernels } from './kernels.ts';

/** Functions of a program that a helper calls back. */

const OBJECT = `.license "GPL"
.section .bss
.var total : u64
.var want : u32
.section .text
.func static inner : s64 (u32 round, void *ctx)
r3 = *(u64 *)(r2 + 0)
r3 += r1
*(u64 *)(r2 + 0) = r3
r0 = 0
exit
.func static each : s64 (u32 round, void *ctx)
r6 = r1
r7 = r2
*(u64 *)(r10 - 8) = 1
r1 &= 7
r2 = inner ll
r3 = r10
r3 += -8
r4 = 0
call bpf_loop
r1 = *(u64 *)(r10 - 8)
r2 = *(u64 *)(r7 + 0)
r2 += r1
*(u64 *)(r7 + 0) = r2
r0 = 0
if r6 != 77 goto out
r0 = 1
out: exit
.section syscall
.func f : s32 (void *ctx)
*(u64 *)(r10 - 8) = 0
r1 = want ll
r1 = *(u32 *)(r1 + 0)
r2 = each ll
r3 = r10
r3 += -8
r4 = 0
call bpf_loop
r2 = *(u64 *)(r10 - 8)
r1 = total ll
*(u64 *)(r1 + 0) = r2
exit
.func flags : s32 (void *ctx)
r1 = 1
r2 = each ll
r3 = r10
r3 += -8
*(u64 *)(r3 + 0) = 0
r4 = 1
call bpf_loop
exit
.func none : s32 (void *ctx)
r1 = 0
r2 = each ll
r3 = r10
r3 += -8
*(u64 *)(r3 + 0) = 0
r4 = 0
call bpf_loop
exit`;

const object = () => open(assembleObject(OBJECT, 'callbacks'));
/** What the rounds up to `count` leave: 1 + 0 + 1 + … up to the round's low three bits less one. */
const totalOf = (count: number) =>
  Array.from({ length: count }, (_, round) => 1 + ((round & 7) * ((round & 7) - 1)) / 2).reduce(
    (a, b) => a + b,
    0,
  );

async function check(kernel: Kernel): Promise<void> {
  const opened = await object();
  using loaded = await opened.load(kernel);
  const run = (name: string) => loaded.programs[name].run().retval | 0;
  for (const [want, rounds] of [
    [0, 0],
    [1, 1],
    [50, 50],
    // The callback ends it.
    [1000, 78],
  ]) {
    loaded.globals.want = want;
    assert.equal(run('f'), rounds);
    assert.equal(loaded.globals.total, BigInt(totalOf(rounds)));
  }
  loaded.globals.want = 8 * 1024 * 1024 + 1;
  assert.equal(run('f'), -7, 'E2BIG');
  assert.equal(run('flags'), -22, 'EINVAL');
  assert.equal(run('none'), 0);
}

onBothKernels('bpf_loop', ({ open: openKernel }) => {
  it('calls a function as often as it is told, or until that returns 1', async () => {
    using kernel = openKernel();
    await check(kernel);
  });
});

it('bpf_loop does the same in the interpreter, and where nothing is inlined or promoted', async () => {
  for (const options of [
    { engine: 'interpreter' },
    { checked: true },
    { jitOptions: { inlining: false, promotion: false, versions: false } },
  ] as const) {
    using kernel = embedded(options);
    await check(kernel);
  }
});
