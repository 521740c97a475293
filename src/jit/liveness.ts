import { writtenRegister } from '../isa/instruction.ts';
import { atomicOperation, BPF_PSEUDO_CALL, BPF_REG_10, opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import type { ChooseNode, InlineNode, Node } from './cfg.ts';
import { reversePostorder } from './dominators.ts';
import { isSecond } from './flow.ts';
import type { FunctionPlan } from './plan.ts';
import { ownStackOffset } from './stack-slots.ts';
import type { CallOut } from './target.ts';
import type { Unit, UnitFrame } from './unit.ts';

/**
 * Which variables of a unit are still wanted before an instruction: what has to be handed over where code is left for
 * another version of itself. A backward analysis over sets of variables, a bit each: each node's instructions are gone through once
 * to see what it reads before it writes, and what it writes; then nodes are joined until nothing changes; and once more for the
 * sets before the instructions where code may be left.
 */

type VariableSet = Int32Array;

const has = (set: VariableSet, variable: number) => (set[variable >> 5] & (1 << (variable & 31))) !== 0;

function use(live: VariableSet, variable: number): void {
  live[variable >> 5] |= 1 << (variable & 31);
}

export class Liveness {
  readonly #program: VerifiedProgram;
  readonly #plans: readonly FunctionPlan[];
  readonly #unit: Unit;
  readonly #callOut: (insn: number) => CallOut;
  /** Of a set. */
  readonly #words: number;
  /** Before each node, behind each other. */
  readonly #before: VariableSet;
  /** What the instructions write that are being gone through; what is read before that is live in any case. */
  readonly #written: VariableSet;
  /** Where the set before an instruction stands in {@link #sets} where code may be left, by frame and slot. */
  readonly #at = new Map<number, number>();
  #sets: VariableSet;
  #setCount = 0;
  #anywhere: readonly number[] | undefined;

  constructor(
    program: VerifiedProgram,
    plans: readonly FunctionPlan[],
    unit: Unit,
    callOut: (insn: number) => CallOut,
  ) {
    this.#program = program;
    this.#plans = plans;
    this.#unit = unit;
    this.#callOut = callOut;
    const { nodes } = unit;
    const words = (unit.variables.length + 31) >> 5;
    this.#words = words;
    this.#before = new Int32Array(nodes.length * words);
    this.#written = new Int32Array(words);
    this.#sets = new Int32Array(64 * words);
    const order = reversePostorder(nodes.length, 0, (node) => nodes[node].next).reverse();
    this.#solve(order);
    const live = new Int32Array(words);
    for (const node of order) {
      this.#after(node, live);
      this.#through(nodes[node], live, true);
    }
  }

  #solve(order: readonly number[]): void {
    const { nodes } = this.#unit;
    const words = this.#words;
    const reads = new Int32Array(nodes.length * words);
    const writes = new Int32Array(nodes.length * words);
    const live = new Int32Array(words);
    for (const node of order) {
      if (nodes[node].kind !== 'code') continue;
      live.fill(0);
      this.#written.fill(0);
      this.#through(nodes[node], live, false);
      reads.set(live, node * words);
      writes.set(this.#written, node * words);
    }
    const before = this.#before;
    for (let changed = true; changed; ) {
      changed = false;
      for (const node of order) {
        const row = node * words;
        this.#after(node, live);
        const isCode = nodes[node].kind === 'code';
        if (!isCode) this.#through(nodes[node], live, false);
        for (let word = 0; word < words; word++) {
          const now = isCode ? reads[row + word] | (live[word] & ~writes[row + word]) : live[word];
          if (before[row + word] === now) continue;
          before[row + word] = now;
          changed = true;
        }
      }
    }
  }

  /** The variables that are live before an instruction which accesses the arena, or is a may_goto. */
  before(frame: number, at: number): number[] {
    const place = this.#at.get(this.#key(frame, at));
    if (place === undefined) throw new TypeError(`code is left at instruction ${at}, where nothing was kept`);
    return this.#variablesOf(this.#sets.subarray(place, place + this.#words));
  }

  /** The variables that are live at some point where code may be left. */
  anywhere(): readonly number[] {
    this.#anywhere ??= this.#findAnywhere();
    return this.#anywhere;
  }

  #findAnywhere(): number[] {
    const all = new Int32Array(this.#words);
    for (let i = 0; i < this.#setCount * this.#words; i++) all[i % this.#words] |= this.#sets[i];
    return this.#variablesOf(all);
  }

  #variablesOf(set: VariableSet): number[] {
    const found: number[] = [];
    for (let variable = 0; variable < this.#unit.variables.length; variable++)
      if (has(set, variable)) found.push(variable);
    return found;
  }

  #key(frame: number, at: number): number {
    return frame * this.#program.insns.length + at;
  }

  #keep(frame: number, at: number, live: VariableSet): void {
    const place = this.#setCount++ * this.#words;
    if (place === this.#sets.length) {
      const more = new Int32Array(2 * place);
      more.set(this.#sets);
      this.#sets = more;
    }
    this.#sets.set(live, place);
    this.#at.set(this.#key(frame, at), place);
  }

  #after(node: number, live: VariableSet): void {
    live.fill(0);
    for (const to of this.#unit.nodes[node].next)
      for (let word = 0; word < this.#words; word++) live[word] |= this.#before[to * this.#words + word];
  }

  #define(live: VariableSet, variable: number): void {
    live[variable >> 5] &= ~(1 << (variable & 31));
    use(this.#written, variable);
  }

  #through(node: Node, live: VariableSet, keep: boolean): void {
    switch (node.kind) {
      case 'inline':
        this.#throughInlining(node, live);
        return;
      case 'choose':
        this.#throughChoice(node, live);
        return;
      case 'code': {
        const { insns } = this.#program;
        const frame = this.#unit.frames[node.frame];
        for (let at = node.end - 1; at >= node.start; at--) {
          if (isSecond(insns, at, node.start)) continue;
          this.#step(frame, at, live);
          if (keep && this.#mayLeave(at)) this.#keep(node.frame, at, live);
        }
      }
    }
  }

  #throughInlining(node: InlineNode, live: VariableSet): void {
    const inner = this.#unit.frames[node.frame];
    const outer = this.#unit.frames[node.caller];
    if (inner.loop !== undefined) {
      this.#define(live, inner.loop.count);
      this.#define(live, inner.loop.deadline);
    }
    for (let register = 1; register <= 5; register++) {
      const wanted = has(live, inner.registers[register]);
      this.#define(live, inner.registers[register]);
      this.#define(live, outer.registers[register]);
      if (wanted) use(live, outer.registers[register]);
    }
    for (let register = 6; register < 10; register++) this.#define(live, inner.registers[register]);
    this.#define(live, inner.registers[0]);
  }

  /** What the operations write may also stay as it was. */
  #throughChoice(node: ChooseNode, live: VariableSet): void {
    const frame = this.#unit.frames[node.frame];
    const untouched = live.slice();
    for (let at = node.end - 1; at >= node.start; at--)
      if (!isSecond(this.#program.insns, at, node.start)) this.#step(frame, at, live);
    for (let word = 0; word < this.#words; word++) live[word] |= untouched[word];
    this.#step(frame, node.jump, live);
  }

  #mayLeave(at: number): boolean {
    const { insns, facts } = this.#program;
    return facts.reachesArena(at) || opcode(insns[at].code)?.kind === 'may_goto';
  }

  /** From after an instruction to before it. */
  #step({ registers, cells, loop }: UnitFrame, at: number, live: VariableSet): void {
    const { insns, facts } = this.#program;
    const insn = insns[at];
    const { dst, src } = insn;
    const row = opcode(insn.code);
    switch (row?.kind) {
      case 'call':
        for (let register = 0; register <= 5; register++) this.#define(live, registers[register]);
        for (const register of this.#argumentsOf(at)) use(live, registers[register]);
        return;
      case 'exit':
        use(live, registers[0]);
        return;
      case 'may_goto':
        if (loop === undefined) return;
        use(live, loop.count);
        use(live, loop.deadline);
        return;
      case 'store': {
        const cell = cells.get(ownStackOffset(facts, at));
        if (cell !== undefined) this.#define(live, cell);
        else useRegister(live, registers, dst);
        if (row.source === 'X') useRegister(live, registers, src);
        return;
      }
      case 'load': {
        this.#define(live, registers[dst]);
        const cell = cells.get(ownStackOffset(facts, at));
        if (cell !== undefined) use(live, cell);
        else useRegister(live, registers, src);
        return;
      }
      case 'atomic':
        // Where the page is absent the result stays what it was.
        useRegister(live, registers, dst);
        useRegister(live, registers, src);
        if (atomicOperation(insn.imm)?.op === 'cmpxchg') use(live, registers[0]);
        return;
      case 'jump':
        useRegister(live, registers, dst);
        if (row.source === 'X') useRegister(live, registers, src);
        return;
      case 'alu':
        if (row.op === 'mov') this.#define(live, registers[dst]);
        else useRegister(live, registers, dst);
        if (row.source === 'X') useRegister(live, registers, src);
        return;
      case 'ld_abs':
      case 'ld_ind':
        for (let register = 0; register <= 5; register++) this.#define(live, registers[register]);
        use(live, registers[6]);
        if (row.kind === 'ld_ind') useRegister(live, registers, src);
        return;
      case 'ld_imm64':
        this.#define(live, registers[dst]);
        return;
      default: {
        const written = writtenRegister(insn);
        if (written !== undefined) use(live, registers[written]);
      }
    }
  }

  #argumentsOf(at: number): number[] {
    const { insns } = this.#program;
    if (insns[at].src === BPF_PSEUDO_CALL) {
      const { args } = this.#plans[this.#program.calleeOf(at) ?? 0];
      return [1, 2, 3, 4, 5].filter((register) => (args & (1 << register)) !== 0);
    }
    const call = this.#callOut(at);
    if (call.kind === 'import')
      return call.args.flatMap(({ register, form }) =>
        form === 'frame' || form === 'constant' ? [] : [register],
      );
    if (call.kind === 'routine') return call.args.map(({ register }) => register);
    if (call.kind === 'tail-call') return [1, 2, 3];
    if (call.kind === 'copy') return [call.register];
    if (call.kind === 'loop') return [1, 2, 3, 4];
    return call.kind === 'array-element' ? [2] : [];
  }
}

/** The frame pointer is no variable. */
function useRegister(live: VariableSet, registers: readonly number[], register: number): void {
  if (register < BPF_REG_10) use(live, registers[register]);
}
