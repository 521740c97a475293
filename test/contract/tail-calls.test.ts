import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembleObject, embedded, type Kernel, open } from '../../src/index.ts';
import { onBothKernels, outcome } from './kernels.ts';

/** Tail calls: where they lead, and what happens where they do not. */

const OBJECT = `.license "GPL"
.map jumps, type=prog_array, key_size=4, value_size=4, max_entries=4
.map_values jumps, 0, again, 1, leaf
.section .bss
.var rounds : u32
.var slot : u32
.section .text
.func static jump : s32 (void *ctx)
*(u64 *)(r10 - 8) = 7
r2 = jumps ll
r3 = slot ll
r3 = *(u32 *)(r3 + 0)
call bpf_tail_call
r0 = *(u64 *)(r10 - 8)
exit
.section raw_tp/sys_enter
.func again : s32 (void *ctx)
r2 = rounds ll
r3 = *(u32 *)(r2 + 0)
r3 += 1
*(u32 *)(r2 + 0) = r3
r2 = jumps ll
r3 = 0
call bpf_tail_call
r0 = 5
exit
.func leaf : s32 (void *ctx)
r0 = *(u64 *)(r1 + 0)
r0 += 1
exit
.func start : s32 (void *ctx)
r2 = jumps ll
r3 = slot ll
r3 = *(u32 *)(r3 + 0)
call bpf_tail_call
r0 = -1
exit
.func through : s32 (void *ctx)
*(u64 *)(r10 - 8) = 1000
call jump
r1 = *(u64 *)(r10 - 8)
r0 += r1
exit
`;

async function load(kernel: Kernel) {
  const loaded = await (await open(assembleObject(OBJECT))).load(kernel);
  const run = (name: string, slot: number) => {
    loaded.globals.slot = slot;
    return loaded.programs[name].run({ ctx: new Uint8Array(BigUint64Array.of(41n).buffer) }).retval | 0;
  };
  return { loaded, run, jumps: loaded.maps.jumps };
}

const bytes = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);

function declare(open: () => Kernel & Disposable): void {
  it('goes on in the program of a slot, with the context', async () => {
    using kernel = open();
    const { run } = await load(kernel);
    assert.equal(run('start', 1), 42);
  });

  it('falls through for an empty slot, and for one beyond the end', async () => {
    using kernel = open();
    const { run } = await load(kernel);
    assert.deepEqual([run('start', 2), run('start', 4), run('start', 0xffffffff)], [-1, -1, -1]);
  });

  it('ends after 33 in one run, and starts anew in the next', async () => {
    using kernel = open();
    const { loaded, run } = await load(kernel);
    assert.deepEqual([run('again', 0), loaded.globals.rounds], [5, 34]);
    assert.deepEqual([run('again', 0), loaded.globals.rounds], [5, 68]);
  });

  it('ends the function that calls: its caller goes on, with its stack as it was', async () => {
    using kernel = open();
    const { run } = await load(kernel);
    assert.deepEqual([run('through', 1), run('through', 3)], [1042, 1007]);
  });

  it('finds programs that user space puts in, and not those that it takes out', async () => {
    using kernel = open();
    const { loaded, run, jumps } = await load(kernel);
    jumps.update(bytes(3), bytes(loaded.programs.leaf.handle));
    assert.equal(run('start', 3), 42);
    assert.equal(jumps.delete(bytes(3)), true);
    assert.equal(jumps.delete(bytes(3)), false);
    assert.deepEqual([run('start', 3), jumps.lookup(bytes(3))], [-1, undefined]);
  });

  it('takes nothing but programs', async () => {
    using kernel = open();
    const { loaded, jumps } = await load(kernel);
    const { handle } = loaded.programs.leaf;
    assert.deepEqual(
      [
        outcome(() => jumps.update(bytes(0), bytes(9999))),
        outcome(() => jumps.update(bytes(4), bytes(handle))),
        outcome(() => jumps.update(bytes(0), bytes(handle), 1)),
      ],
      ['EBADF', 'E2BIG', 'EINVAL'],
    );
  });
}

