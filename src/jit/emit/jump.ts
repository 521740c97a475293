import { slots } from '../../isa/instruction.ts';
import { type JumpOp, type JumpOpcode, opcode } from '../../isa/opcodes.ts';
import type { CodeNode, LeaveNode, Node, RefillNode } from '../cfg.ts';
import type { Label } from '../encode/code.ts';
import { OP, TYPE } from '../encode/opcodes.ts';
import type { Emitter } from './emitter.ts';
import { emitRun, emitSettle, pushRunEnded } from './page-runs.ts';
import { emitPagesCheck } from './pages.ts';

/**
 * Conditions of jumps (RFC 9669, section 4.3), and `may_goto`: a local counts down, and only when it is used up the kernel
 * is asked for more, off the hot path.
 */

type Ordered = Exclude<JumpOp, 'jset'>;

/** Whether the jump is taken: the opcode for 64 and for 32 bits, and what holds when it is not. */
const CONDITIONS: Readonly<
  Record<Ordered, { readonly wide: number; readonly narrow: number; readonly not: Ordered }>
> = {
  jeq: { wide: OP.i64_eq, narrow: OP.i32_eq, not: 'jne' },
  jne: { wide: OP.i64_ne, narrow: OP.i32_ne, not: 'jeq' },
  jgt: { wide: OP.i64_gt_u, narrow: OP.i32_gt_u, not: 'jle' },
  jge: { wide: OP.i64_ge_u, narrow: OP.i32_ge_u, not: 'jlt' },
  jlt: { wide: OP.i64_lt_u, narrow: OP.i32_lt_u, not: 'jge' },
  jle: { wide: OP.i64_le_u, narrow: OP.i32_le_u, not: 'jgt' },
  jsgt: { wide: OP.i64_gt_s, narrow: OP.i32_gt_s, not: 'jsle' },
  jsge: { wide: OP.i64_ge_s, narrow: OP.i32_ge_s, not: 'jslt' },
  jslt: { wide: OP.i64_lt_s, narrow: OP.i32_lt_s, not: 'jsge' },
  jsle: { wide: OP.i64_le_s, narrow: OP.i32_le_s, not: 'jsgt' },
};

/** The slot of the last instruction of a node. */
export function lastSlot(e: Emitter, { start, end }: CodeNode): number {
  return end - 2 >= start && slots(e.insns[end - 2]) === 2 ? end - 2 : end - 1;
}

/** Branches to `label` if the jump that ends a node is taken (or, with `holds` false, if it is not). */
export function emitBranch(e: Emitter, node: Node, holds: boolean, label: Label): void {
  const { code } = e;
  if (pushCondition(e, node, holds)) code.brIf(label);
  else emitMayGoto(e, node as CodeNode, holds, label);
}

/** Opens a structure whose contents run if the jump is taken (or is not); its `end` is the caller's matter. */
export function emitIf(e: Emitter, node: Node, holds: boolean): void {
  const { code } = e;
  if (pushCondition(e, node, holds)) {
    code.if();
    return;
  }
  const around = code.block();
  if (holds) {
    const over = code.block();
    emitMayGoto(e, node as CodeNode, true, over);
    code.br(around);
    code.end();
  } else emitMayGoto(e, node as CodeNode, true, around);
}

/** Pushes the condition of a jump, i32. @returns false where it is a may_goto, which has none to push. */
function pushCondition(e: Emitter, node: Node, holds: boolean): boolean {
  if (node.kind === 'refill') {
    // What emitRefill left.
    e.code.get(e.scratch);
    if (!holds) e.code.op(OP.i32_eqz);
    return true;
  }
  if (node.kind !== 'code') throw new TypeError(`a ${node.kind} node ends in no jump`);
  e.frame = e.frames[node.frame];
  const at = lastSlot(e, node);
  const row = opcode(e.insns[at].code);
  if (row?.kind !== 'jump') return false;
  emitCondition(e, at, row, holds);
  return true;
}

/**
 * Takes one iteration from the frame's budget. Where none is left this version is left for another one; one that has none
 * to go to asks for more, and branches to `label` when there are no more (or, with `holds` false, when there are).
 */
function emitMayGoto(e: Emitter, node: CodeNode, holds: boolean, label: Label): void {
  const { code } = e;
  const { loop, index } = e.frame;
  if (loop === undefined) throw new TypeError(`${e.frame.plan.name} was planned without may_goto`);
  const at = lastSlot(e, node);
  const out = e.exits.exhausted(index, at);
  // Opened before there is something on the stack.
  const over = holds || out !== undefined ? label : code.block();
  const counter = node.run?.counter;
  if (out !== undefined && counter !== undefined) {
    pushRunEnded(e, counter);
    code.brIfOut(out);
    if (!holds) code.br(label);
    return;
  }
  code.get(loop.count);
  code.i32(1);
  code.op(OP.i32_sub);
  code.tee(loop.count);
  code.i32(0);
  code.op(OP.i32_lt_s);
  if (out !== undefined) {
    code.brIfOut(out);
    if (!holds) code.br(label);
    return;
  }
  if (e.exits.goOnBehind === undefined) {
    code.if(TYPE.empty, false);
    emitRefillHere(e, loop, over);
    code.end();
  } else {
    // From time to time also otherwise: the version that leads there is the faster one.
    code.get(e.credit);
    code.i32(1);
    code.op(OP.i32_sub);
    code.tee(e.credit);
    code.i32(0);
    code.op(OP.i32_lt_s);
    code.op(OP.i32_or);
    code.if(TYPE.empty, false);
    emitGoOnBehind(e, at);
    code.get(loop.count);
    code.i32(0);
    code.op(OP.i32_lt_s);
    code.if(TYPE.empty, false);
    emitRefillHere(e, loop, over);
    code.end();
    code.end();
  }
  if (holds) return;
  code.br(label);
  code.end();
}

