import { type Instruction, slots } from '../isa/instruction.ts';
import { type AccessSize, atomicOperation, MAX_BPF_REG, opcode } from '../isa/opcodes.ts';
import { Places } from './places.ts';

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

/** An access, and how far its base is from its root. */
interface Placed {
  readonly access: ArenaAccess;
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
  const places = new Places();
  let roots = MAX_BPF_REG;
  const byRoot = new Map<number, Placed[]>();
  for (let at = start; at < end; at += slots(insns[at])) {
    const insn = insns[at];
    const access = isArena(at) ? arenaAccess(insn, at) : undefined;
    if (access !== undefined) {
      const root = places.roots[access.base];
      const placed = { access, offset: places.offsets[access.base] };
      const found = byRoot.get(root);
      if (found === undefined) byRoot.set(root, [placed]);
      else found.push(placed);
    }
    if (places.step(insn, roots)) roots++;
  }
  const groups: Group[] = [];
  for (const found of byRoot.values()) if (found.length > 1) split(found, groups);
  return groups;
}

function hasTwo(start: number, end: number, isArena: (at: number) => boolean): boolean {
  let count = 0;
  for (let at = start; at < end && count < 2; at++) if (isArena(at)) count++;
  return count === 2;
}

/** Parts of which each spans little enough. */
function split(found: readonly Placed[], groups: Group[]): void {
  let open = found;
  while (open.length > 1) {
    const [head] = open;
    let from = head.access.off;
    let to = from + head.access.size;
    let isAligned = true;
    const members: ArenaAccess[] = [];
    const rest: Placed[] = [];
    for (const each of open) {
      const { access } = each;
      const base = each.offset - head.offset;
      const at = base + access.off;
      const first = Math.min(from, base, at);
      const last = Math.max(to, base + 1, at + access.size);
      if (last - first > WIDEST || last > WIDEST || first < -WIDEST) rest.push(each);
      else {
        from = first;
        to = last;
        isAligned &&= at % access.size === 0;
        members.push(access);
      }
    }
    if (members.length === 0) rest.shift();
    if (members.length > 1) groups.push({ first: members[0], members, from, to, isAligned });
    open = rest;
  }
}
