import {
  access,
  atomic,
  type Kind,
  memory,
  NUMBERS,
  type Resource,
  stored,
  type Writer,
} from '../generator/writer.ts';

/** Calls of the program's own functions, with none to five arguments, pointers to the caller's stack among them. */

type Argument = 'number' | 'slot' | 'constant' | 'value' | 'arena' | 'ctx' | 'stack';
/** Where a function keeps a pointer to its caller's stack while it does other things. */
const KEPT = '*(u64 *)(r10 - 104)';

function argument(w: Writer): Argument {
  return w.random.pick(['number', 'slot', 'constant', 'stack', 'stack', ...w.has]);
}

/** The lines that put an argument into its register. */
function passed(w: Writer, kind: Argument, register: number): string[] {
  const { random } = w;
  switch (kind) {
    case 'number':
      return [random.chance(70) ? `r${register} = r7` : `w${register} = w7`];
    case 'constant':
      return [`r${register} = ${random.pick(NUMBERS)}`];
    case 'slot':
      return [`r${register} = ${memory('r10', -8 * (2 + random.below(6)), random.pick([8, 8, 4, 1]))}`];
    case 'stack':
      return [`r${register} = r10`, `r${register} += -${8 * (4 + random.below(5))}`];
    default:
      return [`r${register} = r${{ value: 8, arena: 9, ctx: 6 }[kind]}`];
  }
}

/** Accesses the caller's slots through a register that points to fp-32 to fp-64 there. */
function touchCaller(w: Writer, base: string): void {
  const { random } = w;
  w.rule("call: the caller's stack");
  for (let i = 1 + random.below(3); i > 0; i--) {
    const size = random.pick([1, 2, 4, 8]);
    const off = size * random.below(16 / size);
    if (random.chance(20)) atomic(w, "caller's stack", base, 8 * random.below(2));
    else access(w, "caller's stack", base, off, size);
  }
}

function body(w: Writer, kinds: readonly Argument[]): void {
  const { random } = w;
  const at = (kind: Argument) => kinds.lastIndexOf(kind) + 1;
  const moves = (
    [
      ['ctx', 6],
      ['value', 8],
      ['arena', 9],
    ] as const
  ).filter(([kind]) => at(kind) > 0);
  for (const [kind, register] of moves) w.say(`r${register} = r${at(kind)}`);
  const numbers = kinds.flatMap((kind, i) => (['number', 'slot', 'constant'].includes(kind) ? [i + 1] : []));
  const first = numbers.at(random.below(Math.max(1, numbers.length)));
  w.say(first === undefined ? `r7 = ${random.pick(NUMBERS)}` : `r7 = r${first}`);
  w.numbers = new Set([7, ...numbers]);
  const stack = at('stack');
  if (stack > 0) {
    w.say(`${KEPT} = r${stack}`, `r1 = r${stack}`);
    w.forget(1);
    touchCaller(w, 'r1');
  }
  w.statements(random.below(4), 1);
  if (stack > 0 && random.chance(60)) {
    w.say(`r1 = ${KEPT}`);
    w.forget(1);
    touchCaller(w, 'r1');
  }
  w.say(random.chance(70) ? `r0 = r${w.number()}` : `r0 = ${random.pick(NUMBERS)}`, 'exit');
}

function call(w: Writer): void {
  if (w.nesting === 0) return;
  const { random } = w;
  const name = w.label('sub');
  const kinds = Array.from({ length: random.below(6) }, () => argument(w));
  w.rule(`call with ${kinds.length} arguments`);
  const lines = [...kinds.flatMap((kind, i) => passed(w, kind, i + 1)), `call ${name}`];
  w.say(...lines);
  const has = kinds.filter((kind): kind is Resource & Argument => ['ctx', 'value', 'arena'].includes(kind));
  const parameters = kinds.map((_, i) => `u64 ${'abcde'[i]}`).join(', ');
  w.func(`static ${name} : u64 (${parameters || 'void'})`, has, () => body(w, kinds));
  w.called();
  // The same function from another place.
  if (random.chance(40)) {
    w.rule('call: called again');
    if (random.chance(70)) w.say(`r7 ${random.pick(['+=', '^='])} r0`);
    w.say(...lines);
  }
  if (random.chance(30)) w.say(`${memory('r10', -24, 8)} = ${stored(0, 8)}`);
}

export const CALL_ENGINE_KINDS: readonly Kind[] = [{ weight: 9, write: call }];
