import { comparison } from '../generator/scalars.ts';
import { type Kind, NUMBERS, type Writer } from '../generator/writer.ts';
import type { EngineWriter } from './writer.ts';

/** Control flow that does not nest: loops with several ways in, blocks that jump to each other, many ways out of one place. */

/** Fuel for loops of unknown paths: each round may double them. */
const ROUNDS = 3;
const FUEL = '*(u64 *)(r10 - 112)';

/** Burns one round of fuel, and leaves when it is used up. */
function burn(w: Writer, end: string): void {
  if (w.random.chance(40)) {
    w.say(`may_goto ${end}`);
    return;
  }
  w.say(`r1 = ${FUEL}`, 'r1 += -1', `${FUEL} = r1`, `if r1 s< 1 goto ${end}`);
  w.forget(1);
}

/** A loop that is entered at its top or in its middle. */
function intoLoop(w: Writer, depth: number): void {
  if (depth === 0 || !(w as EngineWriter).mayLoop()) return;
  const [top, middle, end] = [w.label(), w.label(), w.label()];
  w.rule('goto into a loop');
  w.forget(0, 1, 2, 3, 4, 5);
  w.say(`${FUEL} = ${ROUNDS}`, `if ${comparison(w)} goto ${middle}`);
  w.maybe(() => {
    w.say(`${top}:`);
    w.statements(1, depth - 1);
    w.say(`${middle}:`);
  });
  w.maybe(() => {
    w.statements(1, depth - 1);
    burn(w, end);
    w.say(w.random.chance(40) ? `if ${comparison(w)} goto ${middle}` : `r0 = 0`);
    w.numbers.add(0);
  });
  w.say(`goto ${top}`, `${end}:`);
  w.forget(0, 1, 2, 3, 4, 5);
}

/** Blocks that jump to each other at will, also backwards. */
function blocks(w: Writer, depth: number): void {
  if (depth === 0 || !(w as EngineWriter).mayLoop()) return;
  const { random } = w;
  const labels = Array.from({ length: 2 + random.below(3) }, () => w.label());
  const end = w.label();
  const any = () => random.pick([...labels, ...labels, end]);
  w.rule('blocks that jump to each other');
  w.forget(0, 1, 2, 3, 4, 5);
  w.say(`${FUEL} = ${ROUNDS + 1}`);
  // Each is reached from here: what cannot be reached is refused.
  for (const label of labels.slice(1)) w.say(`if ${comparison(w)} goto ${label}`);
  for (const label of labels) {
    w.say(`${label}:`);
    burn(w, end);
    if (random.chance(70)) w.maybe(() => w.statement(0));
    w.forget(0, 1, 2, 3, 4, 5);
    if (random.chance(70)) w.say(`if ${comparison(w)} goto ${any()}`);
    if (random.chance(30)) w.say(`goto ${any()}`);
  }
  w.say(`${end}:`);
}

/** One number decides between many ways, which fall through, leave, or end the function. */
function choice(w: Writer, depth: number): void {
  const { random } = w;
  const ways = Array.from({ length: 2 + random.below(4) }, () => w.label());
  const end = w.label();
  const n = w.number();
  w.rule('one of many ways');
  const numbers = new Set(w.numbers);
  ways.forEach((way, i) => {
    w.say(`if r${n} ${random.pick(['==', '==', 's>', '&'])} ${random.pick([...NUMBERS, i])} goto ${way}`);
  });
  if (random.chance(50)) w.say(`goto ${end}`);
  w.maybe(() => {
    for (const [i, way] of ways.entries()) {
      const isLast = i === ways.length - 1;
      w.say(`${way}:`);
      w.numbers = new Set([...numbers].filter((each) => w.numbers.has(each)));
      w.maybe(() => w.statement(Math.max(0, depth - 1)));
      if (random.chance(50)) w.say(`goto ${end}`);
      else if (!isLast && random.chance(15)) w.say(`r0 = ${random.pick(NUMBERS)}`, 'exit');
    }
  });
  w.say(`${end}:`);
}

/** Loops in loops, each with a counter of its own and a way out of all. */
function nest(w: Writer, depth: number): void {
  if (depth < 2 || !(w as EngineWriter).mayLoop()) return;
  const { random } = w;
  const end = w.label();
  const levels = 2 + random.below(3);
  const tops = Array.from({ length: levels }, () => w.label());
  w.rule('deep loops');
  w.forget(0, 1, 2, 3, 4, 5);
  tops.forEach((top, level) => {
    w.say(`*(u64 *)(r10 - ${152 + 8 * level}) = 0`, `${top}:`);
  });
  w.maybe(() => {
    if (random.chance(70)) w.statement(0);
    if (random.chance(50)) w.say(`if ${comparison(w)} goto ${end}`);
  });
  for (let level = levels - 1; level >= 0; level--) {
    const slot = `*(u64 *)(r10 - ${152 + 8 * level})`;
    w.say(
      `r1 = ${slot}`,
      'r1 += 1',
      `${slot} = r1`,
      `if ${random.pick(['r', 'w'])}1 < 2 goto ${tops[level]}`,
    );
  }
  w.say(`${end}:`);
  w.forget(0, 1, 2, 3, 4, 5);
}

export const FLOW_KINDS: readonly Kind[] = [
  { weight: 5, write: intoLoop },
  { weight: 5, write: blocks },
  { weight: 4, write: choice },
  { weight: 2, write: nest },
];
