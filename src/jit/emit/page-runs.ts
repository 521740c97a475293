import { KERNEL_MEMORY } from '../encode/code.ts';
import { MEMORY_OP, OP, TYPE } from '../encode/opcodes.ts';
import type { PageRun, RunCounter, RunPointer } from '../page-runs.ts';
import { PAGE_PRESENT, PAGE_WRITTEN } from '../target.ts';
import type { Emitter, Loop } from './emitter.ts';
import { PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, pushNotWritable } from './pages.ts';

/**
 * Runs of rounds (../page-runs.ts). The count of a may_goto is for a part of what is left: during a run for as many rounds as may go
 * ahead, otherwise for some, so that a loop which goes on for long finds its way to the version that begins with a run. The rest
 * is in reserve; versions hand over the sum. So that neither a run nor looking for one costs anything in a round.
 */

/** Rounds without a run before the next one is tried: what asking costs has to be little beside them. */
const PATIENCE = 1024;

/** Pages that are looked up at once. */
const PAGES = 8;
const ALL_WRITABLE = BigInt(PAGE_PRESENT | PAGE_WRITTEN) * 0x0101_0101_0101_0101n;

/** Pushes what is left for a may_goto. */
export function pushIterations(e: Emitter, { count, reserve }: Loop): void {
  e.code.get(count);
  if (reserve === undefined) return;
  e.code.get(reserve);
  e.code.op(OP.i32_add);
}

/**
 * Rounds that a run may take at most where a pointer counts them: it comes nowhere twice.
 */
const MOST_COUNTED = 2 ** 22;

/** Puts count and reserve together, and keeps a part in reserve. */
export function emitSettle(
  e: Emitter,
  loop: Loop,
  counter?: RunCounter & { readonly distance: number },
): void {
  if (loop.reserve === undefined) return;
  const { code } = e;
  if (counter !== undefined) {
    // Rounds up to where the run would have ended.
    code.get(e.runEnd);
    e.getLow(counter.register);
    code.op(OP.i32_sub);
    code.i32(counter.distance);
    code.op(OP.i32_add);
    code.i32(counter.step);
    code.op(OP.i32_div_s);
    code.set(loop.count);
  }
  pushIterations(e, loop);
  code.set(loop.reserve);
  emitPart(e, loop, loop.reserve, () => code.i32(PATIENCE));
}

/** How much of the iterations that a function begins with is counted first. */
export function firstPart(loop: Loop, iterations: number): { count: number; reserve: number } {
  const count = loop.reserve === undefined ? iterations : Math.min(iterations, PATIENCE);
  return { count, reserve: iterations - count };
}

/** Counts for `most` rounds, or all that are left. */
function emitPart(e: Emitter, { count, reserve }: Loop, all: number, most: () => void): void {
  if (reserve === undefined) return;
  const { code } = e;
  most();
  code.get(all);
  most();
  code.get(all);
  code.op(OP.i32_lt_s);
  code.op(OP.select);
  code.set(count);
  code.get(all);
  code.get(count);
  code.op(OP.i32_sub);
  code.set(reserve);
}

/**
 * Asks what accesses of the rounds that follow would ask, and has may_goto count those of which it is known then. The first of them
 * has been counted.
 */
export function emitRun(e: Emitter, loop: Loop, { pointers, counter }: PageRun, out: number): void {
  const { code } = e;
  if (loop.reserve === undefined) throw new TypeError('a run needs something to keep the other rounds in');
  const most = code.local(TYPE.i32);
  if (counter === undefined) code.get(loop.count);
  else code.i32(MOST_COUNTED);
  code.set(most);
  for (const pointer of pointers) {
    emitAlignment(e, pointer, out);
    if (pointer.from < pointer.to) emitPages(e, pointer, most, out);
  }
  const all = code.local(TYPE.i32);
  code.get(loop.count);
  code.set(all);
  emitPart(e, loop, all, () => code.get(most));
  if (counter !== undefined) emitCounter(e, loop, counter);
}

/** Has a pointer count: it ends where the round behind the last one would begin, and nothing is left then but the reserve. */
function emitCounter(e: Emitter, { count, reserve }: Loop, { register, step }: RunCounter): void {
  const { code } = e;
  if (reserve === undefined) return;
  code.get(count);
  code.i32(1);
  code.op(OP.i32_add);
  code.i32(step);
  code.op(OP.i32_mul);
  e.getLow(register);
  code.op(OP.i32_add);
  code.set(e.runEnd);
  code.get(reserve);
  code.i32(1);
  code.op(OP.i32_sub);
  code.set(reserve);
  code.i32(0);
  code.set(count);
}

/** Pushes whether the run is at its end, i32. */
export function pushRunEnded(e: Emitter, { register }: RunCounter): void {
  e.getLow(register);
  e.code.get(e.runEnd);
  e.code.op(OP.i32_eq);
}

function emitAlignment(e: Emitter, { register, aligned }: RunPointer, out: number): void {
  const { code } = e;
  for (const { distance, unit } of aligned) {
    e.getLow(register);
    if (distance !== 0) {
      code.i32(distance);
      code.op(OP.i32_add);
    }
    code.i32(unit - 1);
    code.op(OP.i32_and);
    code.brIfOut(out);
  }
}

/** Leaves where a page that the first round reaches may not be written, and sets `most` to rounds that reach none but such. */
function emitPages(e: Emitter, { register, step, from, to }: RunPointer, most: number, out: number): void {
  const { code } = e;
  const first = code.local(TYPE.i32);
  const last = code.local(TYPE.i32);
  const room = code.local(TYPE.i32);
  for (const [local, distance] of [
    [first, from],
    [last, to - 1],
  ]) {
    e.getLow(register);
    code.i32(distance);
    code.op(OP.i32_add);
    code.set(local);
  }
  if (step > 0) {
    code.get(first);
    code.i32(PAGE_SHIFT);
    code.op(OP.i32_shr_u);
    code.memory(MEMORY_OP.i64_load, KERNEL_MEMORY, e.arena.pageTable);
    code.i64Big(ALL_WRITABLE);
    code.op(OP.i64_eq);
    code.if();
    // From the last byte to the end of those pages.
    code.i32(PAGES * PAGE_SIZE - (to - from));
    code.get(first);
    code.i32(PAGE_MASK);
    code.op(OP.i32_and);
    code.op(OP.i32_sub);
    code.set(room);
    code.else();
  }
  pushNotWritable(e, first, last);
  code.brIfOut(out);
  if (step !== 0) {
    if (step > 0) code.i32(PAGE_MASK);
    code.get(step > 0 ? last : first);
    code.i32(PAGE_MASK);
    code.op(OP.i32_and);
    if (step > 0) code.op(OP.i32_sub);
    code.set(room);
  }
  if (step > 0) code.end();
  if (step === 0) return;
  code.get(room);
  code.i32(Math.abs(step));
  code.op(OP.i32_div_u);
  code.tee(room);
  code.get(most);
  code.get(room);
  code.get(most);
  code.op(OP.i32_lt_u);
  code.op(OP.select);
  code.set(most);
}
