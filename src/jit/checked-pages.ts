import { type Instruction, slots, writtenRegister } from '../isa/instruction.ts';
import { BPF_PSEUDO_CALL, MAX_BPF_REG, opcode } from '../isa/opcodes.ts';
import type { Graph } from './cfg.ts';
import { forward, SlotSet } from './flow.ts';
import { distanceOf, Places, sourceOf } from './places.ts';

/**
 * Which bytes around a register surely lie in pages that may be written, since fast code is left where a check fails, and a page
 * stays once it is there: for kernels with one CPU, and programs that free none. A second check of the same page is then left out.
 * A forward analysis over the graph of a function; where ways meet, what is known on both counts.
 */

/** Bytes that a check shows to lie in pages that may be written, counted from a register: from, and one past the last. */
export interface CheckedBytes {
  readonly base: number;
  readonly from: number;
  readonly to: number;
}

/** What is known at a point. */
export interface KnownPages {
  readonly registers: readonly CheckedBytes[];
  /** Numbers of pages. */
  readonly pages: readonly number[];
}

export interface CheckedPages {
  /** Slots whose check is known to pass. */
  readonly passed: ReadonlySet<number>;
  /** What is known before each may_goto, where another version may begin. */
  readonly atMayGoto: ReadonlyMap<number, KnownPages>;
}

const PAGE_SHIFT = 12;
/** How far from a register bytes are followed; so much less than a page that the pages of both ends are all there are. */
const FARTHEST = 2048;

/** r0 to r5 hold nothing after a call that they held before. */
const CLOBBERED = 6;

/** Bytes from and to by register; nothing is known where they are equal. */
interface State {
  readonly bytes: Int32Array;
  pages: readonly number[];
}

const FROM = 0;
const TO = MAX_BPF_REG;
const WIDTH = 2 * MAX_BPF_REG;

/**
 * @param checks what the check before a slot shows, for those that have one.
 * @param constant the low half of a register before a slot, where it is one number.
 */
export function checkedPages(
  graph: Graph,
  insns: readonly Instruction[],
  checks: ReadonlyMap<number, CheckedBytes>,
  constant: (at: number, register: number) => number | undefined,
): CheckedPages {
  const passed = new Set<number>();
  const atMayGoto = new Map<number, KnownPages>();
  if (checks.size < 2) return { passed, atMayGoto };
  const isKnownAt = new SlotSet(graph);
  const before: State[] = graph.map(() => ({ bytes: new Int32Array(WIDTH), pages: [] }));
  const isReached = new Uint8Array(graph.length);
  isReached[0] = 1;
  const state: State = { bytes: new Int32Array(WIDTH), pages: [] };
  const places = new Places();
  const walk = (node: number): void => {
    copy(before[node], state);
    const code = graph[node];
    if (code.kind !== 'code') return;
    let roots = MAX_BPF_REG;
    places.reset();
    for (let at = code.start; at < code.end; at += slots(insns[at])) {
      const insn = insns[at];
      const kind = opcode(insn.code)?.kind;
      const check = checks.get(at);
      if (check !== undefined) {
        const known = constant(at, check.base);
        isKnownAt.set(at, isKnown(state, check, known));
        learn(state, places, check, known);
      }
      if (kind === 'may_goto') atMayGoto.set(at, knownOf(state));
      if (kind === 'call') {
        // What comes back from a function that was put into this one may be another version, which has checked nothing.
        const isInlined = insn.src === BPF_PSEUDO_CALL;
        if (isInlined) state.pages = [];
        for (let register = 0; register < (isInlined ? MAX_BPF_REG : CLOBBERED); register++) {
          put(state.bytes, register, 0, 0);
          places.put(register, roots++);
        }
        continue;
      }
      const written = writtenRegister(insn);
      if (written === undefined) continue;
      const source = sourceOf(insn);
      if (source < 0) put(state.bytes, written, 0, 0);
      else follow(state.bytes, written, source, distanceOf(insn));
      if (places.step(insn, roots)) roots++;
    }
  };
  forward(graph, walk, (to) => {
    if (isReached[to] !== 0) return meet(before[to], state);
    isReached[to] = 1;
    copy(state, before[to]);
    return true;
  });
  for (const at of checks.keys()) if (isKnownAt.has(at)) passed.add(at);
  return { passed, atMayGoto };
}

