import { type Instruction, slots, writtenRegister } from '../../isa/instruction.ts';
import { atomicOperation, BPF_PSEUDO_CALL, opcode } from '../../isa/opcodes.ts';
import { successors } from './successors.ts';

/**
 * Which registers an instruction or one after it reads before they are written (Linux: compute_live_registers): two
 * states that differ in others are the same.
 */

const ARGUMENTS = 0b111110;
const CLOBBERED = 0b111111;
const ALL = 0b1111111111;

interface Uses {
  readonly use: number;
  readonly def: number;
}

/**
 * Registers that an instruction reads, and those it writes, as bits.
 * @param callee those that the called function reads. @param mayFault see {@link liveRegisters}.
 */
function usesOf(
  insn: Instruction,
  argumentsOf: (insn: Instruction) => number,
  callee: number | undefined,
  mayFault: boolean,
): Uses {
  const row = opcode(insn.code);
  const dst = 1 << insn.dst;
  const src = 1 << insn.src;
  switch (row?.kind) {
    case 'alu': {
      const source = row.source === 'X' ? src : 0;
      return { use: row.op === 'mov' ? source : source | dst, def: dst };
    }
    case 'neg':
    case 'endian':
      return { use: dst, def: dst };
    case 'load':
      return { use: src, def: dst };
    case 'store':
      return { use: row.source === 'X' ? dst | src : dst, def: 0 };
    case 'atomic': {
      const op = atomicOperation(insn.imm, row.size)?.op;
      if (op === 'load_acquire') return { use: mayFault ? src | dst : src, def: dst };
      const written = writtenRegister(insn);
      const use = op === 'cmpxchg' ? dst | src | 1 : dst | src;
      return { use, def: written === undefined ? 0 : 1 << written };
    }
    case 'ld_imm64':
      return { use: 0, def: dst };
    // Linux takes them for readers of everything.
    case 'ld_abs':
    case 'ld_ind':
      return { use: ALL, def: 0 };
    case 'jump':
      return { use: row.source === 'X' ? dst | src : dst, def: 0 };
    case 'call': {
      if (callee !== undefined) return { use: callee, def: CLOBBERED };
      const count = insn.src === BPF_PSEUDO_CALL ? 5 : argumentsOf(insn);
      return { use: ARGUMENTS & ((1 << (count + 1)) - 1), def: CLOBBERED };
    }
    case 'exit':
      return { use: 1, def: 0 };
    default:
      return { use: 0, def: 0 };
  }
}

/**
 * @param argumentsOf how many of r1 to r5 a helper or kfunc call reads.
 * @param calleeReads which of them the function reads that a call enters, as bits; all where that is not known.
 * @param mayFault takes a load-acquire for a reader of its result, which stays what it was where the arena has no page.
 * Linux does not, when it compares states.
 * @returns for each slot a bit for each register that is live before it.
 */
export function liveRegisters(
  insns: readonly Instruction[],
  argumentsOf: (insn: Instruction) => number,
  calleeReads: (insn: Instruction, at: number) => number | undefined = () => undefined,
  mayFault = false,
): Uint16Array {
  const live = new Uint16Array(insns.length + 1);
  const uses = insns.map((insn, at) => usesOf(insn, argumentsOf, calleeReads(insn, at), mayFault));
  const starts: number[] = [];
  for (let at = 0; at < insns.length; at += slots(insns[at])) starts.push(at);
  const next = starts.map((at) => successors(insns, at));
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = starts.length - 1; i >= 0; i--) {
      const at = starts[i];
      let after = 0;
      for (const to of next[i]) after |= live[to];
      const before = (after & ~uses[at].def) | uses[at].use;
      if (before === live[at]) continue;
      live[at] = before;
      changed = true;
    }
  }
  return live;
}
