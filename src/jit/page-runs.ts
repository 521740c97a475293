import { type Instruction, slots, writtenRegister } from '../isa/instruction.ts';
import { BPF_REG_10, MAX_BPF_REG, opcode } from '../isa/opcodes.ts';
import type { CodeNode, Graph } from './cfg.ts';
import { baseRegister } from './flow.ts';
import { Places } from './places.ts';

/**
 * Loops that walk through arrays: where each round moves a pointer by the same number of bytes, what its accesses ask for can be
 * found out before the loop, for as many rounds as all bytes stay in pages that were looked at. Those rounds are a *run*; its length
 * costs nothing, since may_goto counts rounds anyway. A run begins behind the may_goto that each round passes, and so does the round
 * that is looked at here.
 */

/** What an access, or a group of them, has to ask before it goes ahead. */
export interface Check {
  /** The slot before which it is asked: that of the access, or of the group's first one. */
  readonly at: number;
  /** Slots of the accesses that it is for. */
  readonly members: readonly number[];
  readonly base: number;
  /** Bytes, counted from the base, whose pages have to be ones that may be written; none where both are equal. */
  readonly from: number;
  readonly to: number;
  /** Where base plus `distance` has to be a multiple of `unit` bytes; 1 where it need not. */
  readonly distance: number;
  readonly unit: number;
  /** Whether it may be asked before a run. */
  readonly isMovable: boolean;
}

/** A register that each round moves by `step` bytes, and what is asked of it before a run. */
export interface RunPointer {
  readonly register: number;
  readonly step: number;
  /** As in {@link Check}, counted from what the register holds when the run begins. */
  readonly from: number;
  readonly to: number;
  readonly aligned: readonly { readonly distance: number; readonly unit: number }[];
}

export interface PageRun {
  readonly pointers: readonly RunPointer[];
  /** Slots of the accesses that need no check during a run. */
  readonly members: ReadonlySet<number>;
  /** Slots of the checks that are left out. */
  readonly checks: ReadonlySet<number>;
  /** The register that counts the rounds, where one can: then may_goto looks how far it is instead of counting itself. */
  readonly counter: RunCounter | undefined;
}

export interface RunCounter {
  readonly register: number;
  /** Bytes that each round moves it by, not 0. */
  readonly step: number;
  /** How far it has come in a round at the end of each node that leads out of the loop. */
  readonly at: ReadonlyMap<number, number>;
}

/** Bytes that a round may reach through one pointer, and move it: of a run many rounds are wanted. */
const WIDEST = 2048;
const LONGEST_STEP = 256;

/** The root of a register whose value is of no interest. */
const UNKNOWN = -1;

/** A check, and where its base is, counted from what a register holds when the round begins. */
interface Asked {
  readonly check: Check;
  readonly root: number;
  readonly offset: number;
}

/**
 * @param loop nodes of an innermost loop. @param mayGoto the one among them that ends in the may_goto.
 * @param checksOf all that a node's accesses ask.
 * @returns undefined where nothing can be asked beforehand.
 */
export function pageRun(
  nodes: Graph,
  loop: ReadonlySet<number>,
  mayGoto: number,
  insns: readonly Instruction[],
  checksOf: (node: CodeNode) => readonly Check[],
): PageRun | undefined {
  const round = roundOf(nodes, loop, mayGoto, insns);
  if (round === undefined) return undefined;
  const places = placesIn(nodes, round, insns, mayGoto);
  if (places === undefined) return undefined;
  const { before, behind } = places;
  const asked: Asked[] = [];
  /** What leads out of the middle of a round, or counts as one. */
  let others = 0;
  const always = passedAlways(nodes, loop, round, mayGoto);
  const now = new Places();
  for (const node of round) {
    const code = nodes[node];
    if (code.kind !== 'code') continue;
    const all = checksOf(code);
    others += all.length;
    if (node !== mayGoto && opcode(insns[code.end - 1].code)?.kind === 'may_goto') others++;
    if (!always.has(node)) continue;
    now.copy(before.get(node) as Places);
    let next = 0;
    for (let at = code.start; next < all.length; at += slots(insns[at])) {
      for (; all[next]?.at === at; next++) {
        const { base, isMovable } = all[next];
        if (isMovable) asked.push({ check: all[next], root: now.roots[base], offset: now.offsets[base] });
      }
      now.step(insns[at], UNKNOWN);
    }
  }
  const run = runOf(asked, behind.get(mayGoto) as Places);
  if (run === undefined) return undefined;
  const ends = [...behind].filter(
    ([node]) => node !== mayGoto && nodes[node].next.some((to) => !loop.has(to)),
  );
  return { ...run, counter: run.checks.size === others ? counterOf(run.pointers, ends) : undefined };
}

/**
 * Where registers lead before and behind each node of a round. @returns undefined where no access goes through a register that the
 * round moves by a constant.
 */
function placesIn(nodes: Graph, round: readonly number[], insns: readonly Instruction[], mayGoto: number) {
  const before = new Map<number, Places>([[round[0], new Places()]]);
  const behind = new Map<number, Places>();
  /** Roots of what accesses go through, a bit each. */
  let used = 0;
  for (const node of round) {
    const code = nodes[node];
    if (code.kind !== 'code' && code.kind !== 'choose') return undefined;
    const places = new Places();
    places.copy(before.get(node) as Places);
    for (let at = code.start; at < code.end; at += slots(insns[at])) {
      const base = baseRegister(insns[at]);
      if (base >= 0 && base !== BPF_REG_10 && places.roots[base] >= 0) used |= 1 << places.roots[base];
      const written = writtenRegister(insns[at]);
      if (code.kind === 'code') places.step(insns[at], UNKNOWN);
      else if (written !== undefined) places.put(written, UNKNOWN);
    }
    behind.set(node, places);
    if (node === mayGoto) break;
    for (const to of code.next) {
      const known = before.get(to);
      if (known !== undefined) meet(known, places);
      else {
        const copy = new Places();
        copy.copy(places);
        before.set(to, copy);
      }
    }
  }
  const { roots } = behind.get(mayGoto) as Places;
  for (let register = 0; register < MAX_BPF_REG; register++)
    if ((used & (1 << register)) !== 0 && roots[register] === register) return { before, behind };
  return undefined;
}

