import { slots } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import { alignments } from './alignment.ts';
import { type CheckedBytes, type CheckedPages, checkedPages } from './checked-pages.ts';
import { SlotSet } from './flow.ts';
import { type ArenaAccess, arenaAccess, type Group, groupsOf, type Lookup } from './groups.ts';
import { lowConstants } from './low-constants.ts';
import type { Check } from './page-runs.ts';
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

/** What has been found out about a function. */
interface Found {
  alignedFast: Known<number> | undefined;
  alignedCareful: Known<number> | undefined;
  narrow: SlotSet | undefined;
  pages: CheckedPages | undefined;
  constants: Known<number | undefined> | undefined;
  checks: FastChecks | undefined;
  /** Groups that are possible, and those that save something. */
  possible: readonly Group[] | undefined;
  groups: readonly Group[] | undefined;
}

export class Analyses {
  readonly #program: VerifiedProgram;
  readonly #target: Target;
  readonly #options: JitOptions;
  /** By the function's number. */
  readonly #found: (Found | undefined)[] = [];
  readonly #constant: (insn: number) => bigint;

  constructor(program: VerifiedProgram, target: Target, options: JitOptions) {
    this.#program = program;
    this.#target = target;
    this.#options = options;
    this.#constant = (insn) => target.constant(insn);
  }

