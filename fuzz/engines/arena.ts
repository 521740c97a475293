import { callKfunc } from '../generator/arena.ts';
import { comparison } from '../generator/scalars.ts';
import { access, atomic, type Kind, memory, NUMBERS, stored, type Writer } from '../generator/writer.ts';
import type { EngineWriter } from './writer.ts';

/**
 * The arena where engines have most to lose: several accesses through one pointer, whose checks an engine may put together,
 * at the edges of pages, of the arena and of the 4 GiB window, while pages come and go between them.
 */

const WINDOW = 2 ** 32;

/** An arena address worth pointing at. */
function place(w: Writer): number {
  const { random } = w;
  const { arenaStart, arenaPages } = w as EngineWriter;
  const page = arenaStart + 4096 * random.below(arenaPages);
  const end = arenaStart + 4096 * arenaPages;
  const near = random.below(16);
  const address = random.pick([
    page + near,
    page + 8 * near,
    page + 2048,
    page + 4096 - near,
    page + 4096 - 4 * near,
    arenaStart - near,
    end - near,
    end + near,
    near,
    WINDOW - 1 - near,
    WINDOW - 8,
  ]);
  return (address + WINDOW) % WINDOW;
}

/** r9 points there, or somewhere behind that is known only when the program runs. */
function anchor(w: Writer): void {
  const { random } = w;
  w.rule('arena: pointer set');
  const high = random.pick([0, 0, 0x7000]);
  w.say(`r9 = 0x${(BigInt(high) * BigInt(WINDOW) + BigInt(place(w))).toString(16)} ll`);
  if (random.chance(35)) {
    w.say(`r1 = r${w.number()}`, `r1 &= ${random.pick([3, 7, 8, 31, 4095, 4096, 0x3fff])}`, 'r9 += r1');
    w.forget(1);
  }
  w.say('r9 = addr_space_cast(r9, 0, 1)');
}

function freeOrTake(w: Writer): void {
  const { random } = w;
  const name = random.pick([
    'bpf_arena_free_pages',
    'bpf_arena_alloc_pages',
    'bpf_arena_reserve_pages',
  ] as const);
  const { arenaStart } = w as EngineWriter;
  const page = arenaStart + 4096 * random.below((w as EngineWriter).arenaPages);
  w.say(
    'r1 = arena ll',
    random.chance(60) ? 'r2 = r9' : `r2 = 0x7000${page.toString(16).padStart(8, '0')} ll`,
  );
  if (name === 'bpf_arena_alloc_pages' && random.chance(60)) w.say('r2 = 0');
  w.say(`r3 = ${random.pick([1, 1, 1, 2, 3, 0])}`);
  if (name === 'bpf_arena_alloc_pages') w.say('r4 = -1', 'r5 = 0');
  callKfunc(w, name);
  if (name === 'bpf_arena_free_pages') w.numbers.delete(0);
  if (name === 'bpf_arena_alloc_pages' && random.chance(60)) w.say('r9 = addr_space_cast(r0, 0, 1)');
}

/** One load or store of a group. */
function part(w: Writer, base: string, off: number): void {
  const { random } = w;
  const size = random.pick([1, 2, 4, 8, 8]);
  if (random.chance(15)) atomic(w, 'arena group', base, off);
  else if (random.chance(50)) access(w, 'arena group', base, off, size);
  else {
    w.rule('arena group: store');
    const value = random.chance(70) ? stored(w.number(), size) : random.pick(NUMBERS);
    w.say(`${memory(base, off, size)} = ${value}`);
  }
}

