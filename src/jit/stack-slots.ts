import type { Instruction } from '../isa/instruction.ts';
import { type AccessSize, opcode } from '../isa/opcodes.ts';
import type { Facts } from '../verifier/facts.ts';
import type { Graph } from './cfg.ts';
import { forward } from './flow.ts';

/**
 * Which bytes of a function's stack frame can be locals instead: those that only its own plain loads and stores reach, at
 * fixed offsets, always as the same whole. Whatever is handed out by address (to helpers, callees, variable offsets) stays
 * in memory; so does what may be read before it was written, for there another function's leftovers show.
 */

/** Bytes of a frame that live in a local. */
export interface Cell {
  /** From the frame pointer, negative. */
  readonly offset: number;
  readonly size: AccessSize;
}

/** What the accesses at one place look like. */
interface Place {
  size: AccessSize;
  promotable: boolean;
}

/** @returns cells by the offset at which they begin. */
export function promotedCells(
  graph: Graph,
  insns: readonly Instruction[],
  facts: Facts,
  subprogram: number,
): ReadonlyMap<number, Cell> {
  const places = new Map<number, Place>();
  /** Where the cell begins that a byte belongs to. */
  const owner = new Map<number, number>();
  const spoil = (offset: number | undefined) => {
    const place = offset === undefined ? undefined : places.get(offset);
    if (place !== undefined) place.promotable = false;
  };
  for (const node of graph) {
    if (node.kind !== 'code') continue;
    for (let at = node.start; at < node.end; at++) {
      const access = ownStackAccess(insns, facts, at);
      if (access === undefined) continue;
      const { offset, size } = access;
      let place = places.get(offset);
      if (place === undefined) {
        place = { size, promotable: true };
        places.set(offset, place);
      }
      if (place.size !== size) place.promotable = false;
      for (let byte = offset; byte < offset + size; byte++) {
        const other = owner.get(byte);
        if (other !== undefined && other !== offset) {
          place.promotable = false;
          spoil(other);
        } else owner.set(byte, offset);
        if (facts.stackEscapes(subprogram, byte)) place.promotable = false;
      }
    }
  }
  const cells = [...places].flatMap(([offset, { size, promotable }]) =>
    promotable ? [{ offset, size }] : [],
  );
  const uncertain = readBeforeWritten(graph, insns, facts, cells);
  return new Map(cells.filter(({ offset }) => !uncertain.has(offset)).map((cell) => [cell.offset, cell]));
}

/** Where a load or store reaches one fixed place of the function's own frame: its offset from r10, which is negative; else 0. */
export function ownStackOffset(facts: Facts, at: number): number {
  const fact = facts.insns[at];
  if (fact?.memory !== 'stack' || fact.frameDistance !== 0) return 0;
  return fact.stackOffset ?? 0;
}

/** A plain load or store at one fixed place of the function's own frame. */
export function ownStackAccess(
  insns: readonly Instruction[],
  facts: Facts,
  at: number,
): { offset: number; size: AccessSize; writes: boolean } | undefined {
  const offset = ownStackOffset(facts, at);
  if (offset === 0) return undefined;
  const row = opcode(insns[at].code);
  if (row?.kind !== 'load' && row?.kind !== 'store') return undefined;
  return { offset, size: row.size, writes: row.kind === 'store' };
}

/** Cells that some path reads before it writes them: a forward analysis over sets of cells that are surely written. */
function readBeforeWritten(
  graph: Graph,
  insns: readonly Instruction[],
  facts: Facts,
  cells: readonly Cell[],
): Set<number> {
  const found = new Set<number>();
  if (cells.length === 0) return found;
  const number = new Map(cells.map(({ offset }, i) => [offset, i]));
  const words = (cells.length + 31) >> 5;
  /** What is surely written before each node; all until something arrives. */
  const before = new Int32Array(graph.length * words).fill(-1);
  before.fill(0, 0, words);
  const written = new Int32Array(words);
  // What is surely written only becomes less, so what was found once stays true.
  const walk = (node: number): void => {
    for (let word = 0; word < words; word++) written[word] = before[node * words + word];
    const code = graph[node];
    if (code.kind !== 'code') return;
    for (let at = code.start; at < code.end; at++) {
      const cell = number.get(ownStackOffset(facts, at));
      if (cell === undefined) continue;
      const bit = 1 << (cell & 31);
      if (opcode(insns[at].code)?.kind === 'store') written[cell >> 5] |= bit;
      else if ((written[cell >> 5] & bit) === 0) found.add(cells[cell].offset);
    }
  };
  const meet = (to: number): boolean => {
    let isLess = false;
    for (let word = 0, there = to * words; word < words; word++, there++) {
      const both = before[there] & written[word];
      if (both !== before[there]) isLess = true;
      before[there] = both;
    }
    return isLess;
  };
  forward(graph, walk, meet);
  return found;
}
