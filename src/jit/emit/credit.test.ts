import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Code } from '../encode/code.ts';
import { CREDIT, ModuleBuilder, RETURNED_AT } from '../encode/module.ts';
import { OP, TYPE } from '../encode/opcodes.ts';
import { emitCredit } from './credit.ts';

/** How many rounds the careful version stays each time that it is entered, by the rounds that fast code had in between. */

const PAGES = { initial: 65_536, maximum: 65_536, shared: true } as const;
const memories = { arena: new WebAssembly.Memory(PAGES), memory: new WebAssembly.Memory(PAGES) };
/** What was left for the may_goto when the careful version was last left; any number. */
const LEFT = 60_000;

/** @returns the rounds that are granted, in the local and in the global; of a module of its own, which has granted none. */
function careful(): (fastRounds: number) => { local: number; global: number } {
  const builder = new ModuleBuilder([]);
  const index = builder.reserve();
  const code = new Code(2);
  const credit = code.local(TYPE.i32);
  code.get(0);
  code.globalSet(RETURNED_AT);
  emitCredit({ code, credit }, 1);
  code.get(credit);
  code.op(OP.i64_extend_i32_u);
  code.i64(32);
  code.op(OP.i64_shl);
  code.globalGet(CREDIT);
  code.op(OP.i64_extend_i32_u);
  code.op(OP.i64_or);
  builder.define(index, 'f', { params: [TYPE.i32, TYPE.i32], results: [TYPE.i64] }, code);
  builder.export('f', index);
  const userHigh = new WebAssembly.Global({ value: 'i64', mutable: false }, 0n);
  const module = new WebAssembly.Module(builder.encode().bytes);
  const { exports } = new WebAssembly.Instance(module, { kernel: { ...memories, cpu: 0, userHigh } });
  const enter = exports.f as (returnedAt: number, left: number) => bigint;
  return (fastRounds) => {
    const both = enter(LEFT, LEFT - fastRounds);
    return { local: Number(both >> 32n), global: Number(both & 0xffff_ffffn) };
  };
}

/** Rounds that are granted, after each number of fast ones. */
function granted(fastRounds: readonly number[]): number[] {
  const enter = careful();
  return fastRounds.map((rounds) => enter(rounds).local);
}

describe('the careful version stays', () => {
  it('twice as long each time that checks fail soon again, up to 256 rounds', () =>
    assert.deepEqual(granted(new Array(11).fill(0)), [1, 3, 7, 15, 31, 63, 127, 255, 256, 256, 256]));
  it('as long as fast code had up to four times as many rounds', () =>
    assert.deepEqual(granted([0, 4, 12, 28]), [1, 3, 7, 15]));
  it('for two rounds where fast code had more', () =>
    assert.deepEqual(granted([0, 4, 13, 0, 21]), [1, 3, 2, 5, 2]));
  it('as long as the next time is compared with', () => {
    const enter = careful();
    for (const rounds of [0, 0, 0, 50]) {
      const { local, global } = enter(rounds);
      assert.equal(local, global);
    }
  });
});
