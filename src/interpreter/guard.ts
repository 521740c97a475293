import { BpfError } from '../errors.ts';
import type { SourceLine } from '../verifier/result.ts';
import type { Machine } from './machine.ts';

/**
 * A program did at run time what a verifier would have refused. The guard stops it before the access happens, so no
 * memory that does not belong to the program is read or changed.
 */
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
