import assert from 'node:assert/strict';
import { it } from 'node:test';
import { routineFunction } from '../emit/routine.ts';
import type { ImportedCall, RoutineCall } from '../target.ts';
import { add, type Expression, either, eq, get, i32, mul, seq, set, when } from './expressions.ts';
import { ModuleBuilder } from './module.ts';
import { TYPE } from './opcodes.ts';

/** Routines, from expressions to what they compute, and the way to the function behind them. */

const IMPORT: ImportedCall = {
  kind: 'import',
  name: 'imported',
  args: [
    { register: 1, form: 'low' },
    { register: 4, form: 'double' },
  ],
  result: 'double',
};

/** Calls a routine of r1 (low) and r4 (wide). */
function run(
  write: (code: Parameters<RoutineCall['write']>[0], otherwise: Expression) => void,
  r1: number,
  r4: bigint,
  imported: (...args: number[]) => number = () => 0,
): bigint {
  const routine: RoutineCall = {
    kind: 'routine',
    name: 'routine',
    args: [
      { register: 1, form: 'low' },
      { register: 4, form: 'wide' },
    ],
    result: 'wide',
    otherwise: IMPORT,
    write,
  };
  const module = new ModuleBuilder([{ name: 'imported', params: [TYPE.i32, TYPE.f64], results: [TYPE.f64] }]);
  const index = module.reserve();
  const { signature, code, names } = routineFunction(routine, () => 0);
  module.define(index, 'routine', signature, code, names);
  module.export('routine', index);
  const memory = new WebAssembly.Memory({ initial: 65_536, maximum: 65_536, shared: true });
  const userHigh = new WebAssembly.Global({ value: 'i64', mutable: false }, 0n as never);
  const kernel = { arena: memory, memory, cpu: 0, userHigh, imported };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode().bytes), { kernel });
  return (instance.exports.routine as (r1: number, r4: bigint) => bigint)(r1, r4);
}

it('an expression computes its operands from left to right', () => {
  const write = (code: Parameters<Expression>[0]) => {
    const sum = code.local(TYPE.i32);
    seq(
      set(sum, add(mul(get(0), i32(3)), i32(1))),
      when(eq(get(sum), i32(16)), set(sum, i32(100)), set(sum, i32(200))),
      either(TYPE.i64, eq(get(sum), i32(100)), get(1), (c) => c.i64(-1)),
    )(code);
  };
  assert.equal(run(write, 5, 7n), 7n);
  assert.equal(run(write, 6, 7n), -1n);
});

it('a routine that cannot go on calls its import, with the arguments in the forms that this takes', () => {
  const seen: number[][] = [];
  const write = (code: Parameters<Expression>[0], otherwise: Expression) => otherwise(code);
  const result = run(write, 9, 2n ** 40n, (...args) => {
    seen.push(args);
    return -17;
  });
  assert.equal(result, -17n);
  assert.deepEqual(seen, [[9, 2 ** 40]]);
});
