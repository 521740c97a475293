import { type Instruction, subprogramTarget } from '../../isa/instruction.ts';
import { BPF_PSEUDO_CALL } from '../../isa/opcodes.ts';
import type { ProgramFunction } from '../input.ts';
import { liveRegisters } from './live-registers.ts';

const ARGUMENTS = 0b111110;

/**
 * Which of r1 to r5 each function reads before it writes them, itself or in the functions that it calls: the parameters
 * that it really has.
 *
 * @param argumentsOf how many of r1 to r5 a helper or kfunc call reads.
 * @returns a bit a register, by function; r1 is bit 1.
 */
export function argumentsRead(
  insns: readonly Instruction[],
  functions: readonly ProgramFunction[],
  argumentsOf: (insn: Instruction) => number,
): readonly number[] {
  const read = functions.map(() => 0);
  const starts = new Map(functions.map(({ start }, number) => [start, number]));
  for (let changed = true; changed; ) {
    changed = false;
    const calleeReads = (insn: Instruction, at: number) => {
      const callee = insn.src === BPF_PSEUDO_CALL ? starts.get(subprogramTarget(insn, at) ?? -1) : undefined;
      return callee === undefined ? undefined : read[callee];
    };
    const live = liveRegisters(insns, argumentsOf, calleeReads, true);
    functions.forEach(({ start }, number) => {
      const now = live[start] & ARGUMENTS;
      if (now === read[number]) return;
      read[number] = now;
      changed = true;
    });
  }
  return read;
}
