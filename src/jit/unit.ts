import { slots } from '../isa/instruction.ts';
import { BPF_PSEUDO_CALL, opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import type { CodeNode, Node } from './cfg.ts';
import { chooseInsteadOfJumping } from './choose.ts';
import { TYPE, type ValueType } from './encode/opcodes.ts';
import type { FunctionPlan } from './plan.ts';
import type { JitOptions } from './target.ts';

/**
 * What becomes one WebAssembly function: a BPF function together with those that are put into it, as one graph. Each call
 * that is inlined gives the graph a frame of its own: its nodes, and variables for its registers, its promoted stack slots
 * and what is left for its may_goto. r0 is one variable for all frames: a call leaves its result there.
 */

export interface UnitFrame {
  readonly plan: FunctionPlan;
  /** Frames around it. */
  readonly depth: number;
  /** Variables of r0 to r9. */
  readonly registers: readonly number[];
  /** Variables of promoted stack slots, by offset from the frame pointer. */
  readonly cells: ReadonlyMap<number, number>;
  readonly loop: { readonly count: number; readonly deadline: number } | undefined;
}

export interface Unit {
  readonly frames: readonly UnitFrame[];
  readonly nodes: readonly Node[];
  /** Types of the variables. */
  readonly variables: readonly ValueType[];
  /** Frames that lie upon each other at most, besides the first. */
  readonly deepest: number;
}

const REGISTERS = 10;

export function unitOf(
  program: VerifiedProgram,
  plans: readonly FunctionPlan[],
  number: number,
  options: JitOptions = {},
): Unit {
  const builder = new UnitBuilder(program, plans);
  builder.add(plans[number], 0, undefined);
  return builder.unit(options);
}

class UnitBuilder {
  readonly #program: VerifiedProgram;
  readonly #plans: readonly FunctionPlan[];
  readonly #frames: UnitFrame[] = [];
  readonly #nodes: Node[] = [];
  readonly #variables: ValueType[] = [TYPE.i64];

  constructor(program: VerifiedProgram, plans: readonly FunctionPlan[]) {
    this.#program = program;
    this.#plans = plans;
  }

  unit({ choices }: JitOptions): Unit {
    if (choices !== false) chooseInsteadOfJumping(this.#nodes, this.#program.insns);
    const deepest = Math.max(...this.#frames.map(({ depth }) => depth));
    return { frames: this.#frames, nodes: this.#nodes, variables: this.#variables, deepest };
  }

  /**
   * Adds a function's nodes.
   * @param after the node that its `exit` goes on to; undefined where it returns. @returns its first node.
   */
  add(plan: FunctionPlan, depth: number, after: number | undefined): number {
    const frame = this.#frame(plan, depth);
    const base = this.#nodes.length;
    const { graph } = plan;
    // All first, so that their numbers are those of the function's own graph.
    for (const node of graph) this.#nodes.push({ ...(node as CodeNode), frame, next: [] });
    graph.forEach((node, i) => {
      const code = node as CodeNode;
      const next = code.next.map((to) => base + to);
      const isExit = opcode(this.#program.insns[code.end - 1].code)?.kind === 'exit';
      const ways = isExit && after !== undefined ? [after] : next;
      this.#nodes[base + i] = this.#splitAtCalls(frame, code, ways);
    });
    return base;
  }

  /** Cuts a node at calls that are inlined. @returns what stands in its place. */
  #splitAtCalls(frame: number, code: CodeNode, next: number[]): Node {
    const { insns } = this.#program;
    for (let at = code.start; at < code.end; at += slots(insns[at])) {
      const callee = this.#inlined(at);
      if (callee === undefined) continue;
      const rest: CodeNode = { kind: 'code', frame, start: at + 1, end: code.end, next };
      const after = this.#nodes.push(rest) - 1;
      this.#nodes[after] = this.#splitAtCalls(frame, rest, next);
      const enter = this.#nodes.push({ kind: 'dispatch', next: [] }) - 1;
      const inner = this.#frames.length;
      const first = this.add(callee, this.#frames[frame].depth + 1, after);
      this.#nodes[enter] = { kind: 'inline', frame: inner, caller: frame, next: [first] };
      return { kind: 'code', frame, start: code.start, end: at, next: [enter] };
    }
    return { kind: 'code', frame, start: code.start, end: code.end, next };
  }

  #inlined(at: number): FunctionPlan | undefined {
    const { insns } = this.#program;
    if (insns[at].src !== BPF_PSEUDO_CALL || opcode(insns[at].code)?.kind !== 'call') return undefined;
    const callee = this.#plans[this.#program.calleeOf(at) ?? 0];
    return callee.inlined ? callee : undefined;
  }

  #frame(plan: FunctionPlan, depth: number): number {
    const variable = (type: ValueType) => this.#variables.push(type) - 1;
    const registers = [0, ...Array.from({ length: REGISTERS - 1 }, () => variable(TYPE.i64))];
    const cells = new Map([...plan.cells.keys()].map((offset) => [offset, variable(TYPE.i64)]));
    const loop = plan.hasMayGoto ? { count: variable(TYPE.i32), deadline: variable(TYPE.f64) } : undefined;
    return this.#frames.push({ plan, depth, registers, cells, loop }) - 1;
  }
}
