import { slots } from '../../isa/instruction.ts';
import { type JumpOp, type JumpOpcode, opcode } from '../../isa/opcodes.ts';
import type { CodeNode } from '../cfg.ts';
import type { Label } from '../encode/code.ts';
import { OP, TYPE } from '../encode/opcodes.ts';
import type { Emitter } from './emitter.ts';

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

/** Branches to `label` if the jump at `at` is taken (or, with `holds` false, if it is not). */
export function emitBranch(e: Emitter, at: number, holds: boolean, label: Label): void {
  const row = opcode(e.insns[at].code);
  if (row?.kind === 'jump') {
    emitCondition(e, at, row, holds);
    e.code.brIf(label);
    return;
  }
  const { code } = e;
  if (holds) emitCountdown(e, label);
  else {
    const over = code.block();
    emitCountdown(e, over);
    code.br(label);
    code.end();
  }
}

/** Opens a structure whose contents run if the jump at `at` is taken (or is not); its `end` is the caller's matter. */
export function emitIf(e: Emitter, at: number, holds: boolean): void {
  const row = opcode(e.insns[at].code);
  const { code } = e;
  if (row?.kind === 'jump') {
    emitCondition(e, at, row, holds);
    code.if();
    return;
  }
  const around = code.block();
  if (holds) {
    const over = code.block();
    emitCountdown(e, over);
    code.br(around);
    code.end();
  } else emitCountdown(e, around);
}

/** Pushes whether the jump is taken, i32; with `holds` false, whether it is not. */
function emitCondition(e: Emitter, at: number, row: JumpOpcode, holds: boolean): void {
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

/** Takes one iteration from the frame's budget; branches to `over` when there is none left. */
function emitCountdown(e: Emitter, over: Label): void {
  const { code } = e;
  const { loop } = e.frame;
  if (loop === undefined) throw new TypeError(`${e.frame.plan.name} was planned without may_goto`);
  code.get(loop.count);
  code.i32(1);
  code.op(OP.i32_sub);
  code.tee(loop.count);
  code.i32(0);
  code.op(OP.i32_lt_s);
  code.if(TYPE.empty, false);
  code.get(loop.deadline);
  code.call(e.callees.import('refill'));
  code.tee(loop.deadline);
  pushZero(e);
  code.op(OP.f64_lt);
  code.brIf(over);
  code.i32(e.target.loopIterations - 1);
  code.set(loop.count);
  code.end();
}

function pushZero({ code }: Emitter): void {
  code.op(OP.f64_const);
  for (let i = 0; i < 8; i++) code.op(0);
}
