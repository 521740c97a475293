import { slots } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import { alignments } from './alignment.ts';
import { type ArenaAccess, type Group, groupsOf, type Lookup } from './groups.ts';
import { lowConstants } from './low-constants.ts';
import type { FunctionPlan } from './plan.ts';
import { hasMargins, type JitOptions, type Target } from './target.ts';
import { narrowArithmetic } from './upper-halves.ts';

/** What is known of registers, by function; computed when first asked for, and the same for all versions of a unit. */

type Known<Result> = (at: number, register: number) => Result;

export class Analyses {
  readonly #program: VerifiedProgram;
  readonly #target: Target;
  readonly #options: JitOptions;
  readonly #aligned = {
    fast: new Map<FunctionPlan, Known<number>>(),
    careful: new Map<FunctionPlan, Known<number>>(),
  };
  readonly #narrow = new Map<FunctionPlan, ReadonlySet<number>>();
  readonly #constants = new Map<FunctionPlan, Known<number | undefined>>();

  constructor(program: VerifiedProgram, target: Target, options: JitOptions) {
    this.#program = program;
    this.#target = target;
    this.#options = options;
  }

  /**
   * Low bits of a register that are surely 0 before an access.
   * @param isFast whether the code is left where a check fails.
   */
  zeroBits(plan: FunctionPlan, at: number, register: number, isFast: boolean): number {
    if (this.#options.ranges === false) return 0;
    const cache = this.#aligned[isFast ? 'fast' : 'careful'];
    let known = cache.get(plan);
    if (known === undefined) {
      const { insns } = this.#program;
      const constant = (insn: number) => this.#target.constant(insn);
      const leaves = isFast ? this.#checkedAlone(plan) : undefined;
      known = alignments(
        plan.graph,
        insns,
        constant,
        leaves && {
          leavesUnlessAligned: (it) => leaves.has(it),
          sure: (it, each) => this.zeroBits(plan, it, each, false),
        },
      );
      cache.set(plan, known);
    }
    return known(at, register);
  }

  /** The low half of a register before an access or a cast, where that is one number. */
  lowConstant(plan: FunctionPlan, at: number, register: number): number | undefined {
    if (this.#options.ranges === false) return undefined;
    let known = this.#constants.get(plan);
    if (known === undefined) {
      known = lowConstants(plan.graph, this.#program.insns, (insn) => this.#target.constant(insn));
      this.#constants.set(plan, known);
    }
    return known(at, register);
  }

  /** Whether arithmetic in 64 bits may be done in 32, since nobody wants the upper half of what it gives. */
  isNarrow(plan: FunctionPlan, at: number): boolean {
    if (this.#options.narrowing === false) return false;
    let known = this.#narrow.get(plan);
    if (known === undefined) {
      known = narrowArithmetic(plan.graph, this.#program, (insn) => this.#target.call(insn));
      this.#narrow.set(plan, known);
    }
    return known.has(at);
  }

  /** What arena accesses have to look up together. */
  lookupOf(accesses: readonly ArenaAccess[]): Lookup {
    if (
      this.#options.storeChecks !== false &&
      accesses.some(({ kind }) => kind === 'store' || kind === 'atomic')
    )
      return 'writable';
    const looks = this.#target.reportsFaults || accesses.some(({ kind }) => kind === 'acquire');
    return looks ? 'present' : 'none';
  }

  /**
   * The groups between two slots that fast code may check together. Loads that are aligned where the first one is are none:
   * its check shows that for all of them, also where they lie in two pages.
   */
  groups(start: number, end: number): Group[] {
    const { insns, facts } = this.#program;
    const { arena } = this.#target;
    if (this.#options.grouping === false || arena === undefined) return [];
    const learns =
      hasMargins(arena) && this.#options.straddleChecks !== false && this.#options.ranges !== false;
    return groupsOf(insns, start, end, (at) => facts.reachesArena(at)).filter(
      ({ members, isAligned }) => !learns || !isAligned || this.lookupOf(members) !== 'none',
    );
  }

  /** Arena accesses that fast code checks for alignment: those that are in no group, where an address may wrap around. */
  #checkedAlone(plan: FunctionPlan): Set<number> {
    const { insns, facts } = this.#program;
    const found = new Set<number>();
    const { arena } = this.#target;
    if (arena === undefined || this.#options.straddleChecks === false) return found;
    const wraps = hasMargins(arena);
    const isArena = (at: number) => facts.reachesArena(at);
    const run = (start: number, end: number) => {
      const members = new Set<number>();
      for (const group of this.groups(start, end)) for (const { at } of group.members) members.add(at);
      for (let at = start; at < end; at += slots(insns[at]))
        if (isArena(at) && !members.has(at) && (wraps || insns[at].off === 0)) found.add(at);
    };
    for (const node of plan.graph) {
      if (node.kind !== 'code') continue;
      let start = node.start;
      for (let at = node.start; at < node.end; at += slots(insns[at])) {
        if (opcode(insns[at].code)?.kind !== 'call') continue;
        run(start, at);
        start = at + 1;
      }
      run(start, node.end);
    }
    return found;
  }
}
