import { access, atomic, type Kind, memory, NUMBERS, VALUE_SIZE, type Writer } from './writer.ts';

/** Maps: values at fixed and variable offsets, lookups, updates and deletions. */

function value(w: Writer): void {
  const { random } = w;
  const size = random.pick([1, 2, 4, 8]);
  const off = w.mistake(5) ? random.pick([-1, VALUE_SIZE - size + 1]) : random.below(VALUE_SIZE - size + 1);
  access(w, 'map value', 'r8', off, size);
}

/** Ways to bound a number in r1: each right or, with `limit` one too large, slightly wrong. */
function bounds(w: Writer, index: number, limit: number, skip: string): readonly [string, string[]] {
  const { random } = w;
  const wide = random.chance(70) ? 'r' : 'w';
  const copy = `r1 = r${index}`;
  return random.pick([
    ['mask', [copy, `r1 &= ${random.pick([7, 15, 31, 32, 39])}`]],
    ['mask of 32 bits', [copy, `w1 &= ${random.pick([7, 15, 31, 32, 39])}`]],
    ['>', [copy, `if r1 > ${limit} goto ${skip}`]],
    ['s> and s<', [copy, `if r1 s> ${limit} goto ${skip}`, `if r1 s< 0 goto ${skip}`]],
    [
      's>= and s<',
      [copy, `if r1 s>= ${limit} goto ${skip}`, `if r1 s< ${w.mistake(20) ? -1 : 0} goto ${skip}`],
    ],
    ['32 bits', [`w1 = w${index}`, `if ${wide}1 > ${limit} goto ${skip}`]],
    ['32 bits, signed', [`w1 = w${index}`, `if w1 s> ${limit} goto ${skip}`, `if w1 s< 0 goto ${skip}`]],
    ['shift', [copy, `w1 >>= ${random.pick([27, 28, 26])}`]],
    [
      'sign by shifts',
      [copy, 'r1 <<= 32', 'r1 s>>= 32', `if r1 s< 0 goto ${skip}`, `if r1 s> ${limit} goto ${skip}`],
    ],
    ['through a copy', [copy, 'r2 = r1', `if r2 > ${limit} goto ${skip}`]],
    [
      'through a copy of 32 bits',
      [copy, 'w2 = w1', `if w2 > ${limit} goto ${skip}`, `if r1 > 1000 goto ${skip}`],
    ],
    [
      'through a sum',
      [copy, 'r2 = r1', 'r2 += 2', `if r2 > ${limit} goto ${skip}`, `if r1 > 100 goto ${skip}`],
    ],
    [
      'through the stack',
      [copy, '*(u64 *)(r10 - 96) = r1', `if r1 > ${limit} goto ${skip}`, 'r1 = *(u64 *)(r10 - 96)'],
    ],
    [
      'before the stack',
      [copy, `if r1 > ${limit} goto ${skip}`, '*(u32 *)(r10 - 96) = w1', 'r1 = *(u32 *)(r10 - 96)'],
    ],
    ['equality', [copy, `if r1 != ${limit} goto ${skip}`]],
    ['register', [copy, `r2 = ${limit}`, `if r1 > r2 goto ${skip}`]],
    ['modulo', [copy, `r1 %= ${random.pick([40, 8])}`]],
    ['sum of two', [copy, 'r1 &= 15', `r2 = r${index}`, 'r2 &= 16', 'r1 += r2']],
    ['product', [copy, 'r1 &= 7', `r1 *= ${random.pick([4, 5, 8])}`]],
    ['or', [copy, 'r1 &= 8', 'r1 |= 3']],
  ] as const) as readonly [string, string[]];
}

export function boundedValue(w: Writer): void {
  const { random } = w;
  const index = w.number();
  const skip = w.label();
  const size = random.pick([1, 2, 4, 8]);
  const limit = VALUE_SIZE - size + (w.mistake(8) ? 1 : 0) - random.below(3);
  const [rule, lines] = bounds(w, index, limit, skip);
  w.rule(`index bounded by ${rule}`);
  w.maybe(() => {
    w.say(...lines);
    if (random.chance(20)) w.say('r4 = r1', `r4 ${w.mistake(5) ? '-' : '+'}= r8`);
    else w.say('r4 = r8', w.mistake(4) ? 'r4 -= r1' : 'r4 += r1');
    w.forget(1, 2, 4);
    access(w, 'map value, variable', 'r4', 0, size);
  });
  w.say(`${skip}:`);
}

