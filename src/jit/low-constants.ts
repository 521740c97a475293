import { type Instruction, slots, writtenRegister } from '../isa/instruction.ts';
import { type AluOpcode, BPF_ADDR_SPACE_CAST, MAX_BPF_REG, opcode } from '../isa/opcodes.ts';
import type { Graph } from './cfg.ts';
import { baseRegister, extent, forward } from './flow.ts';

/**
 * Registers whose low half is the same number on every way to an instruction: addresses of arena globals, mostly. An access
 * through one has a known address and page; a cast of one is a number. Stack slots that are locals hold such numbers, too. A forward
 * analysis; where different numbers meet, nothing is known.
 */

/** The low half of each register, and then of each stack slot, signed; where it varies `isKnown` is 0. */
interface State {
  readonly low: Int32Array;
  readonly isKnown: Uint8Array;
}

/**
 * @param stack the number, below `slotCount`, of the stack slot of 4 and more bytes that an instruction reaches and nothing else
 * does.
 * @returns for an access or a cast, the low half of the register that it goes through, before it.
 */
export function lowConstants(
  graph: Graph,
  insns: readonly Instruction[],
  constant: (insn: number) => bigint,
  slotCount = 0,
  stack: (at: number) => number | undefined = () => undefined,
): (at: number, register: number) => number | undefined {
  if (graph.length === 0) return () => undefined;
  const width = MAX_BPF_REG + slotCount;
  const [first, end] = extent(graph);
  const found = stateOf(end - first);
  const before = stateOf(graph.length * width);
  const isReached = new Uint8Array(graph.length);
  const state = stateOf(width);
  const walk = (node: number): void => {
    copy(before, node * width, state, 0, width);
    const code = graph[node];
    if (code.kind !== 'code') return;
    for (let at = code.start; at < code.end; at += slots(insns[at])) {
      const insn = insns[at];
      const asked = askedRegister(insn);
      if (asked >= 0) copy(state, asked, found, at - first, 1);
      const slot = slotCount === 0 ? undefined : stack(at);
      if (slot === undefined) step(state, insn, at, constant);
      else throughSlot(state, insn, MAX_BPF_REG + slot);
    }
  };
  const meet = (to: number): boolean => {
    if (isReached[to] === 0) {
      isReached[to] = 1;
      // Node 0 is entered with nothing known; it stays so.
      if (to !== 0) copy(state, 0, before, to * width, width);
      return to !== 0;
    }
    let isLess = false;
    for (let place = 0, there = to * width; place < width; place++, there++) {
      if (before.isKnown[there] === 0) continue;
      if (state.isKnown[place] !== 0 && state.low[place] === before.low[there]) continue;
      before.isKnown[there] = 0;
      isLess = true;
    }
    return isLess;
  };
  forward(graph, walk, meet);
  return (at, register) =>
    found.isKnown[at - first] === 1 && askedRegister(insns[at]) === register
      ? found.low[at - first]
      : undefined;
}

function stateOf(width: number): State {
  return { low: new Int32Array(width), isKnown: new Uint8Array(width) };
}

function copy(from: State, at: number, to: State, into: number, count: number): void {
  for (let i = 0; i < count; i++) {
    to.low[into + i] = from.low[at + i];
    to.isKnown[into + i] = from.isKnown[at + i];
  }
}

/** The register of which an instruction is asked: that an access goes through, or that is cast; −1 for others. */
function askedRegister(insn: Instruction): number {
  const row = opcode(insn.code);
  if (row?.kind !== 'alu') return baseRegister(insn);
  return row.op === 'mov' && row.source === 'X' && insn.off === BPF_ADDR_SPACE_CAST ? insn.src : -1;
}

function put({ low, isKnown }: State, place: number, value: number): void {
  low[place] = value;
  isKnown[place] = 1;
}

function throughSlot(state: State, { code, dst, src, imm }: Instruction, slot: number): void {
  const row = opcode(code);
  if (row?.kind === 'load') copy(state, slot, state, dst, 1);
  else if (row?.kind !== 'store') return;
  else if (row.source === 'X') copy(state, src, state, slot, 1);
  else put(state, slot, imm);
}

function step(state: State, insn: Instruction, at: number, constant: (insn: number) => bigint): void {
  const row = opcode(insn.code);
  switch (row?.kind) {
    case 'ld_imm64':
      put(state, insn.dst, Number(BigInt.asIntN(32, constant(at))));
      return;
    case 'call':
      state.isKnown.fill(0, 0, 6);
      return;
    case 'alu':
      throughAlu(state, insn, row);
      return;
    default: {
      const written = writtenRegister(insn);
      if (written !== undefined) state.isKnown[written] = 0;
    }
  }
}

/** Follows the low half through the arithmetic that addresses are made with. */
function throughAlu(state: State, { dst, src, off, imm }: Instruction, row: AluOpcode): void {
  const { low, isKnown } = state;
  const isRight = row.source === 'K' || isKnown[src] !== 0;
  const right = row.source === 'K' ? imm : low[src];
  // Sign extension of fewer bits is not followed.
  if (row.op === 'mov' && isRight && (off === 0 || off === BPF_ADDR_SPACE_CAST || off === 32))
    put(state, dst, right);
  else if (row.op === 'add' && isRight && isKnown[dst] !== 0) low[dst] += right;
  else if (row.op === 'sub' && isRight && isKnown[dst] !== 0) low[dst] -= right;
  else isKnown[dst] = 0;
}
