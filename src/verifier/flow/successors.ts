import { type Instruction, jumpTarget, slots } from '../../isa/instruction.ts';
import { opcode } from '../../isa/opcodes.ts';

/** Where control may go next inside a function; calls come back. At most two places. */
export function successors(insns: readonly Instruction[], at: number): readonly number[] {
  const insn = insns[at];
  const kind = opcode(insn.code)?.kind;
  if (kind === 'exit') return [];
  const target = jumpTarget(insn, at);
  const next = at + slots(insn);
  if (kind === 'goto') return target === undefined ? [] : [target];
  return target === undefined || target === next ? [next] : [next, target];
}
