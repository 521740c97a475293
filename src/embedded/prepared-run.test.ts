import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { PreparedRun } from '../kernel.ts';
import { parseObject } from '../object/object.ts';
import { assembleObject } from '../object/write.ts';
import { EmbeddedKernel } from './kernel.ts';
import type { EmbeddedLoad } from './load.ts';
import type { EmbeddedOptions } from './options.ts';

/** What the contract of prepared runs leaves to the embedded kernel: faults, the CPU, and the memory of contexts. */

const TEXT = `
.license "GPL"
.map arena, type=arena, max_entries=8, map_flags=0x400, map_extra=0x200000000000
.section syscall
.func store : s32 (void *ctx)
        r2 = *(u64 *)(r1 + 0)
        r3 = arena ll
        r2 = addr_space_cast(r2, 0, 1)
        *(u64 *)(r2 + 0) = 1
        r0 = 0
        exit
.func print : s32 (void *ctx)
        *(u64 *)(r10 - 8) = 0x0a6968
        r1 = r10
        r1 += -8
        r2 = 4
        call 6
        r0 = 3
        exit
`;

async function load(options: EmbeddedOptions = {}): Promise<[EmbeddedKernel, EmbeddedLoad]> {
  const kernel = new EmbeddedKernel(options);
  return [kernel, await kernel.load(parseObject(assembleObject(TEXT, 'prepared.bpfasm'), 'prepared'))];
}

for (const engine of ['jit', 'interpreter'] as const) {
  describe(`a prepared run on the ${engine}`, () => {
    it('has the faults of its last run', async () => {
      const [kernel, { programs }] = await load({ engine, faults: 'report' });
      using _ = kernel;
      using prepared = programs.store.prepare({ ctx: { size: 8 } });
      const { buffer, byteOffset } = prepared.ctx;
      const pointer = new DataView(buffer, byteOffset);
      pointer.setBigUint64(0, 0x2000_0000_1008n, true);
      prepared.run();
      prepared.run();
      const [{ program, address, access, page, count }] = prepared.faults;
      assert.deepEqual(
        [program, address, access, page, count, prepared.faults.length],
        ['store', 0x1008, 'store', 'free', 1, 1],
      );
      kernel.memory.view.setUint8(programs.store.arena?.pages.tableOffset ?? 0, 1);
      pointer.setBigUint64(0, 0x2000_0000_0000n, true);
      prepared.run();
      assert.deepEqual(prepared.faults, []);
    });

    it('is busy while its CPU runs a program, and free again afterwards', async () => {
      const codes: string[] = [];
      let prepared: PreparedRun | undefined;
      const onTrace = () => {
        assert.throws(
          () => prepared?.run(),
          (error: { code?: string }) => error.code === 'EBUSY',
        );
        codes.push('EBUSY');
      };
      const [kernel, { programs }] = await load({ engine, onTrace });
      using _ = kernel;
      prepared = programs.print.prepare();
      assert.deepEqual([prepared.run(), programs.print.run().retval, prepared.run()], [3, 3, 3]);
      assert.deepEqual(codes, ['EBUSY', 'EBUSY', 'EBUSY']);
    });

    it('leaves its CPU free when what it calls throws', async () => {
      const [kernel, { programs }] = await load({
        engine,
        onTrace: () => {
          throw new RangeError('from user code');
        },
      });
      using _ = kernel;
      const prepared = programs.print.prepare();
      assert.throws(() => prepared.run(), /from user code/);
      assert.throws(() => prepared.run(), /from user code/);
    });
  });
}

it('the checked mode knows the context of a prepared run', async () => {
  const [kernel, { programs }] = await load({ checked: true });
  using _ = kernel;
  using prepared = programs.store.prepare({ ctx: { size: 8 } });
  assert.equal(prepared.run(), 0);
  kernel.cpu.begin(programs.store, 0x20000, 8, 0x20008);
  assert.equal(kernel.cpu.refusal(0x20000, 8, true), undefined);
  assert.match(String(kernel.cpu.refusal(0x20004, 8, true)), /invalid bpf_context access off=4 size=8/);
  kernel.cpu.leave();
});

describe('the memory of a context', () => {
  it('is used for nothing else as long as a view is left, though the run is closed', async () => {
    const [kernel, { programs }] = await load();
    using _ = kernel;
    const before = kernel.memory.allocated;
    const prepared = programs.store.prepare({ ctx: { size: 8 } });
    const view = new DataView(prepared.ctx.buffer, prepared.ctx.byteOffset, 8);
    prepared.close();
    await collectGarbage();
    assert.equal(kernel.memory.allocated, before + 4096);
    view.setUint8(0, 1);
    const next = programs.store.prepare({ ctx: { size: 8 } });
    assert.equal(next.ctx[0], 0);
    assert.notEqual(next.ctx.byteOffset, view.byteOffset);
  });

  it('is free again when none is', async () => {
    const [kernel, { programs }] = await load();
    using _ = kernel;
    const before = kernel.memory.allocated;
    for (let i = 0; i < 100; i++) {
      using prepared = programs.store.prepare({ ctx: { size: 8 } });
      prepared.ctx[0] = 1;
    }
    for (let i = 0; i < 50 && kernel.memory.allocated > before; i++) await collectGarbage();
    assert.equal(kernel.memory.allocated, before);
  });

  it('outlives its kernel: no other kernel gets it', async () => {
    const [kernel, { programs }] = await load();
    const { ctx } = programs.store.prepare({ ctx: { size: 8 } });
    const { memory } = kernel.memory;
    kernel.close();
    const others = Array.from({ length: 3 }, () => new EmbeddedKernel());
    for (const other of others) {
      assert.notEqual(other.memory.memory, memory);
      other.close();
    }
    ctx[0] = 1;
  });
});

/** Lets the garbage collector run, and what waits for it. */
async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  await new Promise((resolve) => setTimeout(resolve, 1));
}
