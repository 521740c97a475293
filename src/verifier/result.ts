import type { Instruction } from '../isa/instruction.ts';
import type { SourceLine } from '../object/link.ts';
import type { Facts } from './facts.ts';
import type { ProgramFunction, ProgramToVerify } from './input.ts';

/**
 * What the verifier hands on: a program that may run. The interpreter and the JIT take nothing else, and only the
 * verifier can make one (the constructor wants its seal), so nothing runs that was not verified.
 */

export type { ProgramToVerify, SourceLine };

const seal: unique symbol = Symbol('verified');

export class VerifiedProgram {
  readonly name: string;
  readonly insns: readonly Instruction[];
  readonly subprograms: readonly ProgramFunction[];
  readonly #sourceAt: (insn: number) => SourceLine | undefined;

  /** What was learnt of each instruction. */
  readonly facts: Facts;
  /** The verifier's log, as far as its level asked for one. */
  readonly log: string;
  /** Instructions processed, over all paths. */
  readonly insnsProcessed: number;

  constructor(key: typeof seal, program: ProgramToVerify, facts: Facts, log: string, insnsProcessed: number) {
    if (key !== seal) throw new TypeError('only the verifier makes verified programs');
    this.name = program.name;
    this.facts = facts;
    this.log = log;
    this.insnsProcessed = insnsProcessed;
    this.insns = program.insns;
    this.subprograms = program.subprograms;
    this.#sourceAt = program.sourceAt ?? (() => undefined);
  }

  /** The source line of a slot, when the object has line information. */
  sourceAt(insn: number): SourceLine | undefined {
    return this.#sourceAt(insn);
  }

  /** The function that a slot belongs to. */
  subprogramOf(insn: number): ProgramFunction {
    return this.subprograms.find(({ start, end }) => start <= insn && insn < end) ?? this.subprograms[0];
  }
}

/** For the verifier's entry point alone. */
export const SEAL: typeof seal = seal;
