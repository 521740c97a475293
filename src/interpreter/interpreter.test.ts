import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { TestKernel } from '../embedded/testdata/harness.ts';
import { assembleInstructions } from '../isa/assembler.ts';
import { BPF_REG_10 } from '../isa/opcodes.ts';
import { verify } from '../verifier/verify.ts';
import { run, step } from './interpreter.ts';
import { Code, Machine } from './machine.ts';

/** Stepping, budgets and limits of a run; what instructions compute is the instruction suite's matter. */

const test = new TestKernel([], { instructionBudget: 10_000 });
after(() => test.close());

function machineOf(text: string, checked = true): Machine {
  const insns = assembleInstructions(text);
  const program = verify({
    name: 'walk',
    insns,
    subprograms: [{ name: 'walk', start: 0, end: insns.length }],
  });
  return new Machine(new Code(program, () => undefined, checked), test.kernel.cpu, { low: 7, high: 0 });
}

it('a step executes one instruction, and everything can be looked at in between', () => {
  const machine = machineOf('r0 = 7; r2 = 0x100000002 ll; r0 += r2; exit');
  const seen: string[] = [];
  while (!machine.finished) {
    seen.push(`${machine.pc}: r0=${machine.register(0)} r2=${machine.register(2)}`);
    step(machine);
  }
  assert.deepEqual(seen, [
    '0: r0=0 r2=0',
    '1: r0=7 r2=0',
    '3: r0=7 r2=4294967298',
    '4: r0=4294967305 r2=4294967298',
  ]);
  assert.equal(machine.executed, 4);
});

it('a run goes on where steps stopped', () => {
  const machine = machineOf('r0 = 1; r0 += 1; r0 += 1; exit');
  step(machine);
  assert.equal(run(machine, 10), 3n);
});

it('a program that runs away is stopped at the instruction budget, and the next one runs', () => {
  assert.throws(() => test.run('l: may_goto end; r0 = 0; goto l; end: r0 = 0; exit'), {
    code: 'ETIMEDOUT',
    message: /after 10000 instructions/,
  });
  assert.equal(test.run('r0 = 1; exit').r0, 1n);
});

it('exactly the budget suffices', () => {
  const text = 'r0 = 1; r0 += 1; exit';
  assert.equal(run(machineOf(text), 3), 2n);
  assert.throws(() => run(machineOf(text), 2), { code: 'ETIMEDOUT' });
});

it('all may_goto of a frame share its iterations', () => {
  using limited = new TestKernel([], { mayGoto: { iterations: 1_000 } });
  const text =
    'r0 = 0; l: may_goto out; r0 += 1; may_goto out; r0 += 1; goto l; out: may_goto end; r0 = 0; end: exit';
  assert.equal(limited.run(text).r0, 1_000n);
});

it('a may_goto that leads to what follows anyway uses up no iteration', () => {
  using limited = new TestKernel([], { mayGoto: { iterations: 1_000 } });
  const text =
    'r0 = 0; may_goto next; next: l: may_goto out; r0 += 1; goto l; out: may_goto end; r0 = 0; end: exit';
  assert.equal(limited.run(text).r0, 1_000n);
});

it('a frame has 250 ms for its may_goto, wherever they stand', () => {
  const start = performance.now();
  const text = 'r0 = 0; l: may_goto out; r0 += 1; goto l; out: may_goto end; r0 = 0; end: exit';
  using timed = new TestKernel([]);
  assert.ok(timed.run(text).r0 > 65_535n);
  assert.ok(performance.now() - start >= 250);
});

it('the ninth frame is refused', () => {
  // The function runs in the second frame already.
  const calls = (count: number) =>
    `call f0; exit; ${Array.from({ length: count }, (_, i) => `f${i}: ${i + 1 < count ? `call f${i + 1}` : 'r0 = 5'}; exit`).join('; ')}`;
  assert.equal(test.run(calls(6)).r0, 5n);
  assert.throws(() => test.run(calls(7)), {
    code: 'E2BIG',
    message: /the call stack of 9 frames is too deep/,
  });
});

describe('should the verifier be wrong', () => {
  /** A program whose frame pointer leads elsewhere, as no program can bring about. */
  const strayed = (low: number, checked: boolean) => {
    const machine = machineOf('*(u64 *)(r10 - 8) = 7; r0 = *(u64 *)(r10 - 8); exit', checked);
    machine.regs[2 * BPF_REG_10] = low;
    return machine;
  };

  it('the checked mode stops the program before the access', () => {
    const machine = strayed(test.kernel.cpu.stackTop + 4096, true);
    assert.throws(() => run(machine, 10), {
      name: 'Violation',
      code: 'EACCES',
      message: /walk, instruction 0 in walk: invalid write to stack, off=4088 size=8/,
    });
  });

  it('no other run leaves kernel memory', () => {
    for (const low of [0, 4]) assert.throws(() => run(strayed(low, false), 10), RangeError);
    assert.equal(run(strayed(-8, false), 10), 7n);
  });

  it('an instruction that no path reaches does nothing but say so', () => {
    const machine = machineOf('r0 = 1; if r0 == 1 goto out; r0 = 2; out: exit');
    machine.pc = 2;
    assert.throws(() => step(machine), { name: 'Violation', message: /found no way to this instruction/ });
  });
});

it('a fault report counts the accesses of each instruction to absent pages', () => {
  const arena = {
    type: 33,
    keySize: 0,
    valueSize: 0,
    maxEntries: 2,
    flags: 1 << 10,
    mapExtra: 0x10_0000_0000n,
  };
  using reporting = new TestKernel([arena], { faults: 'report' });
  const loop =
    'r1 = addr_space_cast(r1, 0, 1); r2 = 3; l: r0 = *(u32 *)(r1 + 4); r1 += 4096; r2 -= 1; if r2 != 0 goto l; exit';
  const { faults } = reporting.run(loop, 0);
  assert.deepEqual(
    faults.map(({ address, size, access, page, count }) => ({ address, size, access, page, count })),
    [{ address: 4, size: 4, access: 'load', page: 'free', count: 3 }],
  );
  assert.deepEqual(test.run('r0 = 0; exit').faults, []);
});
