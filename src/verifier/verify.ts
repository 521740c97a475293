import { BpfError, type ErrnoName } from '../errors.ts';
import { jumpTarget, slots, subprogramTarget } from '../isa/instruction.ts';
import { BPF_PSEUDO_KFUNC_CALL, opcode } from '../isa/opcodes.ts';
import { validateInstruction } from '../isa/validate.ts';
import { type ProgramToVerify, SEAL, VerifiedProgram } from './result.ts';

/**
 * The door that every program passes before it runs. So far it checks structure: each instruction alone, and that
 * control flow stays inside the program's functions, with Linux's messages (check_subprogs, check_cfg). What an
 * instruction does to memory is guarded at run time by the interpreter.
 */

/** A program was rejected, by this verifier or by Linux's: the errno and message that BPF_PROG_LOAD gives. */
export class VerifierError extends BpfError {
  override name = 'VerifierError';
  readonly program: string;
  /** The slot of the offending instruction; undefined when the problem has no place. */
  readonly insn: number | undefined;
  /** The verifier's last line: what the message ends with. */
  readonly problem: string;
  /** The verifier's whole log. */
  readonly log: string;

  constructor(
    program: Pick<ProgramToVerify, 'name' | 'sourceAt'>,
    insn: number | undefined,
    problem: string,
    code: ErrnoName = 'EINVAL',
    log = `${problem}\n`,
  ) {
    const source = insn === undefined ? undefined : program.sourceAt?.(insn);
    const where = insn === undefined ? '' : `, instruction ${insn}`;
    const line = source === undefined ? '' : ` (${source.file}:${source.line}: ${source.text.trim()})`;
    super(code, `program '${program.name}'${where}${line}: ${problem}`);
    this.program = program.name;
    this.insn = insn;
    this.problem = problem;
    this.log = log;
  }
}

/** What Linux answers other than EINVAL. */
const OTHER_CODES: Readonly<Record<string, ErrnoName>> = { 'frame pointer is read only': 'EACCES' };

/**
 * Verifies a program. Throws {@link VerifierError} with Linux's wording when it must not run: of several faults Linux's
 * first, as far as its passes are those here (add_subprog_and_kfunc, check_subprogs, single instructions, check_cfg).
 */
export function verify(program: ProgramToVerify): VerifiedProgram {
  const { insns, subprograms } = program;
  if (insns.length === 0) throw new VerifierError(program, 0, 'the program has no instructions', 'E2BIG');
  checkCalls(program);
  for (const { start, end } of subprograms) checkBounds(program, start, end);
  for (let index = 0; index < insns.length; index += slots(insns[index])) {
    const problem = validateInstruction(insns, index);
    if (problem !== undefined) throw new VerifierError(program, index, problem, OTHER_CODES[problem]);
  }
  for (const { start, end } of subprograms) checkReach(program, start, end);
  return new VerifiedProgram(SEAL, program);
}

/** Licences that Linux takes for GPL-compatible (include/linux/license.h). */
const GPL_COMPATIBLE: readonly string[] = [
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
];

/** Calls go to functions of the program, and to kfuncs only under a licence that allows it. */
function checkCalls(program: ProgramToVerify): void {
  const starts = new Set(program.subprograms.map(({ start }) => start));
  const { license = 'GPL' } = program;
  const compatible = GPL_COMPATIBLE.includes(license);
  program.insns.forEach((insn, index) => {
    if (!compatible && opcode(insn.code)?.kind === 'call' && insn.src === BPF_PSEUDO_KFUNC_CALL) {
      const advice = `its licence is '${license}': char LICENSE[] SEC("license") = "GPL"`;
      throw new VerifierError(
        program,
        index,
        `cannot call kernel function from non-GPL compatible program; ${advice}`,
      );
    }
    const target = subprogramTarget(insn, index);
    if (target !== undefined && !starts.has(target)) {
      throw new VerifierError(program, index, 'call to invalid destination');
    }
  });
}

/** Jumps stay inside the function, and nothing falls out of its end. */
function checkBounds(program: ProgramToVerify, start: number, end: number): void {
  const { insns } = program;
  for (let index = start; index < end; index++) {
    const target = jumpTarget(insns[index], index);
    if (target === undefined || (target >= start && target < end)) continue;
    // Linux counts in 32 bits.
    throw new VerifierError(program, index, `jump out of range from insn ${index} to ${target | 0}`);
  }
  const kind = opcode(insns[end - 1].code)?.kind;
  if (kind !== 'exit' && kind !== 'goto') {
    throw new VerifierError(program, end - 1, 'last insn is not an exit or jmp');
  }
}

/** Every instruction of the function is reached, and none in its middle. */
function checkReach(program: ProgramToVerify, start: number, end: number): void {
  const { insns } = program;
  const reached = new Uint8Array(end - start);
  const pending = [start];
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    if (reached[index - start] !== 0) continue;
    reached[index - start] = 1;
    const insn = insns[index];
    const kind = opcode(insn.code)?.kind;
    if (kind === 'exit') continue;
    const target = jumpTarget(insn, index);
    if (target !== undefined) pending.push(target);
    if (kind !== 'goto') pending.push(index + slots(insn));
  }
  for (let index = start; index < end; index += slots(insns[index])) {
    if (reached[index - start] === 0) throw new VerifierError(program, index, `unreachable insn ${index}`);
    if (slots(insns[index]) === 2 && reached[index + 1 - start] !== 0) {
      throw new VerifierError(program, index, `jump into the middle of ldimm64 insn ${index}`);
    }
  }
}
