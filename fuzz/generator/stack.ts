import { access, atomic, type Kind, memory, NUMBERS, stored, type Writer } from './writer.ts';

/** The stack: numbers of all sizes, spilled registers, variable offsets. */

const numberSlot = (w: Writer) => 8 * (2 + w.random.below(6));

function plain(w: Writer): void {
  const { random } = w;
  const size = random.pick([1, 2, 4, 8]);
  const slot = numberSlot(w);
  const off = w.mistake(3) ? random.below(530) : slot - size * random.below(8 / size);
  if (off % size !== 0) w.rule('stack: misaligned');
  access(w, 'stack', 'r10', -off, size);
}

/** A number is spilled, known better, and filled again: what is learnt of one holds for the other. */
function spillNumber(w: Writer): void {
  const { random } = w;
  const n = w.number();
  const size = random.pick([8, 8, 8, 4, 4, 2, 1]);
  const off = numberSlot(w);
  const end = w.label();
  w.rule(`spilled number of ${size} bytes`);
  if (random.chance(30)) w.say(`${random.chance(50) ? 'r' : 'w'}${n} &= ${random.pick([7, 255, 0xffff])}`);
  w.say(`${memory('r10', -off, size)} = ${stored(n, size)}`);
  if (random.chance(60))
    w.say(
      `if ${random.chance(70) ? 'r' : 'w'}${n} ${random.pick(['>', 's>', '==', '<'])} ${random.pick(NUMBERS)} goto ${end}`,
    );
  const fill = random.chance(75) ? size : random.pick([1, 2, 4, 8]);
  const dst = w.target();
  w.maybe(() => {
    w.say(`r${dst} = ${memory('r10', -off, fill, fill < 8 && random.chance(15) ? 's' : 'u')}`);
    w.numbers.add(dst);
    if (w.has.has('value') && random.chance(60)) indexBy(w, dst);
  });
  w.say(`${end}:`);
}

/** Uses a number as an index, as it is. */
function indexBy(w: Writer, index: number): void {
  const end = w.label();
  w.say(`if r${index} > ${w.random.pick([7, 15, 40])} goto ${end}`, 'r1 = r8', `r1 += r${index}`);
  w.say(`${memory('r1', 0, w.random.pick([1, 1, 8]))} = 0`, `${end}:`);
}

function spillPointer(w: Writer): void {
  const { random } = w;
  const off = 8 * (9 + random.below(2));
  const reg = random.pick([
    ...(w.has.has('ctx') ? [6] : []),
    ...(w.has.has('value') ? [8] : []),
    ...(w.has.has('arena') ? [9] : []),
  ]);
  if (reg === undefined) return;
  w.rule('spilled pointer');
  const size = w.mistake(4) ? 32 : 64;
  w.say(`*(u${size} *)(r10 - ${off}) = ${size === 64 ? 'r' : 'w'}${reg}`);
  if (random.chance(30)) w.maybe(() => w.statement(0));
  if (w.mistake(4)) w.say(`*(u8 *)(r10 - ${off - random.below(8)}) = 1`);
  w.say(`r${reg} = *(u64 *)(r10 - ${off})`);
}

/** A slot is written piece by piece, and read as another size. */
function pieces(w: Writer): void {
  const { random } = w;
  const off = numberSlot(w);
  w.rule('stack: read in pieces');
  if (random.chance(50)) w.say(`*(u64 *)(r10 - ${off}) = ${random.pick(['0', `r${w.number()}`])}`);
  for (let i = random.below(3); i > 0; i--) {
    const size = random.pick([1, 2, 4]);
    const at = off - size * random.below(8 / size);
    w.say(`${memory('r10', -at, size)} = ${random.chance(50) ? 0 : stored(w.number(), size)}`);
  }
  const size = random.pick([1, 2, 4, 8]);
  const dst = w.target();
  w.say(`r${dst} = ${memory('r10', -(off - size * random.below(8 / size)), size)}`);
  w.numbers.add(dst);
}

export function variable(w: Writer): void {
  const { random } = w;
  w.rule('stack: variable offset');
  w.say(`r1 = r${w.number()}`, `r1 &= ${random.pick([7, 8, 24, 16])}`, 'r4 = r10');
  w.say(`r4 += ${random.pick([-48, -64, -32, w.mistake(10) ? -16 : -56])}`, 'r4 += r1');
  w.forget(1, 4);
  access(w, 'stack, variable', 'r4', 0, random.pick([1, 1, 1, 8, 4]));
}

export const STACK_KINDS: readonly Kind[] = [
  { weight: 6, write: plain },
  { weight: 6, write: spillNumber },
  { weight: 4, write: spillPointer },
  { weight: 4, write: pieces },
  { weight: 4, write: variable },
  { weight: 2, write: (w) => atomic(w, 'stack', 'r10', -numberSlot(w)) },
];
