import { type Instruction, jumpTarget, slots, subprogramTarget } from '../../isa/instruction.ts';
import { opcode } from '../../isa/opcodes.ts';
import type { CallKindOf } from '../calls/call-kinds.ts';

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

export function findPoints(insns: readonly Instruction[], callKind: CallKindOf): Points {
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
    const callee = subprogramTarget(insn, at);
    if (kind !== 'call' && callee === undefined) continue;
    join(at + slots(insn));
    if (callee !== undefined) {
      prune[at] = 1;
      join(callee);
    }
    switch (callKind(insn)) {
      case 'callback':
        // The callback returns here, and what it changed is compared with what the earlier rounds left.
        join(at);
        checkpoint[at] = 1;
        break;
      case 'iter_next':
        prune[at] = 1;
        checkpoint[at] = 1;
        break;
      case 'async':
        prune[at] = 1;
        break;
      default:
    }
  }
  return { prune, jump, checkpoint };
}
