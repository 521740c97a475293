import { type Instruction, isLdImm64, slots, writtenRegister } from '../isa/instruction.ts';
import { BPF_ADDR_SPACE_CAST, MAX_BPF_REG, type Opcode, opcode } from '../isa/opcodes.ts';
import type { Graph } from './cfg.ts';
import { baseRegister, extent, forward } from './flow.ts';

/**
 * How many low bits of each register are surely zero: an index that was shifted left by three, added to the address of
 * an array, gives addresses at which eight bytes never straddle a page. A forward analysis over the graph of a function;
 * where ways meet, the smaller number counts. In code that is left where a check fails, what was checked is known, too.
 */

/** More than any access needs; every number is a multiple of 2^0. */
const MOST = 12;

/** Whether the answer is kept before an instruction: accesses, and where versions change. */
function isKept(kind: Opcode['kind']): boolean {
  return kind === 'load' || kind === 'store' || kind === 'atomic' || kind === 'may_goto' || kind === 'call';
}

/** What code that is left where a check fails may learn. */
export interface Checks {
  /** Whether it is left at an access that is not aligned. */
  leavesUnlessAligned(at: number): boolean;
  /**
   * What is known without. After a call only that counts: the callee may have been put into the caller, and what comes
   * back from it may be another version, which has checked nothing.
   */
  sure(at: number, register: number): number;
}

/** @returns for a slot and a register, the low bits that are zero before that instruction. */
export function alignments(
  graph: Graph,
  insns: readonly Instruction[],
  constant: (insn: number) => bigint,
  checks?: Checks,
): (at: number, register: number) => number {
  if (graph.length === 0) return () => 0;
  const before = new Uint8Array(graph.length * MAX_BPF_REG).fill(MOST);
  before.fill(0, 0, MAX_BPF_REG);
  const [first, end] = extent(graph);
  /** What is known of each register before each slot from the first on: 0 where nothing was kept. */
  const bits = new Uint8Array((end - first) * MAX_BPF_REG);
  const state = new Uint8Array(MAX_BPF_REG);
  /** Registers that hold the same low half have the same number here. */
  const names = new Int32Array(MAX_BPF_REG);
  const walk = (node: number): void => {
    for (let register = 0; register < MAX_BPF_REG; register++) {
      state[register] = before[node * MAX_BPF_REG + register];
      names[register] = register;
    }
    const code = graph[node];
    if (code.kind !== 'code') return;
    let fresh = MAX_BPF_REG;
    for (let at = code.start; at < code.end; at += slots(insns[at])) {
      const insn = insns[at];
      const kind = opcode(insn.code)?.kind;
      if (kind === undefined) continue;
      if (isKept(kind)) copy(state, bits, (at - first) * MAX_BPF_REG);
      if (checks?.leavesUnlessAligned(at)) learn(state, names, insn);
      if (checks !== undefined && kind === 'call')
        for (let register = 6; register < MAX_BPF_REG; register++)
          state[register] = Math.min(state[register], checks.sure(at, register));
      step(state, insn, at, constant);
      const written = checks === undefined ? undefined : writtenRegister(insn);
      if (written !== undefined) names[written] = isCopy(insn) ? names[insn.src] : fresh++;
    }
  };
  const meet = (to: number): boolean => {
    let isLess = false;
    for (let register = 0; register < MAX_BPF_REG; register++) {
      if (state[register] >= before[to * MAX_BPF_REG + register]) continue;
      before[to * MAX_BPF_REG + register] = state[register];
      isLess = true;
    }
    return isLess;
  };
  forward(graph, walk, meet);
  return (at, register) => bits[(at - first) * MAX_BPF_REG + register] ?? 0;
}

/** In place of `set`, which takes longer for so few. */
function copy(from: Uint8Array, to: Uint8Array, at: number): void {
  for (let i = 0; i < MAX_BPF_REG; i++) to[at + i] = from[i];
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

/** What an access that went ahead says of its base, and of all that hold the same. */
function learn(state: Uint8Array, names: Int32Array, insn: Instruction): void {
  const base = baseRegister(insn);
  const row = opcode(insn.code);
  // Rows of other kinds have a size, too, which is undefined.
  const size = (row !== undefined && 'size' in row ? row.size : undefined) ?? 1;
  if (base < 0 || insn.off % size !== 0) return;
  const bits = zeroBits(size);
  for (let register = 0; register < MAX_BPF_REG; register++)
    if (names[register] === names[base] && state[register] < bits) state[register] = bits;
}

/** Whether the low half of dst becomes that of src. */
function isCopy({ code, off }: Instruction): boolean {
  const row = opcode(code);
  return (
    row?.kind === 'alu' &&
    row.op === 'mov' &&
    row.source === 'X' &&
    (off === 0 || off === BPF_ADDR_SPACE_CAST)
  );
}

function zeroBits(value: number): number {
  return value === 0 ? MOST : Math.min(MOST, 31 - Math.clz32(value & -value));
}
