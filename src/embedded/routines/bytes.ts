import {
  add,
  block,
  br,
  brIf,
  copyMemory,
  type Expression,
  eq,
  eq64,
  get,
  i32,
  type Local,
  load8,
  load16,
  load32,
  load64,
  loop,
  ltU,
  seq,
  set,
  store8,
  store16,
  store32,
  store64,
  when,
} from '../../jit/encode/expressions.ts';

/** Runs of bytes in routines: what is short and of a known size is written out, as a compiler would. */

/** Bytes that are copied in place; more are left to memory.copy, which is a call. */
const IN_PLACE = 128;

/** The pieces of a run of bytes, the largest first: offset and size of each. */
function pieces(size: number): { at: number; size: 8 | 4 | 2 | 1 }[] {
  const found: { at: number; size: 8 | 4 | 2 | 1 }[] = [];
  let at = 0;
  for (const piece of [8, 4, 2, 1] as const)
    for (; at + piece <= size; at += piece) found.push({ at, size: piece });
  return found;
}

const LOAD = { 8: load64, 4: load32, 2: load16, 1: load8 } as const;
const STORE = { 8: store64, 4: store32, 2: store16, 1: store8 } as const;

/** Copies `size` bytes, a constant. Offsets are added to the addresses. */
export function copyBytes(to: Expression, toOff: number, from: Expression, size: number): Expression {
  if (size > IN_PLACE) return copyMemory(add(to, i32(toOff)), from, i32(size));
  return seq(
    ...pieces(size).map(({ at, size: piece }) => STORE[piece](to, LOAD[piece](from, at), toOff + at)),
  );
}

/** Does something where `size` bytes at two addresses are the same. */
export function whenSame(
  a: Expression,
  b: Expression,
  bOff: number,
  size: number,
  then: Expression,
): Expression {
  return pieces(size).reduceRight((inner, { at, size: piece }) => {
    const same = piece === 8 ? eq64 : eq;
    return when(same(LOAD[piece](a, at), LOAD[piece](b, bOff + at)), inner);
  }, then);
}

/** Up to here a loop over words beats memory.copy. */
const LOOP_BYTES = 256;

/**
 * Copies a number of bytes that is in a local, and whose place has room up to a multiple of 8.
 * @param at a local that it uses. @param to a local too. @param from another.
 */
export function copySized(to: Local, toOff: number, from: Local, size: Local, at: Local): Expression {
  const target = () => add(get(to), get(at));
  const source = () => add(get(from), get(at));
  const rest = block((end) =>
    loop((again) =>
      seq(
        brIf(end, ltU(get(size), add(get(at), i32(8)))),
        store64(target(), load64(source()), toOff),
        set(at, add(get(at), i32(8))),
        br(again),
      ),
    ),
  );
  const tail = block((end) =>
    loop((again) =>
      seq(
        brIf(end, eq(get(at), get(size))),
        store8(target(), load8(source()), toOff),
        set(at, add(get(at), i32(1))),
        br(again),
      ),
    ),
  );
  return when(
    ltU(get(size), i32(LOOP_BYTES)),
    seq(set(at, i32(0)), rest, tail),
    copyMemory(add(get(to), i32(toOff)), get(from), get(size)),
  );
}