  #of({ number }: FunctionPlan): Found {
    this.#found[number] ??= {
      alignedFast: undefined,
      alignedCareful: undefined,
      narrow: undefined,
      pages: undefined,
      constants: undefined,
      checks: undefined,
      possible: undefined,
      groups: undefined,
    };
    return this.#found[number];
  }

  /** Lets go of what is known of a function, when all its code is there: less to move about for the garbage collector. */
  forget({ number }: FunctionPlan): void {
    this.#found[number] = undefined;
  }

  /**
   * Low bits of a register that are surely 0 before an access.
   * @param isFast whether the code is left where a check fails.
   */
  zeroBits(plan: FunctionPlan, at: number, register: number, isFast: boolean): number {
    if (this.#options.ranges === false) return 0;
    const found = this.#of(plan);
    if (isFast) {
      found.alignedFast ??= this.#findFastAlignments(plan);
      return found.alignedFast(at, register);
    }
    found.alignedCareful ??= alignments(plan.graph, this.#program.insns, this.#constant);
    return found.alignedCareful(at, register);
  }

  #findFastAlignments(plan: FunctionPlan): Known<number> {
    const leaves = this.#checkedAlone(plan);
    return alignments(plan.graph, this.#program.insns, this.#constant, {
      leavesUnlessAligned: (at) => leaves.has(at),
      sure: (at, register) => this.zeroBits(plan, at, register, false),
    });
  }

  /** The low half of a register before an access or a cast, where that is one number. */
  lowConstant(plan: FunctionPlan, at: number, register: number): number | undefined {
    if (this.#options.ranges === false) return undefined;
    const found = this.#of(plan);
    found.constants ??= this.#findConstants(plan);
    return found.constants(at, register);
  }

  #findConstants({ graph, cells }: FunctionPlan): Known<number | undefined> {
    const { insns, facts } = this.#program;
    const numbers = new Map([...cells.keys()].map((offset, number) => [offset, number]));
    const slotAt = (insn: number): number | undefined => {
      const own = ownStackAccess(insns, facts, insn);
      return own === undefined || own.size < 4 ? undefined : numbers.get(own.offset);
    };
    return lowConstants(graph, insns, this.#constant, numbers.size, slotAt);
  }

  /** Whether arithmetic in 64 bits may be done in 32, since nobody wants the upper half of what it gives. */
  isNarrow(plan: FunctionPlan, at: number): boolean {
    if (this.#options.narrowing === false) return false;
    const found = this.#of(plan);
    found.narrow ??= this.#findNarrow(plan);
    return found.narrow.has(at);
  }

  #findNarrow({ graph }: FunctionPlan): SlotSet {
    return narrowArithmetic(graph, this.#program, (insn) => this.#target.call(insn));
  }

  /** What an arena access has to look up. */
  lookupOf({ kind }: ArenaAccess): Lookup {
    if (this.#options.storeChecks !== false && (kind === 'store' || kind === 'atomic')) return 'writable';
    return this.#target.reportsFaults || kind === 'acquire' ? 'present' : 'none';
  }

  /** What several have to look up together. */
  lookupOfAll(accesses: readonly ArenaAccess[]): Lookup {
    let all: Lookup = 'none';
    for (const access of accesses) {
      const lookup = this.lookupOf(access);
      if (lookup === 'writable') return lookup;
      if (lookup === 'present') all = lookup;
    }
    return all;
  }

  /** How fast code checks the accesses of a function. */
  fastChecks(plan: FunctionPlan): FastChecks {
    const found = this.#of(plan);
    found.checks ??= this.#findFastChecks(plan);
    return found.checks;
  }

  #findFastChecks(plan: FunctionPlan): FastChecks {
    const { passed } = this.checkedPages(plan);
    const all = this.#groups(plan);
    const members = membersOf(plan, all);
    const groups = new Map<number, Group>();
    for (const group of all) if (!passed.has(group.first.at)) groups.set(group.first.at, group);
    return {
      groups,
      modeOf: (at) => (members.has(at) ? 'checked' : passed.has(at) ? 'writable' : 'single'),
    };
  }

  /** The groups that fast code checks together: those that save something. */
  #groups(plan: FunctionPlan): readonly Group[] {
    const found = this.#of(plan);
    found.groups ??= this.#possibleGroups(plan).filter((group) => this.#isWorthwhile(plan, group));
    return found.groups;
  }

  /** Accesses that need no check on their own are better off alone. */
  #isWorthwhile(plan: FunctionPlan, group: Group): boolean {
    const { members } = group;
    let alone = 0;
    for (const access of members) {
      const { at, base, off, size } = access;
      const bits = this.zeroBits(plan, at, base, true);
      if (((off | (1 << bits)) & (size - 1)) !== 0) alone += off === 0 ? 1 : 2;
      if (this.lookupOf(access) !== 'none') alone += 2;
    }
    const bounds = this.staysInPage(plan, group) ? 0 : 2;
    return alone > (this.lookupOfAll(members) === 'none' ? bounds : 2 + bounds);
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
  #possibleGroups(plan: FunctionPlan): readonly Group[] {
    const found = this.#of(plan);
    found.possible ??= this.#findGroups(plan);
    return found.possible;
  }

  #findGroups({ graph }: FunctionPlan): readonly Group[] {
    const { insns, facts } = this.#program;
    const { arena } = this.#target;
    if (this.#options.grouping === false || arena === undefined) return [];
    const learns =
      hasMargins(arena) && this.#options.straddleChecks !== false && this.#options.ranges !== false;
    const isArena = (at: number) => facts.reachesArena(at);
    const found: Group[] = [];
    const find = (start: number, end: number): void => {
      for (const group of groupsOf(insns, start, end, isArena))
        if (!learns || !group.isAligned || this.lookupOfAll(group.members) !== 'none') found.push(group);
    };
    for (const node of graph) {
      if (node.kind !== 'code') continue;
      let { start } = node;
      for (let at = start; at < node.end; at += slots(insns[at])) {
        if (opcode(insns[at].code)?.kind !== 'call') continue;
        find(start, at);
        start = at + 1;
      }
      find(start, node.end);
    }
    return found;
  }

  /** What fast code knows of pages, where they stay. */
  checkedPages(plan: FunctionPlan): CheckedPages {
    const found = this.#of(plan);
    found.pages ??= this.#findPages(plan);
    return found.pages;
  }

  #findPages(plan: FunctionPlan): CheckedPages {
    const constant = (at: number, register: number) => this.lowConstant(plan, at, register);
    return checkedPages(plan.graph, this.#program.insns, this.#pageChecks(plan), constant);
  }

  /** All that fast code asks of the accesses between two slots, with no call between them. */
  checks(plan: FunctionPlan, start: number, end: number): Check[] {
    const { insns, facts } = this.#program;
    const { groups, modeOf } = this.fastChecks(plan);
    const found: Check[] = [];
    for (let at = start; at < end; at += slots(insns[at])) {
      const group = groups.get(at);
      if (group !== undefined) {
        const { first, members, from, to } = group;
        const bytes = { base: first.base, from: Math.min(from, 0), to: Math.max(to, 1) };
        // Pages that are read only may never have been written.
        const isMovable = this.lookupOfAll(members) === 'writable';
        const all = members.map((member) => member.at);
        found.push({ at, members: all, ...bytes, distance: 0, unit: 1, isMovable });
      }
      const mode = modeOf(at);
      const access = facts.reachesArena(at) && mode !== 'checked' ? arenaAccess(insns[at], at) : undefined;
      if (access === undefined) continue;
      const { base, off, size } = access;
      const lookup = mode === 'writable' ? 'none' : this.lookupOf(access);
      const isAligned = ((off | (1 << this.zeroBits(plan, at, base, true))) & (size - 1)) === 0;
      if (lookup === 'none' && isAligned) continue;
      const bytes = { base, from: off, to: lookup === 'none' ? off : off + size };
      const unit = isAligned ? 1 : size;
      found.push({ at, members: [at], ...bytes, distance: off, unit, isMovable: lookup !== 'present' });
    }
    return found;
  }

  /** Whether what is asked before a run of rounds holds until it ends. */
  get hasRuns(): boolean {
    const { arena } = this.#target;
    const { runs, ranges, straddleChecks, storeChecks } = this.#options;
    if (arena?.pagesStay !== true || !hasMargins(arena)) return false;
    return runs !== false && ranges !== false && straddleChecks !== false && storeChecks !== false;
  }

  /** The checks of fast code that pages may be written, and what they show. */
  #pageChecks(plan: FunctionPlan): Map<number, CheckedBytes> {
    const found = new Map<number, CheckedBytes>();
    const { arena } = this.#target;
    const { ranges, storeChecks } = this.#options;
    if (!arena?.pagesStay || !hasMargins(arena) || ranges === false || storeChecks === false) return found;
    const groups = this.#groups(plan);
    for (const { first, members, from, to } of groups)
      if (this.lookupOfAll(members) === 'writable')
        found.set(first.at, { base: first.base, from: Math.min(from, 0), to: Math.max(to, 1) });
    const members = membersOf(plan, groups);
    this.#eachAccess(plan, (access) => {
      const { at, base, off, size } = access;
      if (!members.has(at) && this.lookupOf(access) === 'writable')
        found.set(at, { base, from: off, to: off + size });
    });
    return found;
  }

  /** Arena accesses that fast code checks for alignment: those that are in no group, where an address may wrap around. */
  #checkedAlone(plan: FunctionPlan): SlotSet {
    const found = new SlotSet(plan.graph);
    const { arena } = this.#target;
    if (arena === undefined || this.#options.straddleChecks === false) return found;
    const wraps = hasMargins(arena);
    const members = membersOf(plan, this.#possibleGroups(plan));
    this.#eachAccess(plan, ({ at, off }) => {
      if (!members.has(at) && (wraps || off === 0)) found.set(at, true);
    });
    return found;
  }

  #eachAccess({ graph }: FunctionPlan, visit: (access: ArenaAccess) => void): void {
    const { insns, facts } = this.#program;
    for (const node of graph) {
      if (node.kind !== 'code') continue;
      for (let at = node.start; at < node.end; at += slots(insns[at])) {
        const access = facts.reachesArena(at) ? arenaAccess(insns[at], at) : undefined;
        if (access !== undefined) visit(access);
      }
    }
  }
}

/** The slots of all that are in groups. */
function membersOf({ graph }: FunctionPlan, groups: readonly Group[]): SlotSet {
  const found = new SlotSet(graph);
  for (const { members } of groups) for (const { at } of members) found.set(at, true);
  return found;
}
