import { type Instruction, slots } from '../isa/instruction.ts';
import { atomicOperation, opcode } from '../isa/opcodes.ts';
import type { Graph } from './cfg.ts';
import { reversePostorder } from './dominators.ts';

/**
 * What the analyses of a function's graph share. Each keeps what it knows in typed arrays, one row a node, and walks a node only
 * when something new has reached it: so straight code is walked once, and what is noted on the last walk is the result.
 */

/**
 * Walks nodes until nothing changes.
 * @param walk goes through a node. @param meet joins what came out of it with what is known before another one, and says whether
 * that changed something.
 */
export function forward(graph: Graph, walk: (node: number) => void, meet: (to: number) => boolean): void {
  const order = reversePostorder(graph.length, 0, (node) => graph[node].next);
  const waits = new Uint8Array(graph.length).fill(1);
  for (let again = true; again; ) {
    again = false;
    for (const node of order) {
      if (waits[node] === 0) continue;
      waits[node] = 0;
      walk(node);
      for (const to of graph[node].next) {
        if (!meet(to)) continue;
        waits[to] = 1;
        again = true;
      }
    }
  }
}

/** A set of the slots of a function. */
export class SlotSet {
  readonly first: number;
  readonly #bits: Uint8Array;

  constructor(graph: Graph) {
    const [first, end] = extent(graph);
    this.first = first;
    this.#bits = new Uint8Array(end - first);
  }

  has(slot: number): boolean {
    return this.#bits[slot - this.first] === 1;
  }

  set(slot: number, isIn: boolean): void {
    this.#bits[slot - this.first] = isIn ? 1 : 0;
  }
}

/** The first slot of a graph, and one past the last. */
export function extent(graph: Graph): readonly [first: number, end: number] {
  let first = Number.MAX_SAFE_INTEGER;
  let end = 0;
  for (const node of graph) {
    if (node.kind !== 'code') continue;
    first = Math.min(first, node.start);
    end = Math.max(end, node.end);
  }
  return first < end ? [first, end] : [0, 0];
}

/** Whether a slot is the second one of a ld_imm64, for who walks backwards. */
export function isSecond(insns: readonly Instruction[], slot: number, start: number): boolean {
  return slot > start && slots(insns[slot - 1]) === 2;
}

/** The register that an access goes through; −1 where an instruction is none. */
export function baseRegister({ code, dst, src, imm }: Instruction): number {
  switch (opcode(code)?.kind) {
    case 'load':
      return src;
    case 'store':
      return dst;
    case 'atomic':
      return atomicOperation(imm)?.op === 'load_acquire' ? src : dst;
    default:
      return -1;
  }
}
