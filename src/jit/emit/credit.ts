import { CREDIT, RETURNED_AT } from '../encode/module.ts';
import { OP } from '../encode/opcodes.ts';
import type { Emitter } from './emitter.ts';

/** When the careful version of a function goes back to fast code: see versions.ts. */

/** Rounds of may_goto that the careful version stays in itself, at least and at most. */
const LEAST_CREDIT = 2;
const MOST_CREDIT = 256;

/**
 * How long the careful version stays: while its checks fail again soon after it has left, twice as long as the last time;
 * if the fast versions had a good run in between, it leaves as soon as it can. A run is measured in rounds of may_goto.
 * @param left the local that holds what is left for the may_goto of the frame whose check failed.
 */
export function emitCredit(e: Pick<Emitter, 'code' | 'credit'>, left: number): void {
  const { code } = e;
  code.i32(LEAST_CREDIT);
  code.globalGet(CREDIT);
  code.i32(1);
  code.op(OP.i32_shl);
  code.i32(1);
  code.op(OP.i32_or);
  code.tee(e.credit);
  code.i32(MOST_CREDIT);
  code.get(e.credit);
  code.i32(MOST_CREDIT);
  code.op(OP.i32_lt_u);
  code.op(OP.select);
  code.globalGet(RETURNED_AT);
  code.get(left);
  code.op(OP.i32_sub);
  code.globalGet(CREDIT);
  code.i32(2);
  code.op(OP.i32_shl);
  code.op(OP.i32_gt_u);
  code.op(OP.select);
  code.tee(e.credit);
  code.globalSet(CREDIT);
}