onBothKernels('tail calls', (kernel) => declare(() => kernel.open()));

describe('tail calls, the interpreter', () => declare(() => embedded({ engine: 'interpreter' })));
describe('tail calls, in the checked mode', () => declare(() => embedded({ checked: true })));

const FAULTY = `.license "GPL"
.map arena, type=arena, max_entries=4, map_flags=0x400
.map jumps, type=prog_array, key_size=4, value_size=4, max_entries=1
.map_values jumps, 0, second
.section raw_tp/sys_enter
.func first : s32 (void *ctx)
r2 = jumps ll
r3 = 0
call bpf_tail_call
r0 = 0
exit
.func second : s32 (void *ctx)
r1 = arena ll
r1 = 65536
r1 = addr_space_cast(r1, 0, 1)
r0 = *(u32 *)(r1 + 8)
exit
`;

it('faults are those of the program that a tail call led to', async () => {
  for (const [engine, cpus] of [
    ['jit', 2],
    ['interpreter', 1],
  ] as const) {
    using kernel = embedded({ faults: 'report', engine, cpus });
    const loaded = await (await open(assembleObject(FAULTY))).load(kernel);
    for (let cpu = 0; cpu < cpus; cpu++) {
      const { faults } = await loaded.programs.first.runOn(cpu, { ctx: new Uint8Array(8) });
      assert.deepEqual(
        faults.map(({ program, insn, page, source }) => [program, insn, page, source?.text]),
        [['second', 4, 'free', 'r0 = *(u32 *)(r1 + 8)']],
      );
    }
  }
});

it('tail calls lead to the same programs on other CPUs', async () => {
  using kernel = embedded({ cpus: 3 });
  const { loaded } = await load(kernel);
  loaded.globals.slot = 1;
  const ctx = new Uint8Array(BigUint64Array.of(41n).buffer);
  const retvals = async (name: string) =>
    (await loaded.programs[name].runOnAll({ ctx })).map(({ retval }) => retval | 0);
  assert.deepEqual(await retvals('start'), [42, 42, 42]);
  loaded.maps.jumps.update(bytes(2), bytes(loaded.programs.leaf.handle));
  loaded.globals.slot = 2;
  assert.deepEqual(await retvals('through'), [1042, 1042, 1042]);
  assert.deepEqual(await retvals('again'), [5, 5, 5]);
});

/**
 * Functions that call each other six deep, each of which also calls a small one a hundred times. The last one leaves for the program
 * anew.
 */
function deepObject(): string {
  const small = 'r1 = r6\ncall small\nr6 = r0\n'.repeat(100);
  const callers = [1, 2, 3, 4, 5].map((number) => {
    const next = `r1 = r7\ncall f${number + 1}\nr6 += r0`;
    return `.func static f${number} : s32 (void *ctx)\nr7 = r1\nr6 = ${number}\n${small}${next}\n${small}r0 = r6\nexit\n`;
  });
  const leave = 'r1 = r7\nr2 = jumps ll\nr3 = 0\ncall bpf_tail_call\nr0 = r6\nexit\n';
  return `.license "GPL"
.map jumps, type=prog_array, key_size=4, value_size=4, max_entries=1
.map_values jumps, 0, deep
.section .bss
.var rounds : u32
.section .text
.func static small : s32 (s32 value)
r1 *= 3
r0 = r1
exit
${callers.join('')}.func static f6 : s32 (void *ctx)
r7 = r1
r2 = rounds ll
r6 = *(u32 *)(r2 + 0)
r6 += 1
*(u32 *)(r2 + 0) = r6
${leave}.section raw_tp/sys_enter
.func deep : s32 (void *ctx)
call f1
exit
`;
}

onBothKernels('a hundred frames that tail calls leave behind', ({ open: openKernel }) => {
  it("fit on the stack of the machine, whatever is in a program's functions", async () => {
    using kernel = openKernel();
    const loaded = await (await open(assembleObject(deepObject()))).load(kernel);
    loaded.programs.deep.run({ ctx: new Uint8Array(8) });
    assert.equal(loaded.globals.rounds, 34);
  });
});
