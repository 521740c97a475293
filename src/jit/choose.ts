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
    const { frame } = node;
    const isFree = (arm: number, join: number) =>
      previous[arm] === 1 && isArm(nodes[arm], frame, join, insns);
    const holds = !isFree(fallen, taken);
    if (holds && !isFree(taken, fallen)) continue;
    const arm = holds ? taken : fallen;
    const { start, end } = nodes[arm] as CodeNode;
    nodes[arm] = { kind: 'choose', frame, jump: at, holds, start, end, next: [holds ? fallen : taken] };
    node.next.length = 1;
    node.next[0] = arm;
  }
}

/** Whether a node of a frame does a few register operations, and goes on to `join`. */
function isArm(node: Node, frame: number, join: number, insns: readonly Instruction[]): boolean {
  if (node.kind !== 'code' || node.frame !== frame) return false;
  return node.next.length === 1 && node.next[0] === join && isSimple(node, insns);
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
