import { type Instruction, jumpTarget, slots } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import type { PageRun, RunCounter } from './page-runs.ts';

/**
 * First stage: the control-flow graph of one function. A node is a run of instructions that is entered at its top and
 * left at its end. What the verifier found unreachable is not there, so a condition with one living side is no condition.
 *
 * Edges that no structured program can have (into the middle of a loop) are the matter of reducible.ts, which adds nodes.
 */

export interface CodeNode {
  readonly kind: 'code';
  /** Which of the functions that were put together it belongs to: see unit.ts. */
  readonly frame: number;
  /** First slot, and one past the last one. */
  readonly start: number;
  readonly end: number;
  /** What was asked before the loop that it is in: see page-runs.ts. */
  readonly run?: PageRun;
  /** None: it returns, or goes nowhere. One: it goes on there. Two: where the jump in its last slot leads, and where not. */
  readonly next: number[];
}

/** Chooses where {@link DispatchNode} goes. */
export interface EnterNode {
  readonly kind: 'enter';
  readonly choice: number;
  readonly next: number[];
}

/** Goes where the last {@link EnterNode} said. */
export interface DispatchNode {
  readonly kind: 'dispatch';
  readonly next: number[];
}

/** A function that was put into its caller begins: its arguments are handed over. */
export interface InlineNode {
  readonly kind: 'inline';
  readonly frame: number;
  readonly caller: number;
  readonly next: number[];
}

/** Goes on after a may_goto whose iterations may be used up: to where the jump leads, or to where it does not. */
export interface RefillNode {
  readonly kind: 'refill';
  readonly frame: number;
  /** The slot of the may_goto. */
  readonly at: number;
  /** The way on leads to the may_goto itself, which takes an iteration once more. */
  readonly again: boolean;
  /** What is asked of the rounds that follow, and may be known of them then. */
  readonly run?: PageRun;
  readonly next: number[];
}

/** Behind a loop whose rounds were counted for a run: what is left of the iterations is put together again. */
export interface SettleNode {
  readonly kind: 'settle';
  readonly frame: number;
  /** The register that counted the rounds, where one did, and how far the last round has moved it. */
  readonly counter: (RunCounter & { readonly distance: number }) | undefined;
  readonly next: number[];
}

/** Leaves for the version behind a may_goto, with one iteration less: see versions.ts. */
export interface LeaveNode {
  readonly kind: 'leave';
  readonly frame: number;
  /** The slot of the may_goto. */
  readonly at: number;
  readonly next: number[];
}

/** Register operations that take effect only if the jump before them is taken (or is not): see choose.ts. */
export interface ChooseNode {
  readonly kind: 'choose';
  readonly frame: number;
  /** The slot of the jump, and what its condition has to be. */
  readonly jump: number;
  readonly holds: boolean;
  readonly start: number;
  readonly end: number;
  readonly next: number[];
}

export type Node =
  | ChooseNode
  | CodeNode
  | EnterNode
  | DispatchNode
  | InlineNode
  | LeaveNode
  | RefillNode
  | SettleNode;

/** Node 0 is where the function is entered. */
export type Graph = readonly Node[];

/** @param seen the slots that can be reached. @param start first slot. @param end one past the last one. */
export function controlFlow(
  insns: readonly Instruction[],
  seen: Uint8Array,
  start: number,
  end: number,
): Graph {
  const leads = new Uint8Array(end - start + 1);
  leads[0] = 1;
  for (let at = start; at < end; at += slots(insns[at])) {
    const target = jumpTarget(insns[at], at);
    if (seen[at] === 0 || target === undefined) continue;
    leads[target - start] = 1;
    leads[at + 1 - start] = 1;
  }
  const nodeAt = new Int32Array(end - start + 1).fill(-1);
  const spans: { start: number; end: number; last: number }[] = [];
  for (let at = start, last = at; at < end; ) {
    if (seen[at] === 0) {
      at += slots(insns[at]);
      continue;
    }
    const first = at;
    nodeAt[first - start] = spans.length;
    do {
      last = at;
      at += slots(insns[at]);
    } while (
      at < end &&
      leads[at - start] === 0 &&
      seen[at] !== 0 &&
      opcode(insns[last].code)?.kind !== 'exit'
    );
    spans.push({ start: first, end: at, last });
  }
  return spans.map(({ start: first, end: after, last }): CodeNode => {
    const insn = insns[last];
    const kind = opcode(insn.code)?.kind;
    const target = jumpTarget(insn, last);
    const next: number[] = [];
    if (target !== undefined && nodeAt[target - start] >= 0) next.push(nodeAt[target - start]);
    if (kind !== 'exit' && kind !== 'goto' && after < end) {
      const fallen = nodeAt[after - start];
      if (fallen >= 0 && fallen !== next[0]) next.push(fallen);
    }
    return { kind: 'code', frame: 0, start: first, end: after, next };
  });
}
