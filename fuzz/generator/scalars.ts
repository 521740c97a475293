import { type Kind, NUMBERS, type Writer } from './writer.ts';

/** Arithmetic, moves and branches on numbers. */

const SIGNS = ['==', '!=', '>', '>=', '<', '<=', 's>', 's>=', 's<', 's<=', '&'] as const;
const OPERATORS = [
  '+=',
  '-=',
  '*=',
  '&=',
  '|=',
  '^=',
  '<<=',
  '>>=',
  's>>=',
  '/=',
  '%=',
  's/=',
  's%=',
] as const;

function arithmetic(w: Writer): void {
  const { random } = w;
  const wide = random.chance(60) ? 'r' : 'w';
  const op = random.pick(OPERATORS);
  w.rule(`alu${wide === 'r' ? 64 : 32} ${op}`);
  const dst = w.number();
  if (random.chance(45)) {
    w.say(`${wide}${dst} ${op} ${wide}${w.number()}`);
    return;
  }
  const shift = op.includes('<<') || op.includes('>>');
  const zero = op.includes('/') || op.includes('%');
  const limit = wide === 'r' ? 64 : 32;
  const imm = shift ? random.below(w.mistake(2) ? limit + 4 : limit) : random.pick(NUMBERS);
  w.say(`${wide}${dst} ${op} ${zero && imm === 0 && !w.mistake(5) ? 3 : imm}`);
}

/** Known to be small and positive or negative, so that what follows has ranges to work with. */
function bounded(w: Writer): void {
  const { random } = w;
  const n = w.number();
  w.rule('narrowed number');
  w.say(
    random.pick([
      `r${n} &= ${random.pick([1, 7, 8, 31, 255, 0xffff, 0xff0])}`,
      `w${n} &= ${random.pick([1, 7, 8, 31, 255, 0xffff, 0xff0])}`,
      `w${n} >>= ${random.pick([16, 24, 28, 31])}`,
      `r${n} s>>= ${random.pick([32, 56, 60, 63])}`,
      `r${n} %= ${random.pick([3, 8, 48])}`,
      `r${n} = (s8)r${n}`,
    ]),
  );
}

function unary(w: Writer): void {
  const { random } = w;
  const n = w.number();
  const kind = random.pick(['-', 'be16', 'be32', 'le16', 'bswap64']);
  w.rule(kind === '-' ? 'negation' : 'byte order');
  if (kind === '-') w.say(random.chance(60) ? `r${n} = -r${n}` : `w${n} = -w${n}`);
  else w.say(`r${n} = ${kind} r${n}`);
}

function move(w: Writer): void {
  const { random } = w;
  const dst = w.target();
  const src = w.number();
  const [rule, text] = random.pick([
    ['mov64', `r${dst} = r${src}`],
    ['mov64', `r${dst} = r${src}`],
    ['mov32', `w${dst} = w${src}`],
    ['mov64 constant', `r${dst} = ${random.pick(NUMBERS)}`],
    ['mov32 constant', `w${dst} = ${random.pick(NUMBERS)}`],
    ['mov64 s8', `r${dst} = (s8)r${src}`],
    ['mov64 s16', `r${dst} = (s16)r${src}`],
    ['mov64 s32', `r${dst} = (s32)r${src}`],
    ['mov32 s8', `w${dst} = (s8)w${src}`],
    ['mov32 s16', `w${dst} = (s16)w${src}`],
    [
      'ld_imm64',
      `r${dst} = ${random.pick(['0x123456789', '0xffffffff', '0x8000000000000000', '0x100000000'])} ll`,
    ],
  ] as const);
  w.rule(rule);
  w.say(text);
  w.numbers.add(dst);
}

export function comparison(w: Writer): string {
  const { random } = w;
  const wide = random.chance(60) ? 'r' : 'w';
  const sign = random.pick(SIGNS);
  w.rule(`jump${wide === 'r' ? 64 : 32} ${sign}`);
  const right = random.chance(60) ? `${random.pick(NUMBERS)}` : `${wide}${w.number()}`;
  return `${wide}${w.number()} ${sign} ${right}`;
}

function branch(w: Writer, depth: number): void {
  const { random } = w;
  const end = w.label();
  w.say(`if ${comparison(w)} goto ${end}`);
  w.maybe(() => {
    if (depth > 0) w.statements(1 + random.below(3), depth - 1);
    else move(w);
  });
  w.say(`${end}:`);
}

/** Two ways that meet again: what differs there decides whether the second is followed. */
function diamond(w: Writer, depth: number): void {
  const { random } = w;
  const other = w.label();
  const end = w.label();
  w.rule('diamond');
  w.say(`if ${comparison(w)} goto ${other}`);
  w.maybe(() => w.statements(1, Math.max(0, depth - 1)));
  w.say(`goto ${end}`, `${other}:`);
  w.maybe(() => w.statements(random.below(2), Math.max(0, depth - 1)));
  w.say(`${end}:`);
}

/** Pointers are compared: with NULL, with numbers, with each other. */
export function comparePointers(w: Writer): void {
  const { random } = w;
  const end = w.label();
  const pointers = [
    10,
    ...(w.has.has('value') ? [8] : []),
    ...(w.has.has('arena') ? [9] : []),
    ...(w.has.has('ctx') ? [6] : []),
  ];
  const left = random.pick(pointers);
  const wide = random.chance(85) ? 'r' : 'w';
  const right = random.pick(['0', '0', `${wide}${w.number()}`, `${wide}${random.pick(pointers)}`, '5']);
  w.rule(`pointer compared${right === '0' ? ' with 0' : ''}`);
  w.say(`if ${wide}${left} ${random.pick(['==', '!=', '>', 's<'])} ${right} goto ${end}`);
  w.maybe(() => w.statement(0));
  w.say(`${end}:`);
}

export const SCALAR_KINDS: readonly Kind[] = [
  { weight: 12, write: arithmetic },
  { weight: 5, write: bounded },
  { weight: 2, write: unary },
  { weight: 8, write: move },
  { weight: 12, write: branch },
  { weight: 5, write: diamond },
  { weight: 2, write: comparePointers },
];
