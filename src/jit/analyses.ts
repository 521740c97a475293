import { type Instruction, slots } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import { alignments } from './alignment.ts';
import type { Graph } from './cfg.ts';
import { type CheckedBytes, type CheckedPages, checkedPages } from './checked-pages.ts';
import { SlotSet } from './flow.ts';
import { type ArenaAccess, arenaAccess, type Group, groupsOf, type Lookup } from './groups.ts';
import { lowConstants } from './low-constants.ts';
import type { FunctionPlan } from './plan.ts';
import { ownStackAccess } from './stack-slots.ts';
import { hasMargins, type JitOptions, type Target } from './target.ts';
import { narrowArithmetic } from './upper-halves.ts';

/** What is known of registers, by function; computed when first asked for, and the same for all versions of a unit. */

const PAGE_SIZE = 4096;

/** What fast code does about the accesses of a function. */
export interface FastChecks {
  /** Groups that are checked, by the slot of their first access. */
  readonly groups: ReadonlyMap<number, Group>;
  /**
   * How the access in a slot is checked: on its own; without its page, which may be written; or not at all, since a check for it
   * and others has passed.
   */
  modeOf(at: number): 'single' | 'writable' | 'checked';
}

type Known<Result> = (at: number, register: number) => Result;

export class Analyses {
  readonly #program: VerifiedProgram;
  readonly #target: Target;
  readonly #options: JitOptions;
  // By the function's number.
  readonly #aligned = { fast: [] as Known<number>[], careful: [] as Known<number>[] };
  readonly #narrow: SlotSet[] = [];
  readonly #pages: CheckedPages[] = [];
  readonly #constants: Known<number | undefined>[] = [];
  readonly #fastChecks: FastChecks[] = [];
  // By the slot where the run begins.
  readonly #groups = new Map<number, readonly Group[]>();
  readonly #candidates = new Map<number, readonly Group[]>();

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
    let known: Known<number> | undefined = cache[plan.number];
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
      cache[plan.number] = known;
    }
    return known(at, register);
  }

  /** The low half of a register before an access or a cast, where that is one number. */
  lowConstant(plan: FunctionPlan, at: number, register: number): number | undefined {
    if (this.#options.ranges === false) return undefined;
    let known: Known<number | undefined> | undefined = this.#constants[plan.number];
    if (known === undefined) {
      const { insns, facts } = this.#program;
      const numbers = new Map([...plan.cells.keys()].map((offset, number) => [offset, number]));
      const slotAt = (insn: number): number | undefined => {
        const own = ownStackAccess(insns, facts, insn);
        return own === undefined || own.size < 4 ? undefined : numbers.get(own.offset);
      };
      const constant = (insn: number) => this.#target.constant(insn);
      known = lowConstants(plan.graph, insns, constant, numbers.size, slotAt);
      this.#constants[plan.number] = known;
    }
    return known(at, register);
  }

  /** Whether arithmetic in 64 bits may be done in 32, since nobody wants the upper half of what it gives. */
  isNarrow(plan: FunctionPlan, at: number): boolean {
    if (this.#options.narrowing === false) return false;
    let known: SlotSet | undefined = this.#narrow[plan.number];
    if (known === undefined) {
      known = narrowArithmetic(plan.graph, this.#program, (insn) => this.#target.call(insn));
      this.#narrow[plan.number] = known;
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

  /** How fast code checks the accesses of a function. */
  fastChecks(plan: FunctionPlan): FastChecks {
    let known: FastChecks | undefined = this.#fastChecks[plan.number];
    if (known === undefined) {
      known = this.#findFastChecks(plan);
      this.#fastChecks[plan.number] = known;
    }
    return known;
  }

  #findFastChecks(plan: FunctionPlan): FastChecks {
    const { passed } = this.checkedPages(plan);
    const groups = new Map<number, Group>();
    const members = new SlotSet(plan.graph);
    for (const [start, end] of runsOf(plan.graph, this.#program.insns))
      for (const group of this.#groupsOf(plan, start, end)) {
        for (const { at } of group.members) members.set(at, true);
        if (!passed.has(group.first.at)) groups.set(group.first.at, group);
      }
    return {
      groups,
      modeOf: (at) => (members.has(at) ? 'checked' : passed.has(at) ? 'writable' : 'single'),
    };
  }

  /** The groups between two slots, with no call between them, that fast code checks together: those that save something. */
  #groupsOf(plan: FunctionPlan, start: number, end: number): readonly Group[] {
    let known = this.#groups.get(start);
    if (known === undefined) {
      known = this.#possibleGroups(start, end).filter((group) => this.#isWorthwhile(plan, group));
      this.#groups.set(start, known);
    }
    return known;
  }

  /** Accesses that need no check on their own are better off alone. */
  #isWorthwhile(plan: FunctionPlan, group: Group): boolean {
    const { members } = group;
    let alone = 0;
    for (const access of members) {
      const { at, base, off, size } = access;
      const bits = this.zeroBits(plan, at, base, true);
      if (((off | (1 << bits)) & (size - 1)) !== 0) alone += off === 0 ? 1 : 2;
      if (this.lookupOf([access]) !== 'none') alone += 2;
    }
    const bounds = this.staysInPage(plan, group) ? 0 : 2;
    return alone > (this.lookupOf(members) === 'none' ? bounds : 2 + bounds);
  }

  /** Whether what fast code knows of a group's base says that all of it lies in the base's page. */
  staysInPage(plan: FunctionPlan, { first: { at, base }, from, to }: Group): boolean {
    const known = this.lowConstant(plan, at, base);
    const offset = known === undefined ? 0 : known & (PAGE_SIZE - 1);
    const room = known === undefined ? 1 << this.zeroBits(plan, at, base, true) : PAGE_SIZE;
    return offset + from >= 0 && offset + to <= room;
  }

  /**
   * Groups that may be checked together. Loads that are aligned where the first one is are none: its check shows that for all of
   * them, also where they lie in two pages.
   */
  #possibleGroups(start: number, end: number): readonly Group[] {
    let known = this.#candidates.get(start);
    if (known === undefined) {
      known = this.#findGroups(start, end);
      this.#candidates.set(start, known);
    }
    return known;
  }

  #findGroups(start: number, end: number): readonly Group[] {
    const { insns, facts } = this.#program;
    const { arena } = this.#target;
    if (this.#options.grouping === false || arena === undefined) return [];
    const learns =
      hasMargins(arena) && this.#options.straddleChecks !== false && this.#options.ranges !== false;
    return groupsOf(insns, start, end, (at) => facts.reachesArena(at)).filter(
      ({ members, isAligned }) => !learns || !isAligned || this.lookupOf(members) !== 'none',
    );
  }

  /** What fast code knows of pages, where they stay. */
  checkedPages(plan: FunctionPlan): CheckedPages {
    let known: CheckedPages | undefined = this.#pages[plan.number];
    if (known === undefined) {
      const constant = (at: number, register: number) => this.lowConstant(plan, at, register);
      known = checkedPages(plan.graph, this.#program.insns, this.#pageChecks(plan), constant);
      this.#pages[plan.number] = known;
    }
    return known;
  }

  /** The checks of fast code that pages may be written, and what they show. */
  #pageChecks(plan: FunctionPlan): Map<number, CheckedBytes> {
    const found = new Map<number, CheckedBytes>();
    const { arena } = this.#target;
    const { ranges, storeChecks } = this.#options;
    if (!arena?.pagesStay || !hasMargins(arena) || ranges === false || storeChecks === false) return found;
    const { insns, facts } = this.#program;
    for (const [start, end] of runsOf(plan.graph, insns)) {
      const members = new Set<number>();
      for (const group of this.#groupsOf(plan, start, end)) {
        for (const { at } of group.members) members.add(at);
        if (this.lookupOf(group.members) !== 'writable') continue;
        const { first, from, to } = group;
        found.set(first.at, { base: first.base, from: Math.min(from, 0), to: Math.max(to, 1) });
      }
      for (let at = start; at < end; at += slots(insns[at])) {
        const access = facts.reachesArena(at) && !members.has(at) ? arenaAccess(insns[at], at) : undefined;
        if (access === undefined || this.lookupOf([access]) !== 'writable') continue;
        const { base, off, size } = access;
        found.set(at, { base, from: off, to: off + size });
      }
    }
    return found;
  }

  /** Arena accesses that fast code checks for alignment: those that are in no group, where an address may wrap around. */
  #checkedAlone(plan: FunctionPlan): SlotSet {
    const { insns, facts } = this.#program;
    const found = new SlotSet(plan.graph);
    const { arena } = this.#target;
    if (arena === undefined || this.#options.straddleChecks === false) return found;
    const wraps = hasMargins(arena);
    for (const [start, end] of runsOf(plan.graph, insns)) {
      const members = new Set<number>();
      for (const group of this.#possibleGroups(start, end))
        for (const { at } of group.members) members.add(at);
      for (let at = start; at < end; at += slots(insns[at]))
        if (facts.reachesArena(at) && !members.has(at) && (wraps || insns[at].off === 0)) found.set(at, true);
    }
    return found;
  }
}

/** Slots, from and to, of the straight runs of a graph without a call. */
function* runsOf(
  graph: Graph,
  insns: readonly Instruction[],
): Generator<readonly [from: number, to: number]> {
  for (const node of graph) {
    if (node.kind !== 'code') continue;
    let { start } = node;
    for (let at = start; at < node.end; at += slots(insns[at])) {
      if (opcode(insns[at].code)?.kind !== 'call') continue;
      yield [start, at];
      start = at + 1;
    }
    yield [start, node.end];
  }
}
