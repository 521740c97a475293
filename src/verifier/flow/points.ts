import { type Instruction, jumpTarget, slots, subprogramTarget } from '../../isa/instruction.ts';
import { BPF_PSEUDO_CALL, opcode } from '../../isa/opcodes.ts';

/**
 * Places that exploration treats specially (Linux: visit_insn): where states are compared, where the way is noted for
 * going back, and where a state is always kept.
 */
export interface Points {
  /** States that arrive here are compared with earlier ones. */
  readonly prune: Uint8Array;
  /** Where the way joins or jumps: the history notes it. */
  readonly jump: Uint8Array;
  /** Each arriving state is kept: loops that end by more than values must meet themselves. */
  readonly checkpoint: Uint8Array;
}

export function findPoints(insns: readonly Instruction[]): Points {
  const size = insns.length + 1;
  const prune = new Uint8Array(size);
  const jump = new Uint8Array(size);
  const checkpoint = new Uint8Array(size);
  const join = (at: number) => {
    prune[at] = 1;
    jump[at] = 1;
  };
  for (let at = 0; at < insns.length; at += slots(insns[at])) {
    const insn = insns[at];
    const kind = opcode(insn.code)?.kind;
    const target = jumpTarget(insn, at);
    if (target !== undefined) {
      join(target);
      if (kind !== 'goto') prune[at] = 1;
      if (kind === 'may_goto') checkpoint[at] = 1;
    }
    if (kind !== 'call') continue;
    join(at + 1);
    if (insn.src === BPF_PSEUDO_CALL) {
      prune[at] = 1;
      join(subprogramTarget(insn, at) ?? at);
    }
  }
  return { prune, jump, checkpoint };
}
