import { BpfError, type ErrnoName } from '../errors.ts';
import { INSPECT, refusalText } from '../shown.ts';
import { explain } from './explain/explain.ts';
import type { ProgramToVerify } from './input.ts';

/** How a verification ends that does not accept: the program is refused, or it cannot be judged here. */

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
  /** Instructions processed until it was found. */
  readonly insnsProcessed: number;
  /** What it means: what is not proven, where, and what usually fixes it, in two or three sentences. */
  readonly explanation: readonly string[];

  constructor(
    program: Pick<ProgramToVerify, 'name' | 'sourceAt'>,
    insn: number | undefined,
    problem: string,
    code: ErrnoName = 'EINVAL',
    log = `${problem}\n`,
    insnsProcessed = 0,
  ) {
    super(code, `${placed(program, insn)}: ${problem}`);
    this.program = program.name;
    this.insn = insn;
    this.problem = problem;
    this.log = log;
    this.insnsProcessed = insnsProcessed;
    const source = insn === undefined ? undefined : program.sourceAt?.(insn);
    this.explanation = explain({ problem, insn, source, log });
  }

  /** What console.log shows: the end of the log only, which may have millions of lines. */
  [INSPECT](): string {
    const stack = (this.stack ?? this.message).replace(/^VerifierError:/, `VerifierError [${this.code}]:`);
    return refusalText(stack, this.explanation, this.log);
  }
}

/** The program uses what this verifier does not know. */
export class UnsupportedProgram extends BpfError {
  override name = 'UnsupportedProgram';
  readonly insn: number | undefined;

  constructor(
    program: Pick<ProgramToVerify, 'name' | 'sourceAt'>,
    insn: number | undefined,
    problem: string,
  ) {
    super('EOPNOTSUPP', `${placed(program, insn)}: ${problem}`);
    this.insn = insn;
  }
}

/** Where in a program: `program 'f', instruction 3 (f.c:7: x = *p;)`. */
function placed(program: Pick<ProgramToVerify, 'name' | 'sourceAt'>, insn: number | undefined): string {
  const source = insn === undefined ? undefined : program.sourceAt?.(insn);
  const where = insn === undefined ? '' : `, instruction ${insn}`;
  const line = source === undefined ? '' : ` (${source.file}:${source.line}: ${source.text.trim()})`;
  return `program '${program.name}'${where}${line}`;
}
