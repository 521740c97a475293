/**
 * Whether one instruction is well formed, in Linux's words: what the kernel refuses without knowing register contents,
 * maps or the rest of the program. The rules follow from the opcode table's unused fields; where Linux is laxer or
 * words a case apart, the case stands here. The verifier calls this for every instruction it reaches.
 */

import type { Instruction } from './instruction.ts';
import { writtenRegister } from './instruction.ts';
import type { AluOpcode, Opcode } from './opcodes.ts';
import {
  atomicOperation,
  BPF_ADDR_SPACE_CAST,
  BPF_LDX,
  BPF_MEM,
  BPF_MEMSX,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_REG_10,
  CAST_KERN,
  CAST_USER,
  ENDIAN_WIDTHS,
  MAX_BPF_REG,
  opcode,
} from './opcodes.ts';

/** The name Linux gives a kind of instruction in "… uses reserved fields". */
const FAMILY = {
  alu: 'BPF_ALU',
  neg: 'BPF_NEG',
  endian: 'BPF_END',
  jump: 'BPF_JMP/JMP32',
  goto: 'BPF_JA',
  may_goto: 'BPF_JA',
  call: 'BPF_CALL',
  exit: 'BPF_EXIT',
  load: 'BPF_LDX',
  store: 'BPF_STX',
  atomic: 'BPF_ATOMIC',
  ld_imm64: 'BPF_LD_IMM64',
  ld_abs: 'BPF_LD_[ABS|IND]',
  ld_ind: 'BPF_LD_[ABS|IND]',
} as const satisfies Partial<Record<Opcode['kind'], string>>;

type KnownOpcode = Opcode & { readonly kind: keyof typeof FAMILY };

/**
 * Checks the instruction that starts at slot `index`.
 *
 * @returns Linux's message (`unknown opcode 8d`, `BPF_MOV uses reserved fields`, `R11 is invalid`, …), or undefined for
 * a well-formed instruction. Whether jumps stay inside the program, and what registers hold, is the verifier's to judge.
 */
export function validateInstruction(insns: readonly Instruction[], index: number): string | undefined {
  const insn = insns[index];
  const row = opcode(insn.code);
  if (isMalformedLoad(insn)) return `${FAMILY.load} uses reserved fields`;
  if (row === undefined || !isKnownToLinux(row)) {
    return `unknown opcode ${insn.code.toString(16).padStart(2, '0')}`;
  }
  // The order is Linux's: of several faults in one instruction it names the same.
  if (row.kind === 'jump' && insn.dst >= MAX_BPF_REG) return `R${insn.dst} is invalid`;
  return checkFields(row, insns, index) ?? checkRegisters(insn) ?? checkResult(row, insn);
}

/** LLVM's indirect call and jump have rows, but no meaning in Linux 6.18. */
function isKnownToLinux(row: Opcode): row is KnownOpcode {
  return row.kind in FAMILY;
}

/** Linux looks at a load's mode and immediate before it looks the opcode up. */
function isMalformedLoad({ code, imm }: Instruction): boolean {
  const mode = code & 0xe0;
  return (code & 0x07) === BPF_LDX && ((mode !== BPF_MEM && mode !== BPF_MEMSX) || imm !== 0);
}

function checkFields(row: KnownOpcode, insns: readonly Instruction[], index: number): string | undefined {
  const insn = insns[index];
  const reserved = `${FAMILY[row.kind]} uses reserved fields`;
  const unusedIsSet = row.unused.some((field) => insn[field] !== 0);
  switch (row.kind) {
    case 'alu':
      return checkAlu(row, insn);
    case 'endian':
      return unusedIsSet || !ENDIAN_WIDTHS.includes(insn.imm) ? reserved : undefined;
    case 'call': {
      const kfunc = insn.src === BPF_PSEUDO_KFUNC_CALL;
      return insn.dst !== 0 || insn.src > BPF_PSEUDO_KFUNC_CALL || (!kfunc && insn.off !== 0)
        ? reserved
        : undefined;
    }
    case 'store':
      return unusedIsSet ? (row.source === 'K' ? 'BPF_ST uses reserved fields' : reserved) : undefined;
    case 'atomic':
      if (atomicOperation(insn.imm) === undefined) {
        return `BPF_ATOMIC uses invalid atomic opcode ${(insn.imm >>> 0).toString(16).padStart(2, '0')}`;
      }
      return atomicOperation(insn.imm, row.size) === undefined ? 'invalid atomic operand size' : undefined;
    case 'ld_imm64': {
      const second = insns[index + 1];
      if (second === undefined || second.code !== 0 || second.dst || second.src || second.off) {
        return 'invalid bpf_ld_imm64 insn';
      }
      if (insn.src > BPF_PSEUDO_MAP_IDX_VALUE) return 'unrecognized bpf_ld_imm64 insn';
      return unusedIsSet ? reserved : undefined;
    }
    case 'exit':
      // Linux does not look at off here.
      return insn.dst !== 0 || insn.src !== 0 || insn.imm !== 0 ? reserved : undefined;
    case 'may_goto':
      if (insn.src !== 0 || insn.dst !== 0 || insn.imm !== 0) return `invalid may_goto imm ${insn.imm}`;
      return undefined;
    default:
      return unusedIsSet ? reserved : undefined;
  }
}

function checkAlu(row: AluOpcode, { src, off, imm }: Instruction): string | undefined {
  const reserved = `${row.op === 'mov' ? 'BPF_MOV' : 'BPF_ALU'} uses reserved fields`;
  if (!row.offs.includes(off)) return reserved;
  if (row.source === 'X') {
    if (row.op === 'mov' && off === BPF_ADDR_SPACE_CAST) {
      return imm === CAST_KERN || imm === CAST_USER
        ? undefined
        : 'addr_space_cast insn can only convert between address space 1 and 0';
    }
    return imm === 0 ? undefined : reserved;
  }
  return src === 0 ? undefined : reserved;
}

/** Immediates that have no result, and writes to r10, which is read-only. */
function checkResult(row: Opcode, insn: Instruction): string | undefined {
  if (row.kind === 'alu' && row.source === 'K') {
    const { imm } = insn;
    if ((row.op === 'div' || row.op === 'mod') && imm === 0) return 'div by zero';
    const shifts = row.op === 'lsh' || row.op === 'rsh' || row.op === 'arsh';
    if (shifts && (imm < 0 || imm >= row.width)) return `invalid shift ${imm}`;
  }
  return writtenRegister(insn) === BPF_REG_10 ? 'frame pointer is read only' : undefined;
}

/** Registers past r10 do not exist. Linux checks the source before the destination. */
function checkRegisters(insn: Instruction): string | undefined {
  for (const register of [insn.src, insn.dst]) {
    if (register >= MAX_BPF_REG) return `R${register} is invalid`;
  }
  return undefined;
}
