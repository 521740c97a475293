import { type Instruction, isLdImm64, slots, writtenRegister } from '../isa/instruction.ts';
import { BPF_ADDR_SPACE_CAST, MAX_BPF_REG, opcode } from '../isa/opcodes.ts';
import type { Graph } from './cfg.ts';
import { reversePostorder } from './dominators.ts';

/**
 * Registers whose low half is the same number on every way to an instruction: addresses of arena globals, mostly. An access
 * through one has a known address and page; a cast of one is a number. Stack slots that are locals hold such numbers, too. A forward
 * analysis; where different numbers meet, nothing is known.
 */

/** A stack slot that an instruction reads or writes, by number. */
export interface SlotAccess {
  readonly number: number;
  readonly writes: boolean;
}

/** The low half of each register and slot, signed; undefined where it varies. Unreached so far: no state at all. */
type State = (number | undefined)[];

/**
 * @param stack the stack slot of 4 and more bytes, of `slotCount`, that an instruction reaches and nothing else does.
 * @returns for an instruction and a register, its low half before that; kept for accesses and casts.
 */
export function lowConstants(
  graph: Graph,
  insns: readonly Instruction[],
  constant: (insn: number) => bigint,
  slotCount = 0,
  stack: (at: number) => SlotAccess | undefined = () => undefined,
): (at: number, register: number) => number | undefined {
  const before: (State | undefined)[] = new Array(graph.length);
  const known = new Map<number, State>();
  if (graph.length === 0) return () => undefined;
  before[0] = new Array<undefined>(MAX_BPF_REG + slotCount).fill(undefined);
  const order = reversePostorder(graph.length, 0, (node) => graph[node].next);
  const walk = (node: number, keep: boolean): State => {
    const state = (before[node] as State).slice();
    const code = graph[node];
    if (code.kind !== 'code') return state;
    for (let at = code.start; at < code.end; at += slots(insns[at])) {
      if (keep && isAsked(insns[at]) && state.some((each) => each !== undefined))
        known.set(at, state.slice());
      const slot = stack(at);
      if (slot === undefined) step(state, insns[at], at, constant);
      else throughSlot(state, insns[at], slot);
    }
    return state;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of order) {
      if (before[node] === undefined) continue;
      const after = walk(node, false);
      for (const to of graph[node].next) if (meet(before, to, after)) changed = true;
    }
  }
  for (const node of order) if (before[node] !== undefined) walk(node, true);
  return (at, register) => known.get(at)?.[register];
}

/** Joins what arrives at a node. @returns whether that changed something. */
function meet(before: (State | undefined)[], node: number, arriving: State): boolean {
  const old = before[node];
  if (old === undefined) {
    before[node] = arriving.slice();
    return true;
  }
  let changed = false;
  for (let place = 0; place < old.length; place++) {
    if (old[place] === undefined || old[place] === arriving[place]) continue;
    old[place] = undefined;
    changed = true;
  }
  return changed;
}

function isAsked({ code, off }: Instruction): boolean {
  const row = opcode(code);
  if (row?.kind === 'alu') return row.op === 'mov' && row.source === 'X' && off === BPF_ADDR_SPACE_CAST;
  return row?.kind === 'load' || row?.kind === 'store' || row?.kind === 'atomic';
}

function throughSlot(
  state: State,
  { code, dst, src, imm }: Instruction,
  { number, writes }: SlotAccess,
): void {
  const row = opcode(code);
  if (!writes) state[dst] = state[MAX_BPF_REG + number];
  else if (row?.kind === 'store') state[MAX_BPF_REG + number] = row.source === 'X' ? state[src] : imm;
}

function step(state: State, insn: Instruction, at: number, constant: (insn: number) => bigint): void {
  if (isLdImm64(insn)) {
    state[insn.dst] = Number(BigInt.asIntN(32, constant(at)));
    return;
  }
  const row = opcode(insn.code);
  if (row?.kind === 'call') {
    state.fill(undefined, 0, 6);
    return;
  }
  const written = writtenRegister(insn);
  if (written !== undefined) state[written] = row?.kind === 'alu' ? result(state, insn) : undefined;
}

/** The low half that an arithmetic instruction gives, of those that addresses are made with. */
function result(state: State, { code, dst, src, off, imm }: Instruction): number | undefined {
  const row = opcode(code);
  if (row?.kind !== 'alu') return undefined;
  const right = row.source === 'X' ? state[src] : imm;
  // Sign extension of fewer bits is not followed.
  if (row.op === 'mov') return off === 0 || off === BPF_ADDR_SPACE_CAST || off === 32 ? right : undefined;
  const left = state[dst];
  if (left === undefined || right === undefined) return undefined;
  if (row.op === 'add') return (left + right) | 0;
  return row.op === 'sub' ? (left - right) | 0 : undefined;
}
