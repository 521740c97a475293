import { subprogramTarget } from '../../isa/instruction.ts';
import { BPF_PSEUDO_CALL, opcode } from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';
import { MAX_STACK } from '../memory/stack-bounds.ts';

/** The stack of a chain of calls, all frames together (Linux: check_max_stack_depth). */

const MAX_FRAMES = 8;

/** A frame takes multiples of 16 bytes. */
function roundedDepth(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}

export function checkStackDepth(env: Env): void {
  const { stackDepth } = env.facts;
  const calls = env.subprograms.map(({ start, end }) => {
    const callees: number[] = [];
    for (let at = start; at < end; at++) {
      const insn = env.insns[at];
      if (opcode(insn.code)?.kind !== 'call' || insn.src !== BPF_PSEUDO_CALL) continue;
      const target = subprogramTarget(insn, at);
      callees.push(env.subprograms.findIndex((each) => each.start === target));
    }
    return callees;
  });
  const visit = (subprog: number, frames: number, bytes: number): void => {
    const depth = bytes + roundedDepth(stackDepth[subprog]);
    if (depth > MAX_STACK) {
      const problem = `combined stack size of ${frames} calls is ${depth}. Too large`;
      throw env.reject('EACCES', problem, undefined);
    }
    for (const callee of calls[subprog]) {
      if (frames + 1 > MAX_FRAMES)
        throw env.reject('E2BIG', `the call stack of ${frames} frames is too deep !`, undefined);
      visit(callee, frames + 1, depth);
    }
  };
  visit(0, 1, 0);
}
