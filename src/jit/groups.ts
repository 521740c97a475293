import { type Instruction, isLdImm64, slots, writtenRegister } from '../isa/instruction.ts';
import { type AccessSize, atomicOperation, MAX_BPF_REG, opcode } from '../isa/opcodes.ts';

/**
 * Which arena accesses of a straight run of instructions go through the same pointer, so that one check serves them all:
 * if they lie in one page, and the page is there, none of them needs a look of its own. Registers are followed by their low
 * halves, which are all that an arena access uses: moves, casts between address spaces, and added constants keep a pointer's
 * identity.
 */

export interface ArenaAccess {
  /** The slot. */
  readonly at: number;
  /** The register, and the constant offset from it. */
  readonly base: number;
  readonly off: number;
  readonly size: AccessSize;
  /** A load-acquire leaves its register alone where the page is absent; a plain load gives 0. */
  readonly kind: 'load' | 'acquire' | 'store' | 'atomic';
}

/** What an access has to know of its page: nothing, that it is present, or that it may be written. */
export type Lookup = 'none' | 'present' | 'writable';

/** Accesses through one pointer, to be checked before the first of them. */
export interface Group {
  readonly first: ArenaAccess;
  readonly members: readonly ArenaAccess[];
  /**
   * Bytes that all of them together reach, counted from the first one's base register: from, and one past the last. What
   * the other bases point to is among them: a base that stays in the page has not wrapped around at 4 GiB, where adding
   * up distances would be wrong.
   */
  readonly from: number;
  readonly to: number;
  /** Whether no member straddles anything if the first one's base is a multiple of what the largest one takes. */
  readonly isAligned: boolean;
}

/** Bytes that a group may span: objects that are much larger do cross pages. */
const WIDEST = 512;

/** The access that an instruction makes, if it makes one. */
export function arenaAccess(insn: Instruction, at: number): ArenaAccess | undefined {
  const row = opcode(insn.code);
  const { dst, src, off } = insn;
  switch (row?.kind) {
    case 'load':
      return { at, base: src, off, size: row.size, kind: 'load' };
    case 'store':
      return { at, base: dst, off, size: row.size, kind: 'store' };
    case 'atomic': {
      const { op } = atomicOperation(insn.imm) ?? {};
      if (op === 'load_acquire') return { at, base: src, off, size: row.size, kind: 'acquire' };
      return { at, base: dst, off, size: row.size, kind: op === 'store_release' ? 'store' : 'atomic' };
    }
    default:
      return undefined;
  }
}

/** Where an access lies: a pointer that has a number, and the distance from it. */
export interface Place {
  readonly root: number;
  readonly offset: number;
}

/**
 * Finds the groups of two and more accesses between two slots; no call and no jump may lie between them.
 * @param isArena whether the instruction in a slot reaches the arena.
 */
export function groupsOf(
  insns: readonly Instruction[],
  start: number,
  end: number,
  isArena: (at: number) => boolean,
): Group[] {
  if (!hasTwo(start, end, isArena)) return [];
  let roots = 0;
  const places: Place[] = Array.from({ length: MAX_BPF_REG }, () => ({ root: roots++, offset: 0 }));
  const byRoot = new Map<number, { access: ArenaAccess; place: Place }[]>();
  for (let at = start; at < end; at += slots(insns[at])) {
    const insn = insns[at];
    const access = isArena(at) ? arenaAccess(insn, at) : undefined;
    if (access !== undefined) {
      const place = places[access.base];
      const found = byRoot.get(place.root);
      if (found === undefined) byRoot.set(place.root, [{ access, place }]);
      else found.push({ access, place });
    }
    const written = writtenRegister(insn);
    if (written !== undefined) places[written] = derived(insn, places) ?? { root: roots++, offset: 0 };
  }
  return [...byRoot.values()].flatMap((found) => (found.length < 2 ? [] : split(found)));
}

function hasTwo(start: number, end: number, isArena: (at: number) => boolean): boolean {
  let count = 0;
  for (let at = start; at < end && count < 2; at++) if (isArena(at)) count++;
  return count === 2;
}

/** The place that a register holds after a move or the addition of a constant. */
export function derived(insn: Instruction, places: readonly Place[]): Place | undefined {
  const row = opcode(insn.code);
  if (row?.kind !== 'alu' || isLdImm64(insn)) return undefined;
  if (row.op === 'mov' && row.source === 'X' && insn.off <= 1) return places[insn.src];
  if (row.source === 'X' || (row.op !== 'add' && row.op !== 'sub')) return undefined;
  const { root, offset } = places[insn.dst];
  return { root, offset: (row.op === 'add' ? offset + insn.imm : offset - insn.imm) | 0 };
}

/** Parts of which each spans little enough. */
function split(found: readonly { access: ArenaAccess; place: Place }[]): Group[] {
  const groups: Group[] = [];
  let open = [...found];
  while (open.length > 1) {
    const [{ access: first, place }] = open;
    let from = first.off;
    let to = first.off + first.size;
    let isAligned = true;
    const members: ArenaAccess[] = [];
    const rest: typeof open = [];
    for (const each of open) {
      const { access } = each;
      const base = each.place.offset - place.offset;
      const at = base + access.off;
      const wider = { from: Math.min(from, base, at), to: Math.max(to, base + 1, at + access.size) };
      if (wider.to - wider.from > WIDEST || wider.to > WIDEST || wider.from < -WIDEST) rest.push(each);
      else {
        ({ from, to } = wider);
        isAligned &&= at % access.size === 0;
        members.push(access);
      }
    }
    if (members.length === 0) rest.shift();
    if (members.length > 1) groups.push({ first: members[0], members, from, to, isAligned });
    open = rest;
  }
  return groups;
}
