import { type Instruction, isLdImm64, slots, writtenRegister } from '../isa/instruction.ts';
import { MAX_BPF_REG, opcode } from '../isa/opcodes.ts';
import type { Graph } from './cfg.ts';
import { reversePostorder } from './dominators.ts';

/**
 * How many low bits of each register are surely zero: an index that was shifted left by three, added to the address of
 * an array, gives addresses at which eight bytes never straddle a page. A forward analysis over the graph of a function;
 * where ways meet, the smaller number counts.
 */

/** More than any access needs; every number is a multiple of 2^0. */
const MOST = 12;

/** @returns for a slot and a register, the low bits that are zero before that instruction. */
export function alignments(
  graph: Graph,
  insns: readonly Instruction[],
  constant: (insn: number) => bigint,
): (at: number, register: number) => number {
  const before = graph.map(() => new Uint8Array(MAX_BPF_REG).fill(MOST));
  if (graph.length === 0) return () => 0;
  before[0].fill(0);
  const bits = new Map<number, Uint8Array>();
  const order = reversePostorder(graph.length, 0, (node) => graph[node].next);
  const walk = (node: number, keep: boolean): Uint8Array => {
    const state = before[node].slice();
    const code = graph[node];
    if (code.kind !== 'code') return state;
    for (let at = code.start; at < code.end; at += slots(insns[at])) {
      const kind = opcode(insns[at].code)?.kind;
      if (keep && (kind === 'load' || kind === 'store' || kind === 'atomic')) bits.set(at, state.slice());
      step(state, insns[at], at, constant);
    }
    return state;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of order) {
      const after = walk(node, false);
      for (const to of graph[node].next)
        for (let register = 0; register < MAX_BPF_REG; register++) {
          if (after[register] >= before[to][register]) continue;
          before[to][register] = after[register];
          changed = true;
        }
    }
  }
  for (const node of order) walk(node, true);
  return (at, register) => bits.get(at)?.[register] ?? 0;
}

function step(state: Uint8Array, insn: Instruction, at: number, constant: (insn: number) => bigint): void {
  const { dst, src, off, imm } = insn;
  const row = opcode(insn.code);
  if (isLdImm64(insn)) {
    state[dst] = zeroBits(Number(BigInt.asIntN(32, constant(at))));
    return;
  }
  if (row?.kind === 'call') {
    state.fill(0, 0, 6);
    return;
  }
  if (row?.kind !== 'alu') {
    const written = writtenRegister(insn);
    if (written !== undefined) state[written] = 0;
    return;
  }
  const right = row.source === 'X' ? state[src] : zeroBits(imm);
  const left = state[dst];
  switch (row.op) {
    case 'mov':
      // Sign extension keeps the low bits.
      state[dst] = off > 1 ? Math.min(right, off - 1) : right;
      break;
    case 'add':
    case 'sub':
    case 'or':
    case 'xor':
      state[dst] = Math.min(left, right);
      break;
    case 'and':
      state[dst] = Math.max(left, right);
      break;
    case 'mul':
      state[dst] = Math.min(MOST, left + right);
      break;
    case 'lsh':
      // A shift by 35 is one by 3 where the pointer is an arena's: such arithmetic is done in 32 bits.
      state[dst] = row.source === 'K' ? Math.min(MOST, left + (imm & 31)) : left;
      break;
    default:
      state[dst] = 0;
  }
}

function zeroBits(value: number): number {
  return value === 0 ? MOST : Math.min(MOST, 31 - Math.clz32(value & -value));
}
