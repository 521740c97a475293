import type { Instruction } from '../isa/instruction.ts';
import type { SourceLine } from '../object/link.ts';

/**
 * What the verifier hands on: a program that may run. The interpreter and the JIT take nothing else, and only the
 * verifier can make one (the constructor wants its seal), so nothing runs that was not verified.
 */

export type { SourceLine };

/** A function of a program: the entry function is the first. */
export interface Subprogram {
  name: string;
  /** Its first slot. */
  start: number;
  /** One past its last slot. */
  end: number;
}

/** What goes into the verifier: instructions with every reference resolved, as BPF_PROG_LOAD takes them. */
export interface ProgramToVerify {
  name: string;
  insns: readonly Instruction[];
  subprograms: readonly Subprogram[];
  /** Its licence; kfuncs are for GPL-compatible programs. Default GPL. */
  license?: string;
  /** The source line of a slot. */
  sourceAt?: (insn: number) => SourceLine | undefined;
}

const seal: unique symbol = Symbol('verified');

export class VerifiedProgram {
  readonly name: string;
  readonly insns: readonly Instruction[];
  readonly subprograms: readonly Subprogram[];
  readonly #sourceAt: (insn: number) => SourceLine | undefined;

  constructor(key: typeof seal, program: ProgramToVerify) {
    if (key !== seal) throw new TypeError('only the verifier makes verified programs');
    this.name = program.name;
    this.insns = program.insns;
    this.subprograms = program.subprograms;
    this.#sourceAt = program.sourceAt ?? (() => undefined);
  }

  /** The source line of a slot, when the object has line information. */
  sourceAt(insn: number): SourceLine | undefined {
    return this.#sourceAt(insn);
  }

  /** The function that a slot belongs to. */
  subprogramOf(insn: number): Subprogram {
    return this.subprograms.find(({ start, end }) => start <= insn && insn < end) ?? this.subprograms[0];
  }
}

/** For the verifier's entry point alone. */
export const SEAL: typeof seal = seal;
