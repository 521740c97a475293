import { type Instruction, isLdImm64, writtenRegister } from '../isa/instruction.ts';
import { type AluOpcode, MAX_BPF_REG, opcode } from '../isa/opcodes.ts';

/**
 * Where registers lead: to something that has a number, their root, and how far from it. Moves, casts between address spaces and added
 * constants keep a pointer's root. Registers are followed by their low halves, which are all that an arena access uses.
 */
export class Places {
  /** By register. */
  readonly roots = new Int32Array(MAX_BPF_REG);
  /** Bytes, modulo 2^32. */
  readonly offsets = new Int32Array(MAX_BPF_REG);

  /** Each register is its own root. */
  constructor() {
    this.reset();
  }

  reset(): void {
    for (let register = 0; register < MAX_BPF_REG; register++) this.put(register, register);
  }

  put(register: number, root: number, offset = 0): void {
    this.roots[register] = root;
    this.offsets[register] = offset;
  }

  copy({ roots, offsets }: Places): void {
    for (let register = 0; register < MAX_BPF_REG; register++)
      this.put(register, roots[register], offsets[register]);
  }

  /** Goes through an instruction. @param root what a register leads to that gets something else. @returns whether one got that. */
  step(insn: Instruction, root: number): boolean {
    const written = writtenRegister(insn);
    if (written === undefined) return false;
    const from = sourceOf(insn);
    if (from < 0) this.put(written, root);
    else this.put(written, this.roots[from], (this.offsets[from] + distanceOf(insn)) | 0);
    return from < 0;
  }
}

/** The register that what an instruction writes is a constant away from; −1 where it is not. */
export function sourceOf(insn: Instruction): number {
  const row = opcode(insn.code);
  if (row?.kind !== 'alu' || isLdImm64(insn)) return -1;
  if (row.op === 'mov' && row.source === 'X') return insn.off <= 1 ? insn.src : -1;
  return row.source === 'K' && (row.op === 'add' || row.op === 'sub') ? insn.dst : -1;
}

/** How far, in bytes. */
export function distanceOf({ code, imm }: Instruction): number {
  switch ((opcode(code) as AluOpcode).op) {
    case 'add':
      return imm;
    case 'sub':
      return -imm;
    default:
      return 0;
  }
}
