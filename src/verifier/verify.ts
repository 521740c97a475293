import { BpfError, type ErrnoName } from '../errors.ts';
import { jumpTarget, slots } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import { validateInstruction } from '../isa/validate.ts';
import { type ProgramToVerify, SEAL, VerifiedProgram } from './result.ts';

/**
 * The door that every program passes before it runs. So far it checks structure: each instruction alone, and that
 * control flow stays inside the program's functions, with Linux's messages (check_subprogs, check_cfg). What an
 * instruction does to memory is guarded at run time by the interpreter.
 */

/** A program was rejected: the errno and message that BPF_PROG_LOAD gives. */
export class VerifierError extends BpfError {
  override name = 'VerifierError';
  readonly program: string;
  /** The slot of the offending instruction. */
  readonly insn: number;
  /** The verifier's log; its last line is the message. */
  readonly log: string;

  constructor(program: ProgramToVerify, insn: number, problem: string, code: ErrnoName = 'EINVAL') {
    const source = program.sourceAt?.(insn);
    const where = source === undefined ? '' : ` (${source.file}:${source.line}: ${source.text.trim()})`;
    super(code, `program '${program.name}', instruction ${insn}${where}: ${problem}`);
    this.program = program.name;
    this.insn = insn;
    this.log = `${problem}\n`;
  }
}

/** Verifies a program. Throws {@link VerifierError} with Linux's wording when it must not run. */
export function verify(program: ProgramToVerify): VerifiedProgram {
  const { insns, subprograms } = program;
  if (insns.length === 0) throw new VerifierError(program, 0, 'the program has no instructions');
  for (let index = 0; index < insns.length; index += slots(insns[index])) {
    const problem = validateInstruction(insns, index);
    if (problem !== undefined) throw new VerifierError(program, index, problem);
  }
  for (const { start, end } of subprograms) checkFunction(program, start, end);
  return new VerifiedProgram(SEAL, program);
}

/** An instruction starts in this slot. */
const START = 1;
const REACHED = 2;

/** Jumps stay inside the function and hit instructions, its end is not run past, and all of it is reached. */
function checkFunction(program: ProgramToVerify, start: number, end: number): void {
  const { insns } = program;
  const refuse = (insn: number, problem: string) => new VerifierError(program, insn, problem);
  const marks = new Uint8Array(end - start);
  for (let index = start; index < end; index += slots(insns[index])) marks[index - start] = START;
  const pending = [start];
  const visit = (from: number, to: number) => {
    if (to < start || to >= end) {
      const falls = to === from + slots(insns[from]);
      throw refuse(
        from,
        falls ? 'last insn is not an exit or jmp' : `jump out of range from insn ${from} to ${to}`,
      );
    }
    if (marks[to - start] === 0) throw refuse(from, `jump into the middle of ldimm64 insn ${to}`);
    if (marks[to - start] === START) pending.push(to);
  };
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    marks[index - start] |= REACHED;
    const insn = insns[index];
    const kind = opcode(insn.code)?.kind;
    if (kind === 'exit') continue;
    const target = jumpTarget(insn, index);
    if (target !== undefined) visit(index, target);
    if (kind !== 'goto') visit(index, index + slots(insn));
  }
  const unreached = marks.indexOf(START);
  if (unreached >= 0) throw refuse(start + unreached, `unreachable insn ${start + unreached}`);
}