/** What may come between two accesses of a group. @returns the base to go on with. */
function between(w: Writer, base: string, depth: number): string {
  const { random } = w;
  switch (random.below(7)) {
    case 0:
    case 1:
      w.rule('arena group: pages change');
      freeOrTake(w);
      return 'r9';
    case 2:
      w.rule('arena group: pointer moves');
      w.say(`${base} += ${random.pick([1, 4, 8, -8, 16, 4096, -4096])}`);
      return base;
    case 3: {
      w.rule('arena group: branch');
      const end = w.label();
      w.say(`if ${comparison(w)} goto ${end}`);
      w.maybe(() => part(w, base, random.below(24) - 8));
      w.say(`${end}:`);
      return base;
    }
    case 4:
      w.rule('arena group: helper');
      w.say('call 14');
      w.called();
      return 'r9';
    case 5:
      w.rule('arena group: to user and back');
      w.say('r1 = addr_space_cast(r9, 1, 0)', 'r1 = addr_space_cast(r1, 0, 1)');
      w.forget(1);
      return 'r1';
    default:
      if (depth > 0) w.statement(0);
      return 'r9';
  }
}

function group(w: Writer, depth: number): void {
  const { random } = w;
  if (random.chance(65)) anchor(w);
  let base = 'r9';
  if (random.chance(30)) {
    w.say('r1 = r9');
    w.forget(1);
    base = 'r1';
  }
  const middle = random.pick([0, 0, 0, 8, -8, -24, 4080, -4096, 32_744, -32_744]);
  for (let i = 2 + random.below(6); i > 0; i--) {
    part(w, base, middle + random.below(41) - 20);
    if (random.chance(18)) base = between(w, base, depth);
  }
}

/** A loop walks over bytes of a page, and further. */
function walk(w: Writer): void {
  if (!(w as EngineWriter).mayLoop()) return;
  const { random } = w;
  const [top, end] = [w.label(), w.label()];
  const size = random.pick([1, 2, 4, 8]);
  w.rule('arena: loop over memory');
  anchor(w);
  w.say('r5 = 0', `r4 = r${w.number() === 5 ? 7 : w.number()}`, `${top}:`);
  if (random.chance(50)) w.say(`may_goto ${end}`);
  w.say(`r3 = ${memory('r9', 0, size)}`, 'r4 += r3', `${memory('r9', size, size)} = ${stored(4, size)}`);
  w.say(
    `r9 += ${random.pick([size, size, 1, 2000])}`,
    'r5 += 1',
    `if r5 < ${4 + random.below(12)} goto ${top}`,
  );
  w.say(`${end}:`);
  w.forget(3);
  w.numbers.add(4).add(5);
}

/** One access alone, a byte inside or outside of the window, the arena, or a page: an edge that is off by one shows there. */
function edge(w: Writer): void {
  const { random } = w;
  const { arenaStart, arenaPages } = w as EngineWriter;
  const end = arenaStart + 4096 * arenaPages;
  const at = random.pick([0, WINDOW, arenaStart, end, arenaStart + 4096]);
  const size = random.pick([1, 1, 2, 4, 8]);
  // From where the last byte is the first one inside, to where the first byte is the first one outside.
  const address = at - size + random.below(size + 1) - random.below(2);
  const off = random.pick([0, 1, -1, 7, -8, 300, -300, 32_767, -32_768]);
  const base = (address - off + 2 * WINDOW) % WINDOW;
  w.rule('arena: one access at an edge');
  w.say(`r4 = r${w.number()}`);
  if (random.chance(50)) w.say('r4 &= 0', `r9 = 0x${base.toString(16)} ll`);
  else {
    // Its alignment is known, and less than the access may want.
    const start = arenaStart + 4096 * random.below(arenaPages);
    w.say(`r4 &= ${random.pick([0xffe, 0xffc, 0xff8, 0x1ffc, 0xfff])}`, `r9 = 0x${start.toString(16)} ll`);
  }
  w.say('r9 += r4', 'r9 = addr_space_cast(r9, 0, 1)');
  w.forget(4);
  if (random.chance(20)) atomic(w, 'arena edge', 'r9', off);
  else access(w, 'arena edge', 'r9', off, size);
  w.say('call 14');
  w.called();
}

