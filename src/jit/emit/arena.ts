import type { Label } from '../encode/code.ts';
import { OP } from '../encode/opcodes.ts';
import type { ArenaAccess, Group, Lookup } from '../groups.ts';
import { hasMargins } from '../target.ts';
import type { Emitter } from './emitter.ts';
import { emitLookup, emitPageBounds, emitPairLookup, forgetPageState } from './pages.ts';

/**
 * Arena accesses: memory 0, indexed by the low half of a register. An absent page reads as zero, so a load only has to
 * make sure that it does not straddle two pages (of which one may be absent) and does not leave the window, where
 * WebAssembly would trap; a store looks its page up besides. Each check that fails leads to `check` (runtime.ts), which
 * knows everything about an access, and from there to the same load or store, or around it.
 *
 * What is cheapest depends: an aligned access straddles nothing, which one test shows, or what is known of the pointer;
 * several accesses through a pointer need one check if they lie in the page that the pointer points to.
 */

const WINDOW = 2 ** 32;
/** Offsets up to which an access is expected to lie in the page of its base. */
const NEAR = 256;

/** Numbers that `check` and the import `fault` know an access's kind by. */
export const ACCESS_KIND = { load: 0, acquire: 0, store: 1, atomic: 2 } as const;

/**
 * How an access is checked: on its own; without its page, which may be written; or not at all, since a check for it has passed, or
 * one for it and others, whose base lies in their pages, too.
 */
export type Mode = 'single' | 'writable' | 'passed' | 'checked';

/** How loads, stores or atomics are emitted; `at` is the slot of one. */
export interface Emission {
  /** With the address on the stack; `offset` is still to be added to it. */
  fast(e: Emitter, at: number, offset: number): void;
  /** What happens instead where the page is not present. */
  absent(e: Emitter, at: number): void;
}

export function emitArenaAccess(e: Emitter, access: ArenaAccess, mode: Mode, emission: Emission): void {
  const { code } = e;
  const { at, base, off, size } = access;
  if (mode === 'checked') {
    emission.fast(e, at, pushNear(e, access));
    return;
  }
  const check = e.options.straddleChecks !== false;
  const lookup = mode === 'single' ? e.analyses.lookupOf(access) : 'none';
  const isAligned = !check || ((off | (1 << e.zeroBits(at, base))) & (size - 1)) === 0;
  const stays = off === 0 || hasMargins(e.arena) || !check;
  if (mode === 'passed' || (stays && isAligned && lookup === 'none')) {
    pushAddress(e, access);
    emission.fast(e, at, 0);
    return;
  }
  const out = e.exits.failedCheck(e.frame.index, at, lookup !== 'none');
  if (out !== undefined) {
    const offset = emitChecks(e, access, stays, isAligned, lookup, out, undefined);
    emission.fast(e, at, offset);
    return;
  }
  const done = code.block();
  const slow = code.block();
  const offset = emitChecks(e, access, stays, isAligned, lookup, undefined, slow);
  emission.fast(e, at, offset);
  code.br(done);
  code.end();
  emitSlow(e, access, emission);
  code.end();
}

/**
 * Emits the checks of an access, and pushes its address. Where the condition on the stack says that one failed, it is left for the block
 * number `out` around all code, or for `slow`. @returns the offset that is still to be added.
 */
function emitChecks(
  e: Emitter,
  access: ArenaAccess,
  stays: boolean,
  isAligned: boolean,
  lookup: Lookup,
  out: number | undefined,
  slow: Label | undefined,
): number {
  const { code } = e;
  const { off, size } = access;
  const address = e.scratch;
  if (lookup !== 'none') forgetPageState(e);
  const isNear = !stays && off >= 0 && off <= NEAR;
  if (isNear) {
    e.getLow(access.base);
    code.set(address);
    emitPageBounds(e, address, off, off + size);
    leave(e, out, slow);
  } else {
    if (!stays) {
      emitLeavesWindow(e, access);
      leave(e, out, slow);
    }
    pushAddress(e, access);
    code.set(address);
    if (!isAligned) {
      if (e.exits.isFast) {
        code.get(address);
        code.i32(size - 1);
        code.op(OP.i32_and);
      } else {
        // Careful code does not learn that a pointer is aligned, and is where programs are whose data is not.
        emitPageBounds(e, address, 0, size);
      }
      leave(e, out, slow);
    }
  }
  if (lookup !== 'none') {
    emitLookup(e, address, lookup);
    leave(e, out, slow);
  }
  code.get(address);
  return isNear ? off : 0;
}

function leave({ code }: Emitter, out: number | undefined, slow: Label | undefined): void {
  if (out !== undefined) code.brIfOut(out);
  else if (slow !== undefined) code.brIf(slow, false);
}

/** Pushes whether base plus offset lies outside the window. */
function emitLeavesWindow(e: Emitter, { base, off, size }: ArenaAccess): void {
  e.getLow(base);
  if (off < 0) {
    e.code.i32(-off);
    e.code.op(OP.i32_lt_u);
  } else {
    e.code.i32(WINDOW - off - size);
    e.code.op(OP.i32_gt_u);
  }
}

/** Leaves for the careful version where not all accesses of a group may go ahead. */
export function emitGroupCheck(e: Emitter, group: Group): void {
  const { code } = e;
  const { first, members, from, to } = group;
  const lookup = e.analyses.lookupOfAll(members);
  const stays = e.analyses.staysInPage(e.frame.plan, group);
  const isPair = !stays && lookup !== 'none' && hasMargins(e.arena);
  const out = e.exits.failedCheck(e.frame.index, first.at, lookup !== 'none' && !isPair);
  if (out === undefined) throw new TypeError('a version that nothing leads away from checks no groups');
  const base = e.scratch;
  pushAddress(e, { ...first, off: 0 });
  code.set(base);
  if (isPair) {
    emitPairLookup(e, base, group, lookup, out);
    return;
  }
  if (lookup !== 'none') forgetPageState(e);
  if (!stays) {
    emitPageBounds(e, base, from, to);
    code.brIfOut(out);
  }
  if (lookup === 'none') return;
  emitLookup(e, base, lookup);
  code.brIfOut(out);
}

/** The access behind the full check. */
function emitSlow(e: Emitter, access: ArenaAccess, emission: Emission): void {
  const { code } = e;
  e.getLow(access.base);
  code.i32(access.off);
  code.i32(access.size);
  code.i32(ACCESS_KIND[access.kind]);
  code.i32(access.at);
  code.call(e.callees.check());
  code.if();
  pushAddress(e, access);
  emission.fast(e, access.at, 0);
  code.else();
  emission.absent(e, access.at);
  code.end();
}

/** Pushes base plus offset, modulo 2^32. */
function pushAddress(e: Emitter, { at, base, off }: ArenaAccess): void {
  const known = e.lowConstant(at, base);
  if (known !== undefined) {
    e.code.i32(known + off);
    return;
  }
  e.getLow(base);
  if (off === 0) return;
  e.code.i32(off);
  e.code.op(OP.i32_add);
}

/** Pushes the base of an access that lies in the base's page. @returns the offset that is still to be added. */
function pushNear(e: Emitter, access: ArenaAccess): number {
  if (access.off < 0 || e.lowConstant(access.at, access.base) !== undefined) {
    pushAddress(e, access);
    return 0;
  }
  e.getLow(access.base);
  return access.off;
}