/** A pointer of which it is known, wherever the loop is left, how far the round has moved it. */
function counterOf(
  pointers: readonly RunPointer[],
  ends: readonly (readonly [node: number, places: Places])[],
): RunCounter | undefined {
  const found = pointers.find(
    ({ register, step }) => step !== 0 && ends.every(([, { roots }]) => roots[register] === register),
  );
  if (found === undefined) return undefined;
  const { register, step } = found;
  return { register, step, at: new Map(ends.map(([node, { offsets }]) => [node, offsets[register]])) };
}

/** The nodes of a round in order, beginning behind the may_goto; undefined where a round could pass a node twice, or calls. */
function roundOf(
  nodes: Graph,
  loop: ReadonlySet<number>,
  mayGoto: number,
  insns: readonly Instruction[],
): number[] | undefined {
  const last = nodes[mayGoto];
  if (last.kind !== 'code') return undefined;
  for (const each of loop) {
    const node = nodes[each];
    if ((node.kind !== 'code' && node.kind !== 'choose') || node.frame !== last.frame) return undefined;
    for (let at = node.start; at < node.end; at += slots(insns[at]))
      if (opcode(insns[at].code)?.kind === 'call') return undefined;
  }
  const [first, ...others] = last.next.filter((to) => loop.has(to));
  if (first === undefined || others.length > 0) return undefined;
  // Backwards from where nothing is left to visit; a node that is met again on its own way is a cycle without the may_goto.
  const order: number[] = [];
  const state = new Map<number, 'open' | 'done'>();
  const work: [node: number, next: number][] = [[first, 0]];
  state.set(first, 'open');
  for (let top = work.at(-1); top !== undefined; top = work.at(-1)) {
    const [node] = top;
    const ways = node === mayGoto ? [] : nodes[node].next.filter((to) => loop.has(to));
    if (top[1] === ways.length) {
      state.set(node, 'done');
      order.push(node);
      work.pop();
      continue;
    }
    const to = ways[top[1]++];
    const seen = state.get(to);
    if (seen === 'open') return undefined;
    if (seen === undefined) {
      state.set(to, 'open');
      work.push([to, 0]);
    }
  }
  return state.has(mayGoto) ? order.reverse() : undefined;
}

/** Nodes that each whole round passes: those after which none that stands before them leads past them. */
function passedAlways(
  nodes: Graph,
  loop: ReadonlySet<number>,
  round: readonly number[],
  mayGoto: number,
): Set<number> {
  const rank = new Map(round.map((node, i) => [node, i]));
  const always = new Set<number>();
  let farthest = 0;
  round.forEach((node, i) => {
    if (farthest <= i) always.add(node);
    if (node === mayGoto) return;
    for (const to of nodes[node].next) if (loop.has(to)) farthest = Math.max(farthest, rank.get(to) ?? 0);
  });
  return always;
}

function meet(known: Places, { roots, offsets }: Places): void {
  for (let register = 0; register < MAX_BPF_REG; register++)
    if (known.roots[register] !== roots[register] || known.offsets[register] !== offsets[register])
      known.put(register, UNKNOWN);
}

/** What is asked of the registers that the round moves by a constant. The places are those at its end. */
function runOf(asked: readonly Asked[], { roots, offsets }: Places): Omit<PageRun, 'counter'> | undefined {
  const pointers = new Map<number, RunPointer>();
  const members = new Set<number>();
  const checks = new Set<number>();
  for (const { check, root, offset } of asked) {
    if (root < 0 || roots[root] !== root) continue;
    const step = offsets[root];
    if (Math.abs(step) > LONGEST_STEP || step % check.unit !== 0) continue;
    const known = pointers.get(root) ?? { register: root, step, from: 0, to: 0, aligned: [] };
    const wider = widened(known, check, offset);
    if (wider === undefined) continue;
    const distance = (offset + check.distance) & (check.unit - 1);
    const isAsked =
      check.unit === 1 ||
      known.aligned.some(
        ({ unit, distance: other }) => unit >= check.unit && (other & (check.unit - 1)) === distance,
      );
    const aligned = isAsked ? known.aligned : [...known.aligned, { unit: check.unit, distance }];
    pointers.set(root, { ...wider, aligned });
    checks.add(check.at);
    for (const member of check.members) members.add(member);
  }
  return members.size === 0 ? undefined : { pointers: [...pointers.values()], members, checks };
}

/** With the bytes of a check; undefined where that would be too many. */
function widened(known: RunPointer, { from, to }: Check, offset: number): RunPointer | undefined {
  if (from === to) return known;
  const first = known.from === known.to ? offset + from : Math.min(known.from, offset + from);
  const last = known.from === known.to ? offset + to : Math.max(known.to, offset + to);
  const isNear = first >= -WIDEST && last <= WIDEST && last - first <= WIDEST;
  return isNear ? { ...known, from: first, to: last } : undefined;
}