/** A pointer into the value that moves on for good, and comes back. */
function moved(w: Writer): void {
  const by = w.random.pick([4, 8, 16, 44]);
  w.rule('map value: pointer moves');
  w.say(`r8 += ${by}`);
  access(
    w,
    'map value, moved',
    'r8',
    w.random.pick([0, -by, VALUE_SIZE - by - 8, w.mistake(6) ? VALUE_SIZE : 0]),
    1,
  );
  w.say(w.random.chance(50) ? `r8 -= ${by}` : `r8 += -${by}`);
}

/** Puts a key at fp-8. */
function key(w: Writer): void {
  const { random } = w;
  if (random.chance(60)) w.say(`*(u32 *)(r10 - 8) = ${random.pick([0, 1, 3, 4, 9])}`);
  else w.say(`*(u32 *)(r10 - 8) = w${w.number()}`);
  w.say('r2 = r10', `r2 += ${w.mistake(3) ? -2 : -8}`);
  w.forget(2);
}

const OTHER_MAPS: Readonly<Record<string, string>> = {
  array: 'type=array, key_size=4, value_size=16, max_entries=4',
  hash: 'type=hash, key_size=4, value_size=16, max_entries=4',
  lru: 'type=lru_hash, key_size=4, value_size=16, max_entries=4',
  percpu: 'type=percpu_array, key_size=4, value_size=16, max_entries=4',
  readonly: 'type=array, key_size=4, value_size=16, max_entries=4, map_flags=0x80',
  writeonly: 'type=array, key_size=4, value_size=16, max_entries=4, map_flags=0x100',
};

/** Another map is looked up, and its value used. */
export function lookup(w: Writer): void {
  const { random } = w;
  const kind = random.pick(['array', 'array', 'hash', 'hash', 'lru', 'percpu', 'readonly', 'writeonly']);
  w.declare(`.map ${kind}, ${OTHER_MAPS[kind]}`);
  w.rule(`lookup in ${kind}`);
  const skip = w.label();
  key(w);
  w.say(`r1 = ${kind} ll`, 'call 1');
  w.called();
  w.numbers.delete(0);
  const copy = random.chance(30);
  if (copy) w.say('r5 = r0');
  if (!w.mistake(5)) w.say(`if r0 == 0 goto ${skip}`);
  const base = copy ? 'r5' : 'r0';
  const size = random.pick([1, 4, 8]);
  const stores =
    kind === 'writeonly' ? !w.mistake(30) : kind === 'readonly' ? w.mistake(30) : random.chance(50);
  w.maybe(() => {
    const off = w.mistake(4) ? 16 : random.below(17 - size);
    if (stores) w.say(`${memory(base, off, size)} = ${random.pick(NUMBERS)}`);
    else {
      w.say(`r3 = ${memory(base, off, size)}`);
      w.numbers.add(3);
    }
  });
  w.say(`${skip}:`, 'r0 = 0');
  w.numbers.add(0);
}

function change(w: Writer): void {
  const { random } = w;
  const deletes = random.chance(30);
  w.rule(deletes ? 'map_delete_elem' : 'map_update_elem');
  key(w);
  w.say('r1 = values ll');
  if (!deletes) {
    const from = random.pick(['value', 'value', 'stack', 'number'] as const);
    if (from === 'value' && w.has.has('value')) w.say('r3 = r8');
    else if (from === 'number' && w.mistake(20)) w.say(`r3 = r${w.number()}`);
    else {
      w.rule('map_update_elem from the stack');
      w.say('r3 = r10', `r3 += ${w.mistake(6) ? -40 : -64}`);
    }
    w.say(`r4 = ${random.pick([0, 0, 1, 2])}`);
  }
  w.say(`call ${deletes ? 3 : 2}`);
  w.called();
}

export const MAP_KINDS: readonly Kind[] = [
  { weight: 6, needs: ['value'], write: value },
  { weight: 10, needs: ['value'], write: boundedValue },
  { weight: 3, needs: ['value'], write: moved },
  {
    weight: 3,
    needs: ['value'],
    write: (w) => atomic(w, 'map value', 'r8', w.mistake(5) ? 44 : 8 * w.random.below(5)),
  },
  { weight: 4, write: lookup },
  { weight: 4, write: change },
];
