import { BpfError } from '../errors.ts';
import { BPF_LOAD_ACQ, opcode } from '../isa/opcodes.ts';
import type { SourceLine } from '../verifier/result.ts';
import type { Handler } from './alu.ts';
import type { Machine } from './machine.ts';

/**
 * The checked mode: before an instruction touches kernel memory, the environment is asked whether the program owns that
 * memory. The verifier has proven that it does, so what is found here is a bug of the verifier; tests look for such bugs
 * this way, and ordinary runs save the time.
 */

/** A program did what the verifier should have refused, or what the kernel it runs in cannot do. */
export class Violation extends BpfError {
  override name = 'Violation';
  readonly program: string;
  /** The slot of the instruction. */
  readonly insn: number;
  readonly source: SourceLine | undefined;

  constructor(machine: Machine, problem: string) {
    const { program } = machine.code;
    const insn = machine.pc;
    const source = program.sourceAt(insn);
    const line = source === undefined ? '' : ` (${source.file}:${source.line}: ${source.text.trim()})`;
    super(
      'EACCES',
      `${program.name}, instruction ${insn} in ${program.subprogramOf(insn).name}${line}: ${problem}`,
    );
    this.program = program.name;
    this.insn = insn;
    this.source = source;
  }
}

/** The handler of an instruction that accesses kernel memory, behind a check. */
export function guarded(code: number, imm: number, handler: Handler): Handler {
  const row = opcode(code);
  if (row?.kind !== 'load' && row?.kind !== 'store' && row?.kind !== 'atomic') return handler;
  const loads = row.kind === 'load' || (row.kind === 'atomic' && imm === BPF_LOAD_ACQ);
  return (machine, pc) => {
    const { dst, src } = machine.code;
    check(machine, pc, loads ? src[pc] : dst[pc], row.size, !loads);
    return handler(machine, pc);
  };
}

function check(machine: Machine, pc: number, base: number, size: number, writes: boolean): void {
  const { regs, code, environment } = machine;
  const address = (regs[2 * base] >>> 0) + code.off[pc];
  if (regs[2 * base + 1] !== environment.kernelHigh) {
    const hint = address === code.off[pc] && regs[2 * base + 1] === 0 ? ': it is NULL' : '';
    throw new Violation(machine, `R${base} invalid mem access 'scalar'${hint}`);
  }
  if (address >= machine.stackBottom && address + size <= machine.stackTop) return;
  const refusal = environment.refusal(address, size, writes);
  if (refusal !== undefined) throw new Violation(machine, refusal);
}
