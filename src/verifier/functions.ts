import { type Instruction, subprogramTarget } from '../isa/instruction.ts';
import type { ProgramFunction } from './input.ts';

/** The functions of bare instructions: where they start, and wherever a call leads that stays inside. */
export function functionsOf(insns: readonly Instruction[]): ProgramFunction[] {
  const targets = insns.flatMap((insn, index) => subprogramTarget(insn, index) ?? []);
  const inside = targets.filter((target) => target >= 0 && target < insns.length);
  const starts = [...new Set([0, ...inside])].sort((a, b) => a - b);
  return starts.map((start, i) => ({ name: `function_${start}`, start, end: starts[i + 1] ?? insns.length }));
}