function copy(from: State, to: State): void {
  for (let i = 0; i < WIDTH; i++) to.bytes[i] = from.bytes[i];
  to.pages = from.pages;
}

/** Gives a register what is known of another one, `distance` bytes before it. */
function follow(bytes: Int32Array, register: number, source: number, distance: number): void {
  put(bytes, register, bytes[FROM + source] - distance, bytes[TO + source] - distance);
}

function put(bytes: Int32Array, register: number, from: number, to: number): void {
  const isNear = from < to && from >= -FARTHEST && to <= FARTHEST;
  bytes[FROM + register] = isNear ? from : 0;
  bytes[TO + register] = isNear ? to : 0;
}

function pagesOf({ from, to }: CheckedBytes, address: number): number[] {
  const first = (address + from) >>> PAGE_SHIFT;
  const last = (address + to - 1) >>> PAGE_SHIFT;
  return first === last ? [first] : [first, last];
}

function isKnown({ bytes, pages }: State, check: CheckedBytes, address: number | undefined): boolean {
  if (address !== undefined) return pagesOf(check, address).every((page) => pages.includes(page));
  const { base, from, to } = check;
  return bytes[FROM + base] < bytes[TO + base] && bytes[FROM + base] <= from && to <= bytes[TO + base];
}

function learn(
  state: State,
  { roots, offsets }: Places,
  check: CheckedBytes,
  address: number | undefined,
): void {
  if (address !== undefined) {
    const fresh = pagesOf(check, address).filter((page) => !state.pages.includes(page));
    if (fresh.length > 0) state.pages = [...state.pages, ...fresh];
    return;
  }
  const { base } = check;
  for (let register = 0; register < MAX_BPF_REG; register++) {
    if (roots[register] !== roots[base]) continue;
    const distance = (offsets[base] - offsets[register]) | 0;
    joinBytes(state.bytes, register, check.from + distance, check.to + distance);
  }
}

/** Both what is known and what was found, where they touch; else what was found. */
function joinBytes(bytes: Int32Array, register: number, from: number, to: number): void {
  const [knownFrom, knownTo] = [bytes[FROM + register], bytes[TO + register]];
  const first = Math.min(from, knownFrom);
  const last = Math.max(to, knownTo);
  const touch = knownFrom < knownTo && knownFrom <= to && from <= knownTo;
  const isNear = first >= -FARTHEST && last <= FARTHEST;
  put(bytes, register, touch && isNear ? first : from, touch && isNear ? last : to);
}

/** Leaves what is known on both ways. @returns whether that is less. */
function meet(there: State, { bytes, pages }: State): boolean {
  let isLess = false;
  for (let register = 0; register < MAX_BPF_REG; register++) {
    const [from, to] = [there.bytes[FROM + register], there.bytes[TO + register]];
    if (from === to) continue;
    const [otherFrom, otherTo] = [bytes[FROM + register], bytes[TO + register]];
    if (otherFrom < otherTo && otherFrom <= from && to <= otherTo) continue;
    // The smaller one of two, and no more: a pointer that each round of a loop moves would lose a byte at a time.
    const isWithin = otherFrom < otherTo && from <= otherFrom && otherTo <= to;
    put(there.bytes, register, isWithin ? otherFrom : 0, isWithin ? otherTo : 0);
    isLess = true;
  }
  const both = there.pages.filter((page) => pages.includes(page));
  if (both.length === there.pages.length) return isLess;
  there.pages = both;
  return true;
}

function knownOf({ bytes, pages }: State): KnownPages {
  const registers: CheckedBytes[] = [];
  for (let base = 0; base < MAX_BPF_REG; base++) {
    const [from, to] = [bytes[FROM + base], bytes[TO + base]];
    if (from < to) registers.push({ base, from, to });
  }
  return { registers, pages };
}
