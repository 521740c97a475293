import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, open } from '../../src/index.ts';
import { onBothKernels, outcome } from './kernels.ts';

/** Records from user space to programs, on both kernels. */

const OBJECT = `.license "GPL"
.map ring, type=user_ringbuf, max_entries=4096
.section .bss
.var total : u64
.var stop : u64
.section .text
.func static each : s64 (void *sample, void *ctx)
r6 = r1
r1 = r10
r1 += -8
*(u64 *)(r10 - 8) = 0
r2 = 8
r3 = r6
r4 = 0
r5 = 0
call bpf_dynptr_read
r2 = *(u64 *)(r10 - 8)
r1 = total ll
r3 = *(u64 *)(r1 + 0)
r3 += r2
*(u64 *)(r1 + 0) = r3
r1 = stop ll
r1 = *(u64 *)(r1 + 0)
r0 = 0
if r1 != r2 goto out
r0 = 1
out: exit
.section syscall
.func drain : s32 (void *ctx)
r1 = ring ll
r2 = each ll
r3 = 0
r4 = 0
call bpf_user_ringbuf_drain
exit
.func flags : s32 (void *ctx)
r1 = ring ll
r2 = each ll
r3 = 0
r4 = 4
call bpf_user_ringbuf_drain
exit
`;

const u64 = (value: number) => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);

onBothKernels('user ring buffers', (kernel) => {
  it('a program drains what user space wrote, once', async () => {
    using running = kernel.open();
    using loaded = await (await open(assembleObject(OBJECT, 'user'))).load(running);
    const { programs, maps, globals } = loaded;
    using writer = maps.ring.writer();
    globals.stop = 1000n;
    for (let i = 1; i <= 10; i++) assert.equal(writer.write(u64(i)), true);
    assert.equal(programs.drain.run().retval, 10);
    assert.equal(globals.total, 55n);
    assert.equal(programs.drain.run().retval, 0);
    assert.equal(programs.flags.run().retval | 0, -22);
  });

  it('the function that gets the records ends it by returning 1', async () => {
    using running = kernel.open();
    using loaded = await (await open(assembleObject(OBJECT, 'user'))).load(running);
    using writer = loaded.maps.ring.writer();
    loaded.globals.stop = 3n;
    for (let i = 1; i <= 10; i++) writer.write(u64(i));
    assert.equal(loaded.programs.drain.run().retval, 3);
    assert.equal(loaded.programs.drain.run().retval, 7);
  });

  it('a full ring takes nothing until a program has drained it, and records go round', async () => {
    using running = kernel.open();
    using loaded = await (await open(assembleObject(OBJECT, 'user'))).load(running);
    using writer = loaded.maps.ring.writer();
    loaded.globals.stop = 10_000n;
    let sum = 0n;
    for (let round = 0; round < 20; round++) {
      let written = 0;
      for (; writer.write(new Uint8Array([...u64(written), 1, 2, 3])); written++) sum += BigInt(written);
      assert.equal(written, Math.floor(4096 / 24));
      assert.equal(loaded.programs.drain.run().retval, written);
      assert.equal(loaded.globals.total, sum);
    }
    assert.equal(
      outcome(() => writer.write(new Uint8Array(4096))),
      'E2BIG',
    );
    writer.close();
    assert.equal(
      outcome(() => writer.write(u64(1))),
      'EBADF',
    );
    assert.equal(
      outcome(() => loaded.maps.ring.reader()),
      'EINVAL',
    );
  });
});
