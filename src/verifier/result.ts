import { type Instruction, isLdImm64, subprogramTarget } from '../isa/instruction.ts';
import { BPF_PSEUDO_FUNC } from '../isa/opcodes.ts';
import type { SourceLine } from '../object/link.ts';
import type { Facts } from './facts.ts';
import { argumentsRead } from './flow/arguments.ts';
import { registerValues } from './flow/values.ts';
import type { ProgramFunction, ProgramToVerify } from './input.ts';
import { type Scalar, UNKNOWN } from './scalar/scalar.ts';

/**
 * What the verifier hands on: a program that may run. The interpreter and the JIT take nothing else, and only the
 * verifier can make one (the constructor wants its seal), so nothing runs that was not verified.
 */

export type { ProgramToVerify, SourceLine };

const seal: unique symbol = Symbol('verified');

/** What a verification leaves besides the facts. */
export interface Found {
  readonly log: string;
  readonly insnsProcessed: number;
  /** How many of r1 to r5 a helper or kfunc call reads. */
  readonly argumentsOf: (insn: Instruction) => number;
}

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
  readonly #argumentsOf: (insn: Instruction) => number;
  #values: ReturnType<typeof registerValues> | undefined;
  #argumentsRead: readonly number[] | undefined;
  /** Of the functions, by their first slot. */
  #numbers: ReadonlyMap<number, number> | undefined;

  constructor(key: typeof seal, program: ProgramToVerify, facts: Facts, found: Found) {
    if (key !== seal) throw new TypeError('only the verifier makes verified programs');
    const { log, insnsProcessed } = found;
    this.#argumentsOf = found.argumentsOf;
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

  /**
   * What is known of a register's value before an instruction, on every run; computed when first asked for. Its upper half
   * is clear where `umaxHi` is 0. Nothing is known of what is never reached.
   */
  valueBefore(insn: number, register: number): Scalar {
    const { insns, facts } = this;
    this.#values ??= registerValues({
      insns,
      entries: this.subprograms.map(({ start }) => start),
      seen: facts.seen,
      isArenaArithmetic: (at) => facts.isArenaArithmetic(at),
      isContextAccess: (at) => facts.insns[at]?.memory === 'ctx',
    });
    return this.#values[insn]?.[register] ?? UNKNOWN;
  }

  /** Which of r1 to r5 a function reads, itself or in what it calls: a bit a register, r1 is bit 1. */
  argumentsRead(subprogram: number): number {
    this.#argumentsRead ??= argumentsRead(this.insns, this.subprograms, this.#argumentsOf);
    return this.#argumentsRead[subprogram];
  }

  /** The number of the function that a call enters, or whose address a ld_imm64 loads; undefined for other instructions. */
  calleeOf(insn: number): number | undefined {
    const { src } = this.insns[insn];
    const isFunction = isLdImm64(this.insns[insn]) && src === BPF_PSEUDO_FUNC;
    const target = isFunction ? insn + this.insns[insn].imm + 1 : subprogramTarget(this.insns[insn], insn);
    if (target === undefined) return undefined;
    this.#numbers ??= new Map(this.subprograms.map(({ start }, number) => [start, number]));
    return this.#numbers.get(target);
  }

  /** What a ld_imm64 of a function's address loads, in both engines: the function's number. */
  functionNumber(insn: number): bigint | undefined {
    if (!isLdImm64(this.insns[insn]) || this.insns[insn].src !== BPF_PSEUDO_FUNC) return undefined;
    return BigInt(this.calleeOf(insn) ?? 0);
  }

  /** The function that a slot belongs to. */
  subprogramOf(insn: number): ProgramFunction {
    return this.subprograms.find(({ start, end }) => start <= insn && insn < end) ?? this.subprograms[0];
  }
}

/** For the verifier's entry point alone. */
export const SEAL: typeof seal = seal;
