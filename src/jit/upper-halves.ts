import type { Instruction } from '../isa/instruction.ts';
import { type AluOpcode, BPF_PSEUDO_CALL, opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import type { Graph } from './cfg.ts';
import { reversePostorder } from './dominators.ts';
import { isSecond, SlotSet } from './flow.ts';
import type { CallOut } from './target.ts';

/**
 * Registers whose upper half somebody still wants. Addresses are 32 bits wide here, so of a pointer's arithmetic nobody wants
 * the upper half, nor of a sum whose low half alone is stored: it is computed in 32 bits, which saves the extensions around it.
 * A backward analysis over the graph of a function, one bit a register; what is not wanted may hold anything, in each version
 * of a function, and where one hands over to another.
 */

/** Of these the low half of the result depends on low halves alone. */
const NARROWED: readonly AluOpcode['op'][] = ['add', 'sub', 'mul', 'and', 'or', 'xor'];

const ARGUMENTS = 0b111110;
const CLOBBERED = 0b111111;

/** @returns the slots of moves, constants and arithmetic in 64 bits that may as well be done in 32. */
export function narrowArithmetic(
  graph: Graph,
  program: VerifiedProgram,
  call: (insn: number) => CallOut,
): SlotSet {
  const { insns } = program;
  const before = new Uint16Array(graph.length);
  /** What each node was walked with last. */
  const after = new Int32Array(graph.length).fill(-1);
  const narrow = new SlotSet(graph);
  const order = reversePostorder(graph.length, 0, (node) => graph[node].next).reverse();
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of order) {
      const code = graph[node];
      let wanted = 0;
      for (const to of code.next) wanted |= before[to];
      if (wanted === after[node]) continue;
      after[node] = wanted;
      if (code.kind === 'code')
        for (let at = code.end - 1; at >= code.start; at--) {
          if (isSecond(insns, at, code.start)) continue;
          narrow.set(at, isNarrow(insns[at], wanted));
          wanted = step(program, at, wanted, call);
        }
      before[node] = wanted;
      changed = true;
    }
  }
  return narrow;
}

function isNarrow({ code, dst, imm }: Instruction, wanted: number): boolean {
  const row = opcode(code);
  if ((wanted & (1 << dst)) !== 0) return false;
  if (row?.kind === 'ld_imm64') return true;
  if (row?.kind !== 'alu' || row.width !== 64) return false;
  if (row.op === 'mov') return true;
  // A shift by 32 and more leaves nothing of the low half, which a 32-bit shift does not do.
  return NARROWED.includes(row.op) || (row.op === 'lsh' && row.source === 'K' && imm < 32);
}

/** From after an instruction to before it. */
function step(program: VerifiedProgram, at: number, after: number, call: (insn: number) => CallOut): number {
  const { insns, facts } = program;
  const insn = insns[at];
  const row = opcode(insn.code);
  const dst = 1 << insn.dst;
  const src = 1 << insn.src;
  switch (row?.kind) {
    case 'alu':
      return throughAlu(insn, row, after, facts.isArenaArithmetic(at));
    case 'neg':
      return row.width === 32 ? after & ~dst : after;
    case 'endian':
      if (insn.imm < 64) return after & ~dst;
      return row.op === 'le' ? after : after | dst;
    case 'ld_imm64':
      return after & ~dst;
    case 'load':
      return (after & ~dst) | (facts.probes.has(at) ? src : 0);
    case 'store': {
      const whole = row.size === 8 || facts.insns[at]?.contextField !== undefined;
      return row.source === 'X' && whole ? after | src : after;
    }
    case 'atomic':
      // The result stays what it was where the page is absent.
      return row.size === 8 ? after | src | dst | 1 : after;
    case 'jump':
      if (row.width === 32) return after;
      return after | dst | (row.source === 'X' ? src : 0);
    case 'goto':
    case 'may_goto':
      return after;
    case 'call':
      return (after & ~CLOBBERED) | argumentsOf(insn, at, call);
    case 'exit':
      return 1;
    default:
      // What else there is wants everything.
      return 0xffff;
  }
}

function throughAlu(
  { dst, src, off, imm }: Instruction,
  row: AluOpcode,
  after: number,
  arena: boolean,
): number {
  const result = 1 << dst;
  const operand = row.source === 'X' ? 1 << src : 0;
  const isWanted = (after & result) !== 0;
  const others = after & ~result;
  if (row.op === 'mov') return isWanted && row.width === 64 && off === 0 ? others | operand : others;
  if (row.width === 32 || arena) return others;
  switch (row.op) {
    case 'lsh':
      return isWanted && (row.source === 'X' || imm < 32) ? after : others;
    case 'rsh':
    case 'arsh':
      return after | result;
    case 'div':
    case 'mod':
      return after | result | operand;
    default:
      return isWanted ? after | operand : others;
  }
}

/** Calls that take low halves at most. */
const NO_WHOLE: readonly CallOut['kind'][] = ['constant', 'cpu-number', 'array-element', 'tail-call'];

/** Whose arguments are wanted whole. */
function argumentsOf(insn: Instruction, at: number, call: (insn: number) => CallOut): number {
  const out = insn.src === BPF_PSEUDO_CALL ? undefined : call(at);
  if (out !== undefined && NO_WHOLE.includes(out.kind)) return 0;
  if (out?.kind !== 'import') return ARGUMENTS;
  let wanted = 0;
  for (const { register, form } of out.args)
    if (form === 'high' || form === 'double' || form === 'wide') wanted |= 1 << register;
  return wanted;
}