/** Asks for more iterations, and branches to `over` when there are none. */
function emitRefillHere(
  e: Emitter,
  loop: { readonly count: number; readonly deadline: number },
  over: Label,
): void {
  pushRefilled(e, loop);
  e.code.brIf(over);
  e.code.i32(e.target.loopIterations - 1);
  e.code.set(loop.count);
}

/**
 * Goes over to the fast version behind a may_goto, unless a pointer is not aligned, or its page may not be written, of which that
 * version takes it for granted, since it checked it on the way there.
 */
function emitGoOnBehind(e: Emitter, at: number): void {
  const { code } = e;
  const stay = code.block();
  for (const { register, bits } of e.learntAt(at)) {
    e.getLow(register);
    code.i32((1 << bits) - 1);
    code.op(OP.i32_and);
    code.brIf(stay);
  }
  const pages = e.knownPagesAt(at);
  if (pages !== undefined) emitPagesCheck(e, pages, () => code.brIf(stay));
  e.exits.goOnBehind?.(e.frame.index, at);
  code.end();
}

/**
 * The first node behind a may_goto: asks for more iterations if there are none, and leaves in `scratch` whether it got none.
 * Where the may_goto is gone through again, the iteration that it took is given back.
 */
export function emitRefill(e: Emitter, node: RefillNode): void {
  const { code } = e;
  const { loop } = e.frames[node.frame];
  if (loop === undefined) throw new TypeError('a function without may_goto needs no iterations');
  code.i32(0);
  code.set(e.scratch);
  code.get(loop.count);
  code.i32(0);
  code.op(OP.i32_lt_s);
  code.if();
  pushRefilled(e, loop);
  code.tee(e.scratch);
  code.op(OP.i32_eqz);
  code.if();
  code.i32(node.again ? e.target.loopIterations : e.target.loopIterations - 1);
  code.set(loop.count);
  code.end();
  if (node.again) {
    code.else();
    code.get(loop.count);
    code.i32(1);
    code.op(OP.i32_add);
    code.set(loop.count);
  }
  code.end();
  code.get(loop.count);
  e.bringMemory();
  code.set(loop.count);
  if (loop.reserve === undefined) return;
  if (node.run === undefined) {
    emitSettle(e, loop);
    return;
  }
  // Where there are no more rounds nothing is known of the next one.
  code.get(e.scratch);
  code.op(OP.i32_eqz);
  code.if();
  e.frame = e.frames[node.frame];
  emitRun(e, loop, node.run, e.exits.failedRun(node.frame, node.at));
  code.end();
}

/** Takes an iteration, and leaves for the version behind a may_goto, which asks for more where none was left. */
export function emitLeave(e: Emitter, { frame, at }: LeaveNode): void {
  const { code } = e;
  const { loop } = e.frames[frame];
  if (loop === undefined) throw new TypeError('a function without may_goto is not left at one');
  code.get(loop.count);
  code.i32(1);
  code.op(OP.i32_sub);
  code.set(loop.count);
  e.exits.goOnBehind?.(frame, at);
}

/** Asks for more iterations. Pushes whether there are none, i32. */
function pushRefilled(e: Emitter, loop: { readonly deadline: number }): void {
  const { code } = e;
  code.get(loop.deadline);
  code.call(e.callees.import('refill'));
  code.tee(loop.deadline);
  code.zero(TYPE.f64);
  code.op(OP.f64_lt);
}

/** Pushes whether the jump is taken, i32; with `holds` false, whether it is not. */
export function emitCondition(e: Emitter, at: number, row: JumpOpcode, holds: boolean): void {
  const { code } = e;
  const { dst, src, imm } = e.insns[at];
  const wide = row.width === 64;
  if (row.op !== 'jset' && row.source === 'K' && imm === 0 && (row.op === 'jeq' || row.op === 'jne')) {
    if (wide) e.get(dst);
    else e.getLow(dst);
    const isZero = (row.op === 'jeq') === holds;
    if (isZero) code.op(wide ? OP.i64_eqz : OP.i32_eqz);
    else if (wide) {
      code.i64(0);
      code.op(OP.i64_ne);
    }
    return;
  }
  if (wide) {
    e.get(dst);
    if (row.source === 'X') e.get(src);
    else code.i64(imm);
  } else {
    e.getLow(dst);
    if (row.source === 'X') e.getLow(src);
    else code.i32(imm);
  }
  if (row.op === 'jset') {
    code.op(wide ? OP.i64_and : OP.i32_and);
    if (wide) {
      code.op(OP.i64_eqz);
      if (holds) code.op(OP.i32_eqz);
    } else if (!holds) code.op(OP.i32_eqz);
    return;
  }
  const condition = CONDITIONS[holds ? row.op : CONDITIONS[row.op].not];
  code.op(wide ? condition.wide : condition.narrow);
}
