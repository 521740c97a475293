import { type Instruction, slots } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import type { CodeNode, Node } from './cfg.ts';

/**
 * Jumps around a few register operations become choices between values: the operations are done in any case, and each
 * register they write keeps its old value where the jump would have been taken. BPF has no conditional move, so compilers
 * write such jumps where the machine's own code would have none; data decides them, and processors guess them badly.
 */

/** Operations that a jump may be replaced for. */
const MOST = 3;

/** Replaces what can be, in place. A node that is replaced stays where it is, and nothing leads to it. */
export function chooseInsteadOfJumping(nodes: Node[], insns: readonly Instruction[]): void {
  const previous = new Int32Array(nodes.length);
  previous[0] = 1;
  for (const { next } of nodes) for (const to of next) previous[to]++;
  for (const node of nodes) {
    if (node.kind !== 'code' || node.next.length !== 2) continue;
    const at = node.end - 1;
    if (opcode(insns[at].code)?.kind !== 'jump') continue;
    const [taken, fallen] = node.next;
    for (const [arm, join, holds] of [
      [fallen, taken, false],
      [taken, fallen, true],
    ] as const) {
      const body = nodes[arm];
      if (body.kind !== 'code' || body.frame !== node.frame || previous[arm] !== 1) continue;
      if (body.next.length !== 1 || body.next[0] !== join || !isSimple(body, insns)) continue;
      nodes[arm] = {
        kind: 'choose',
        frame: node.frame,
        jump: at,
        holds,
        start: body.start,
        end: body.end,
        next: [join],
      };
      node.next.splice(0, 2, arm);
      break;
    }
  }
}

function isSimple({ start, end }: CodeNode, insns: readonly Instruction[]): boolean {
  let count = 0;
  for (let at = start; at < end; at += slots(insns[at])) {
    const row = opcode(insns[at].code);
    if (row?.kind === 'goto') continue;
    if (row?.kind !== 'alu' || row.op === 'div' || row.op === 'mod') return false;
    count++;
  }
  return count > 0 && count <= MOST;
}
