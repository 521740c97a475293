import { access, atomic, type Kind, memory, type Writer } from '../generator/writer.ts';

/** Data sections, array maps, and stack slots of mixed sizes. */

const SECTIONS = {
  '.data': { name: 'in_data', text: '.var in_data : u64[4] = 0x123456789abcdef, 2, -1, 4' },
  '.bss': { name: 'in_bss', text: '.var in_bss : u64[4]' },
  '.rodata': { name: 'in_rodata', text: '.var in_rodata : u64[4] = 0xfedcba9876543210, 5, 7, 11' },
  '.addr_space.1': { name: 'in_arena', text: '.var in_arena : u64[4] = 1, 2, 3, 4' },
} as const;

function global(w: Writer): void {
  const { random } = w;
  const section = random.pick(['.data', '.bss', '.rodata', '.addr_space.1'] as const);
  const { name, text } = SECTIONS[section];
  w.declare(`.section ${section}\n${text}`);
  w.rule(`global in ${section}`);
  const offset = 8 * random.below(4);
  w.say(`r1 = ${name}${offset > 0 && section !== '.addr_space.1' ? ` + ${offset}` : ''} ll`);
  if (section === '.addr_space.1') w.say('r1 = addr_space_cast(r1, 0, 1)');
  w.forget(1);
  const what = section === '.addr_space.1' ? 'arena global' : `global in ${section}`;
  const room = section === '.addr_space.1' ? 32 : 32 - offset;
  for (let i = 1 + random.below(3); i > 0; i--) {
    const size = random.pick([1, 2, 4, 8]);
    const off = size * random.below(room / size);
    if (section === '.rodata') {
      const dst = w.target();
      w.say(`r${dst} = ${memory('r1', off, size, size < 8 && random.chance(30) ? 's' : 'u')}`);
      w.numbers.add(dst);
    } else if (random.chance(20)) atomic(w, what, 'r1', off - (off % 8));
    else access(w, what, 'r1', off, size);
  }
}

/** An element is looked up, by a key that may lie outside. */
function lookup(w: Writer): void {
  const { random } = w;
  const [valueSize, entries] = random.pick([
    [16, 5],
    [4, 1],
    [24, 8],
    [64, 3],
  ] as const);
  const name = `table${valueSize}`;
  w.declare(`.map ${name}, type=array, key_size=4, value_size=${valueSize}, max_entries=${entries}`);
  w.rule('lookup in an array');
  const skip = w.label();
  const key = random.pick([-8, -4, -24]);
  const kind = random.below(4);
  if (kind === 0) w.say(`${memory('r10', key, 4)} = ${random.pick([0, 1, entries - 1, entries, -1])}`);
  else if (kind === 1) w.say(`${memory('r10', key, 4)} = w${w.number()}`);
  else {
    w.say(`r1 = r${w.number()}`, `r1 ${random.chance(50) ? '&=' : '%='} ${random.pick([3, 7, 4])}`);
    w.say(`${memory('r10', key, 4)} = r1`);
  }
  w.say('r2 = r10', `r2 += ${key}`, `r1 = ${name} ll`, 'call 1');
  w.called();
  w.numbers.delete(0);
  w.say(`if r0 == 0 goto ${skip}`, 'r1 = r0');
  w.maybe(() => {
    for (let i = 1 + random.below(3); i > 0; i--) {
      const size = random.pick([1, 2, 4]);
      if (valueSize >= 8 && random.chance(20))
        atomic(w, 'array value', 'r1', 8 * random.below(valueSize / 8));
      else access(w, 'array value', 'r1', random.below(valueSize - size + 1), size);
    }
  });
  w.say(`${skip}:`, 'r0 = 0');
  w.numbers.add(0);
}

/** A place in a map value or on the stack that is known only when the program runs. */
function indexed(w: Writer): void {
  const { random } = w;
  const size = random.pick([1, 2, 4, 8]);
  const onStack = !w.has.has('value') || random.chance(40);
  w.rule(`index into ${onStack ? 'the stack' : 'a map value'}`);
  w.say(`r4 = r${w.number()}`, `r4 &= ${(onStack ? 24 : 31) & -size}`);
  if (!onStack && random.chance(30)) w.say('r1 = r4', 'r1 += r8');
  else w.say(`r1 = r${onStack ? 10 : 8}`, ...(onStack ? ['r1 += -64'] : []), 'r1 += r4');
  w.forget(1, 4);
  const what = onStack ? 'stack, variable' : 'map value, variable';
  for (let i = 1 + random.below(3); i > 0; i--) access(w, what, 'r1', size * random.below(2), size);
}

/** Loads and stores of all sizes over two slots. */
function overlap(w: Writer): void {
  const { random } = w;
  const bottom = -8 * (3 + random.below(5));
  w.rule('stack: sizes that overlap');
  for (let i = 3 + random.below(5); i > 0; i--) {
    const size = random.pick([1, 2, 4, 8]);
    access(w, 'stack', 'r10', bottom + size * random.below(16 / size), size);
  }
}

/** A slot keeps a number over a loop, and is read in another size behind it. */
function carried(w: Writer): void {
  const { random } = w;
  const slot = -8 * (2 + random.below(6));
  const top = w.label();
  const size = random.pick([4, 8]);
  w.rule('stack: number carried through a loop');
  w.say('r5 = 0', `${top}:`, `r4 = ${memory('r10', slot, size)}`);
  w.say(`r4 ${random.pick(['+=', '*=', '^=', '<<='])} ${random.pick([3, 5, 9])}`);
  w.say(`${memory('r10', slot, size)} = r4`, 'r5 += 1', `if r5 != ${2 + random.below(6)} goto ${top}`);
  w.say(`r4 = ${memory('r10', slot + random.pick([0, 2, 4]), random.pick([1, 2]))}`);
  w.numbers.add(4).add(5);
}

export const DATA_KINDS: readonly Kind[] = [
  { weight: 6, write: global },
  { weight: 5, write: lookup },
  { weight: 6, write: overlap },
  { weight: 6, write: indexed },
  { weight: 3, write: carried },
];
