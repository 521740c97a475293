import type { Instruction } from '../../isa/instruction.ts';
import type { JumpOp } from '../../isa/opcodes.ts';
import { type Env, eachReg } from '../env.ts';
import type { Reg, RegKind } from '../state/reg.ts';
import type { State } from '../state/state.ts';

/**
 * Packet pointers against the packet's end: what lies before a pointer that is not beyond the end may be accessed, through
 * every pointer with the same variable part (Linux: try_match_pkt_pointers).
 */

/** Instead of a range: the pointer is at the packet's end, or beyond it. */
const AT_END = -1;
const BEYOND_END = -2;
/** Linux: MAX_PACKET_OFF. */
const MAX_PACKET_OFFSET = 0xffff;

const isPacket = (reg: Reg) => reg.kind === 'pkt';

/** Whether a comparison is decided because an earlier one found the pointer at or beyond the end. */
export function packetBranchTaken(op: JumpOp, a: Reg, b: Reg): boolean | undefined {
  const direct = b.kind === 'pkt_end' && isPacket(a);
  if (!direct && !(a.kind === 'pkt_end' && isPacket(b))) return undefined;
  const { range } = direct ? a : b;
  if (range >= 0) return undefined;
  const seen = direct ? op : FLIPPED[op];
  if (seen === 'jle' || seen === 'jgt') return range === BEYOND_END ? seen === 'jgt' : undefined;
  if (seen === 'jlt' || seen === 'jge') return seen === 'jge';
  return undefined;
}

const FLIPPED: Partial<Record<JumpOp, JumpOp>> = { jgt: 'jlt', jlt: 'jgt', jge: 'jle', jle: 'jge' };

/** For `packet op end`: on which side the bytes before the pointer are inside, and whether one more is. */
const RULES: Partial<Record<JumpOp, { insideWhenTaken: boolean; oneMore: boolean }>> = {
  jgt: { insideWhenTaken: false, oneMore: false },
  jlt: { insideWhenTaken: true, oneMore: true },
  jge: { insideWhenTaken: false, oneMore: true },
  jle: { insideWhenTaken: true, oneMore: false },
};

export function comparePacket(
  env: Env,
  insn: Instruction,
  op: JumpOp,
  left: Reg,
  right: Reg,
  other: State,
): void {
  const direct = isBound(left, right);
  if (!direct && !isBound(right, left)) return;
  const seen = direct ? op : FLIPPED[op];
  const rule = seen === undefined ? undefined : RULES[seen];
  if (rule === undefined) return;
  const pointer = direct ? left : right;
  const number = direct ? insn.dst : insn.src;
  const inside = rule.insideWhenTaken ? other : env.state;
  const outside = rule.insideWhenTaken ? env.state : other;
  widen(inside, pointer, pointer.kind, rule.oneMore);
  const { regs } = outside.frame;
  // Where not (packet < end), it is at the end at least; where not (packet <= end), beyond.
  if (regs[number].kind === 'pkt')
    regs[number] = regs[number].with({ range: rule.oneMore ? AT_END : BEYOND_END });
  env.scratchedRegs |= (1 << insn.dst) | (1 << insn.src);
}

/** Metadata ends where the packet begins. */
function isBound(pointer: Reg, end: Reg): boolean {
  if (pointer.kind === 'pkt') return end.kind === 'pkt_end';
  const start = end.kind === 'pkt' && end.off === 0 && end.scalar.isConst() && end.scalar.smaxNumber() === 0;
  return pointer.kind === 'pkt_meta' && start;
}

function widen(state: State, pointer: Reg, kind: RegKind, oneMore: boolean): void {
  const { off, id } = pointer;
  if (off < 0 || (off === 0 && oneMore)) return;
  const max = pointer.scalar.umaxNumber();
  if (max > MAX_PACKET_OFFSET || max + off > MAX_PACKET_OFFSET) return;
  const range = off + (oneMore ? 1 : 0);
  eachReg(state, (reg) =>
    reg.kind === kind && reg.id === id && reg.range < range ? reg.with({ range }) : reg,
  );
}
