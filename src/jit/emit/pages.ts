import type { KnownPages } from '../checked-pages.ts';
import { KERNEL_MEMORY } from '../encode/code.ts';
import { MEMORY_OP, OP } from '../encode/opcodes.ts';
import type { Group, Lookup } from '../groups.ts';
import { PAGE_PRESENT, PAGE_WRITTEN } from '../target.ts';
import type { Emitter } from './emitter.ts';

/** What arena accesses ask of pages: whether bytes lie in one, and what the page table, a byte a page in kernel memory, says of it. */

export const PAGE_SHIFT = 12;
export const PAGE_MASK = 4095;
export const PAGE_SIZE = 4096;

/** Entries of the page table for a page and the next one, both of which may be written. */
const BOTH_WRITABLE = (PAGE_PRESENT | PAGE_WRITTEN) * 0x101;

/** Pushes whether some byte from `from` up to `to`, counted from a base, lies in another page than the base. */
export function emitPageBounds(e: Emitter, base: number, from: number, to: number): void {
  const { code } = e;
  // With a byte at or before the base, and one at or behind it, all lie in its page or one of the ends does not.
  const low = Math.min(from, 0);
  const high = Math.max(to, 1);
  code.get(base);
  code.i32(PAGE_MASK);
  code.op(OP.i32_and);
  if (low < 0) {
    code.i32(low);
    code.op(OP.i32_add);
  }
  code.i32(PAGE_SIZE - (high - low));
  code.op(OP.i32_gt_u);
}

/** Pushes whether the page of an address is not as an access wants it. */
export function emitLookup(e: Emitter, address: number, lookup: Lookup): void {
  pushPageState(e, address, 0);
  if (e.exits.isFast) e.code.tee(e.pageState);
  emitIsNot(e, lookup);
}

/** What a check that fails before it has looked the page up hands over: no value that had to be kept for that. */
export function forgetPageState(e: Emitter): void {
  if (!e.exits.isFast) return;
  e.code.i32(0);
  e.code.set(e.pageState);
}

/** Pushes the page table's entry for an address, which is given by a local and a distance from it. */
function pushPageState(e: Emitter, address: number, distance: number): void {
  pushPageIndex(e, address, distance);
  e.code.memory(MEMORY_OP.i32_load8_u, KERNEL_MEMORY, e.arena.pageTable);
}

function pushPageIndex({ code }: Emitter, address: number, distance: number): void {
  code.get(address);
  if (distance !== 0) {
    code.i32(distance);
    code.op(OP.i32_add);
  }
  code.i32(PAGE_SHIFT);
  code.op(OP.i32_shr_u);
}

/** Pushes whether a page table's entry, or what two have in common, is not as an access wants it. */
function emitIsNot(e: Emitter, lookup: Lookup): void {
  const { code } = e;
  if (lookup === 'writable') {
    // By xor where nobody else wants the entry (see Emitter.pageState).
    code.i32(PAGE_PRESENT | PAGE_WRITTEN);
    code.op(e.exits.isFast ? OP.i32_ne : OP.i32_xor);
  } else {
    code.i32(PAGE_PRESENT);
    code.op(OP.i32_and);
    code.op(OP.i32_eqz);
  }
}

/** Pushes whether one of the pages that two addresses lie in may not be written. */
export function pushNotWritable(e: Emitter, first: number, last: number): void {
  pushPageState(e, first, 0);
  pushPageState(e, last, 0);
  e.code.op(OP.i32_and);
  emitIsNot(e, 'writable');
}

/** Branches where some page of which fast code knows that it may be written may not. */
export function emitPagesCheck(e: Emitter, { registers, pages }: KnownPages, leave: () => void): void {
  const { code } = e;
  for (const { base, from, to } of registers) {
    e.getLow(base);
    code.set(e.scratch);
    pushPageState(e, e.scratch, from);
    pushPageState(e, e.scratch, to - 1);
    code.op(OP.i32_and);
    emitIsNot(e, 'writable');
    leave();
  }
  for (const page of pages) {
    code.i32(page);
    code.memory(MEMORY_OP.i32_load8_u, KERNEL_MEMORY, e.arena.pageTable);
    emitIsNot(e, 'writable');
    leave();
  }
}

/**
 * Leaves where a page of a group, which may lie in two, is not as its accesses want it: where the ends are, the rest is. Mostly the
 * next page may be written, too, and one look at both entries does.
 */
export function emitPairLookup(
  e: Emitter,
  base: number,
  { from, to }: Group,
  lookup: Lookup,
  out: number,
): void {
  const { code } = e;
  const last = Math.max(to, 1) - 1;
  if (lookup !== 'writable') {
    pushPageState(e, base, Math.min(from, 0));
    pushPageState(e, base, last);
    code.op(OP.i32_and);
    emitIsNot(e, lookup);
    code.brIfOut(out);
    return;
  }
  pushPageIndex(e, base, Math.min(from, 0));
  code.memory(MEMORY_OP.i32_load16_u, KERNEL_MEMORY, e.arena.pageTable);
  code.tee(e.pageState);
  code.i32(BOTH_WRITABLE);
  code.op(OP.i32_ne);
  code.if();
  code.get(e.pageState);
  pushPageState(e, base, last);
  code.op(OP.i32_and);
  emitIsNot(e, lookup);
  code.brIfOut(out);
  code.end();
}