/** An address is computed in ways that say something of its alignment and range, and then used. */
function compute(w: Writer): void {
  const { random } = w;
  w.rule('arena: computed address');
  if (random.chance(60)) anchor(w);
  for (let i = 1 + random.below(3); i > 0; i--) {
    const wide = random.chance(75) ? 'r' : 'w';
    const op = random.pick(['+=', '-=', '*=', '&=', '|=', '^=', '<<=', '>>=', 's>>=', '/=', '%=', '-']);
    const isShift = op.endsWith('<<=') || op.endsWith('>>=');
    const imm = isShift
      ? random.below(wide === 'r' ? 64 : 32)
      : random.pick([1, 2, 3, 4, 8, 12, 16, -4, -8, 4092, 4096]);
    if (op === '-') w.say(`${wide}9 = -${wide}9`);
    else w.say(`${wide}9 ${op} ${random.chance(70) ? imm : `${wide}${w.number()}`}`);
    // In 32 bits it became a number.
    if (wide === 'w') w.say('r9 = addr_space_cast(r9, 0, 1)');
  }
  for (let i = 1 + random.below(3); i > 0; i--)
    part(w, 'r9', random.pick([0, 0, 4, -4, 8, -8, 2, 300, -300, 32_760]));
  w.say('call 14');
  w.called();
}

/** A loop does the same to the arena in each round, while its pointer moves, and pages come and go. */
function rounds(w: Writer): void {
  if (!(w as EngineWriter).mayLoop()) return;
  const { random } = w;
  const [top, end] = [w.label(), w.label()];
  const counter = '*(u64 *)(r10 - 120)';
  w.rule('arena: rounds');
  w.forget(0, 1, 2, 3, 4, 5);
  anchor(w);
  w.say(`${counter} = ${2 + random.below(5)}`, `${top}:`);
  if (random.chance(40)) w.say(`may_goto ${end}`);
  const middle = random.pick([0, 0, 8, -16, 4088]);
  for (let i = 1 + random.below(5); i > 0; i--) part(w, 'r9', middle + random.below(33) - 16);
  if (random.chance(30)) {
    const skip = w.label();
    w.say(`if ${comparison(w)} goto ${skip}`);
    w.maybe(() => (random.chance(50) ? freeOrTake(w) : part(w, 'r9', random.below(24))));
    w.say(`${skip}:`);
  }
  w.forget(0, 1, 2, 3, 4, 5);
  if (random.chance(60)) w.say(`r9 += ${random.pick([8, 16, 64, -8, 1, 1360, 4096])}`);
  if (random.chance(20)) freeOrTake(w);
  w.say(`r1 = ${counter}`, 'r1 += -1', `${counter} = r1`, `if r1 != 0 goto ${top}`, `${end}:`);
  w.forget(0, 1, 2, 3, 4, 5);
}

/** A list of user addresses is followed: where it leads nowhere, it reads as its end. */
function chase(w: Writer): void {
  if (!(w as EngineWriter).mayLoop()) return;
  const { random } = w;
  const [top, end] = [w.label(), w.label()];
  w.rule('arena: pointers followed in a loop');
  anchor(w);
  const off = 8 * random.below(4);
  w.say('r1 = addr_space_cast(r9, 1, 0)', `${memory('r9', off, 8)} = r1`, 'r1 = r9', 'r5 = 511');
  w.say(`${top}:`, `may_goto ${end}`, `if r1 == 0 goto ${end}`);
  if (random.chance(50)) w.say(`lock *(u64 *)(r1 + ${random.pick([8, 40, 44, 33])}) += r5`);
  w.say(
    `r1 = ${memory('r1', random.pick([off, off, 8]), 8)}`,
    'r1 = addr_space_cast(r1, 0, 1)',
    `goto ${top}`,
  );
  w.say(`${end}:`);
  w.forget(1);
  w.numbers.add(5);
}

export const ARENA_ENGINE_KINDS: readonly Kind[] = (
  [
    { weight: 6, write: anchor },
    { weight: 14, write: group },
    { weight: 3, write: walk },
    { weight: 5, write: edge },
    { weight: 5, write: compute },
    { weight: 4, write: rounds },
    { weight: 2, write: chase },
    { weight: 3, write: freeOrTake },
  ] satisfies Kind[]
).map((kind) => ({ ...kind, needs: ['arena'] }));
