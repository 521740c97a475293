import { comparison } from './scalars.ts';
import type { Kind, Writer } from './writer.ts';

/** Loops: bounded by a number, by `may_goto`, by what is loaded; nested, and endless. */

function mayGoto(w: Writer, depth: number): void {
  if (depth === 0) return;
  const top = w.label();
  const end = w.label();
  w.rule(depth > 1 ? 'may_goto' : 'may_goto, nested');
  w.say(`${top}:`, `may_goto ${end}`);
  w.maybe(() => {
    w.statements(1 + w.random.below(2), depth - 1);
    if (w.random.chance(30)) w.say(`if ${comparison(w)} goto ${end}`);
  });
  w.say(`goto ${top}`, `${end}:`);
}

/** A counter in a slot of its own counts up, or down. */
function counted(w: Writer, depth: number): void {
  if (depth === 0) return;
  const { random } = w;
  const top = w.label();
  const slot = `*(u64 *)(r10 - ${depth > 1 ? 128 : 136})`;
  // Each round may double the paths: more rounds would take both verifiers to their limits, and seconds.
  const count = random.pick(depth > 1 ? [2, 3, 6] : [2, 3]);
  const down = random.chance(25);
  w.rule(`${depth > 1 ? 'loop' : 'nested loop'} that counts ${down ? 'down' : 'up'}`);
  w.say(`${slot} = ${down ? count : 0}`, `${top}:`);
  w.maybe(() => w.statements(1, depth - 1));
  w.say(`r0 = ${slot}`, `r0 ${down ? '-=' : '+='} ${w.mistake(1) ? 0 : 1}`, `${slot} = r0`);
  w.say(
    down
      ? `if r0 ${random.pick(['!=', '>', 's>'])} 0 goto ${top}`
      : `if r0 ${random.pick(['<', 's<', '!='])} ${count} goto ${top}`,
  );
  w.numbers.add(0);
}

/** In a register, so that each round is known without the stack. */
function inRegister(w: Writer): void {
  const { random } = w;
  const top = w.label();
  w.rule('loop in a register');
  w.say(
    'r5 = 0',
    `${top}:`,
    `r${random.pick([0, 7])} = 5`,
    'r5 += 1',
    `if ${random.chance(60) ? 'r' : 'w'}5 < ${random.pick([4, 16, 40])} goto ${top}`,
  );
  w.numbers.add(5);
}

/** How often is not known: such a loop ends only when its states do. */
function unknown(w: Writer): void {
  const { random } = w;
  const top = w.label();
  const end = w.label();
  w.rule('loop of unknown rounds');
  const n = w.number();
  w.say(
    `r5 = r${n}`,
    `r5 &= ${random.pick([3, 15, w.mistake(10) ? 127 : 7])}`,
    `${top}:`,
    `if r5 == 0 goto ${end}`,
    'r5 -= 1',
    `goto ${top}`,
    `${end}:`,
  );
  w.forget(5);
  w.numbers.add(5);
}

/** Nothing changes in it. */
function endless(w: Writer): void {
  if (!w.mistake(30)) return;
  const top = w.label();
  w.rule('endless loop');
  // Two registers would be compared a million times: each round learns something.
  w.say(`${top}:`, `if r${w.number()} ${w.random.pick(['==', '!=', '&'])} 5 goto ${top}`);
}

export const LOOP_KINDS: readonly Kind[] = [
  { weight: 4, write: mayGoto },
  { weight: 5, write: counted },
  { weight: 2, write: inRegister },
  { weight: 2, write: unknown },
  { weight: 1, write: endless },
];
