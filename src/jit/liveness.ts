import { slots, writtenRegister } from '../isa/instruction.ts';
import { atomicOperation, BPF_PSEUDO_CALL, opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import type { ChooseNode, Node } from './cfg.ts';
import { reversePostorder } from './dominators.ts';
import type { FunctionPlan } from './plan.ts';
import { ownStackAccess } from './stack-slots.ts';
import type { CallOut } from './target.ts';
import type { Unit, UnitFrame } from './unit.ts';

/**
 * Which variables of a unit are still wanted before an instruction: what has to be handed over where code is left for
 * another version of itself. A backward analysis over sets of variables.
 */

type VariableSet = Int32Array;

const has = (set: VariableSet, variable: number) => (set[variable >> 5] & (1 << (variable & 31))) !== 0;
const add = (set: VariableSet, variable: number) => {
  set[variable >> 5] |= 1 << (variable & 31);
};
const remove = (set: VariableSet, variable: number) => {
  set[variable >> 5] &= ~(1 << (variable & 31));
};

function join(into: VariableSet, other: VariableSet): void {
  for (let i = 0; i < into.length; i++) into[i] |= other[i];
}

export class Liveness {
  readonly #program: VerifiedProgram;
  readonly #plans: readonly FunctionPlan[];
  readonly #unit: Unit;
  readonly #callOut: (insn: number) => CallOut;
  /** Before each node. */
  readonly #before: VariableSet[];
  /** Before instructions that code may be left at, by frame and slot. */
  readonly #at = new Map<string, VariableSet>();
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
    const words = (unit.variables.length + 31) >> 5;
    const { nodes } = unit;
    this.#before = nodes.map(() => new Int32Array(words));
    const order = reversePostorder(nodes.length, 0, (node) => nodes[node].next);
    for (let changed = true; changed; ) {
      changed = false;
      for (let i = order.length - 1; i >= 0; i--) {
        const node = order[i];
        const live = this.#after(node);
        this.#through(nodes[node], live, false);
        const known = this.#before[node];
        for (let word = 0; word < words; word++) {
          if (known[word] === live[word]) continue;
          known[word] = live[word];
          changed = true;
        }
      }
    }
    for (const node of order) this.#through(nodes[node], this.#after(node), true);
  }

  /** The variables that are live before an instruction which accesses the arena, or is a may_goto. */
  before(frame: number, at: number): number[] {
    const set = this.#at.get(`${frame}:${at}`);
    if (set === undefined) throw new TypeError(`code is left at instruction ${at}, where nothing was kept`);
    return [...this.#unit.variables.keys()].filter((variable) => has(set, variable));
  }

  /** The variables that are live at some point where code may be left. */
  anywhere(): readonly number[] {
    this.#anywhere ??= this.#findAnywhere();
    return this.#anywhere;
  }

  #findAnywhere(): number[] {
    const all = new Int32Array(this.#before[0].length);
    for (const set of this.#at.values()) join(all, set);
    return [...this.#unit.variables.keys()].filter((variable) => has(all, variable));
  }

  #after(node: number): VariableSet {
    const live = new Int32Array(this.#before[node].length);
    for (const to of this.#unit.nodes[node].next) join(live, this.#before[to]);
    return live;
  }

  #through(node: Node, live: VariableSet, keep: boolean): void {
    const { frames } = this.#unit;
    if (node.kind === 'inline') {
      const inner = frames[node.frame];
      const outer = frames[node.caller];
      if (inner.loop !== undefined) {
        remove(live, inner.loop.count);
        remove(live, inner.loop.deadline);
      }
      for (let register = 1; register <= 5; register++) {
        const wanted = has(live, inner.registers[register]);
        remove(live, inner.registers[register]);
        remove(live, outer.registers[register]);
        if (wanted) add(live, outer.registers[register]);
      }
      for (let register = 6; register < 10; register++) remove(live, inner.registers[register]);
      remove(live, inner.registers[0]);
      return;
    }
    if (node.kind === 'choose') {
      this.#throughChoice(node, live);
      return;
    }
    if (node.kind !== 'code') return;
    const at = slotsOf(this.#program, node);
    for (let i = at.length - 1; i >= 0; i--) {
      this.#step(frames[node.frame], at[i], live);
      if (keep && this.#mayLeave(at[i])) this.#at.set(`${node.frame}:${at[i]}`, live.slice());
    }
  }

  /** What the operations write may also stay as it was. */
  #throughChoice(node: ChooseNode, live: VariableSet): void {
    const frame = this.#unit.frames[node.frame];
    const untouched = live.slice();
    const at = slotsOf(this.#program, node);
    for (let i = at.length - 1; i >= 0; i--) this.#step(frame, at[i], live);
    join(live, untouched);
    this.#step(frame, node.jump, live);
  }

  #mayLeave(at: number): boolean {
    const { insns, facts } = this.#program;
    return facts.reachesArena(at) || opcode(insns[at].code)?.kind === 'may_goto';
  }

  /** From after an instruction to before it. */
  #step(frame: UnitFrame, at: number, live: VariableSet): void {
    const { insns, facts } = this.#program;
    const insn = insns[at];
    const { registers } = frame;
    const use = (register: number) => {
      if (register < 10) add(live, registers[register]);
    };
    const row = opcode(insn.code);
    const own = ownStackAccess(insns, facts, at);
    const cell = own === undefined ? undefined : frame.cells.get(own.offset);
    switch (row?.kind) {
      case 'call':
        for (let register = 0; register <= 5; register++) remove(live, registers[register]);
        for (const register of this.#argumentsOf(at)) use(register);
        return;
      case 'exit':
        use(0);
        return;
      case 'may_goto':
        if (frame.loop === undefined) return;
        add(live, frame.loop.count);
        add(live, frame.loop.deadline);
        return;
      case 'store':
        if (cell !== undefined) remove(live, cell);
        else use(insn.dst);
        if (row.source === 'X') use(insn.src);
        return;
      case 'load':
        remove(live, registers[insn.dst]);
        if (cell !== undefined) add(live, cell);
        else use(insn.src);
        return;
      case 'atomic': {
        // Where the page is absent the result stays what it was.
        use(insn.dst);
        use(insn.src);
        if (atomicOperation(insn.imm)?.op === 'cmpxchg') use(0);
        return;
      }
      case 'jump':
        use(insn.dst);
        if (row.source === 'X') use(insn.src);
        return;
      case 'alu': {
        if (row.op === 'mov') remove(live, registers[insn.dst]);
        if (row.op !== 'mov') use(insn.dst);
        if (row.source === 'X') use(insn.src);
        return;
      }
      case 'ld_abs':
      case 'ld_ind':
        for (let register = 0; register <= 5; register++) remove(live, registers[register]);
        use(6);
        if (row.kind === 'ld_ind') use(insn.src);
        return;
      default: {
        const written = writtenRegister(insn);
        if (written === undefined) return;
        if (row?.kind === 'ld_imm64') remove(live, registers[written]);
        else use(written);
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

/** The slots at which instructions of a node begin. */
function slotsOf({ insns }: VerifiedProgram, { start, end }: { start: number; end: number }): number[] {
  const found: number[] = [];
  for (let at = start; at < end; at += slots(insns[at])) found.push(at);
  return found;
}
