import type { Random } from '../random.ts';

/**
 * Writes the statements of one program. By convention r6 is the context, r8 a map value, r9 an arena pointer, r7 a number,
 * and r0 to r5 are numbers where {@link Writer.numbers} has them. Slots from fp-16 to fp-64 hold numbers, fp-72 and fp-80
 * pointers, those below are for loops and arguments.
 */

export const SECTIONS = ['syscall', 'xdp', 'tc', 'socket', 'cgroup_skb/egress', 'raw_tp/sys_enter'] as const;
export type Section = (typeof SECTIONS)[number];

/** What a function has besides numbers. */
export type Resource = 'ctx' | 'value' | 'arena';

/** One kind of statement, for {@link Writer.statement}. */
export interface Kind {
  /** How often it is chosen, against the others. */
  readonly weight: number;
  readonly needs?: readonly Resource[];
  /** Default all. */
  readonly sections?: readonly Section[];
  readonly write: (writer: Writer, depth: number) => void;
}

export const VALUE_SIZE = 48;

export const NUMBERS = [
  0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 40, 47, 48, 63, 64, 255, -1, -2, -8, 0x7fffffff, -0x80000000,
] as const;

export class Writer {
  readonly random: Random;
  readonly section: Section;
  readonly rules = new Set<string>();
  /** Registers that hold numbers. */
  numbers = new Set<number>();
  has = new Set<Resource>();
  /** Subprograms that may still be nested into each other. */
  nesting = 2;
  readonly #kinds: readonly Kind[];
  #lines: string[] = [];
  readonly #declarations = new Set<string>();
  readonly #functions: string[] = [];
  #labels = 0;

  constructor(random: Random, section: Section, kinds: readonly Kind[]) {
    this.random = random;
    this.section = section;
    this.#kinds = kinds;
  }

  say(...lines: string[]): void {
    this.#lines.push(...lines);
  }

  rule(name: string): void {
    this.rules.add(name);
  }

  /** A line of the object's head: a map, an extern. */
  declare(line: string): void {
    this.#declarations.add(line);
  }

  label(prefix = 'l'): string {
    return `${prefix}${this.#labels++}`;
  }

  /** A mistake is to be made here, in so many of a hundred cases. */
  mistake(percent = 5): boolean {
    return this.random.chance(percent);
  }

  /** A register that holds a number; rarely one that may hold nothing. */
  number(): number {
    if (this.numbers.size === 0) this.numbers.add(7);
    const numbers = [...this.numbers];
    return this.mistake(1) ? this.random.pick([1, 2, 3, 4, 5]) : this.random.pick(numbers);
  }

  /** A register that a number may be put into. */
  target(): number {
    return this.random.pick([0, 2, 3, 4, 5, 7]);
  }

  /** Registers that hold no numbers any more. */
  forget(...registers: number[]): void {
    for (const register of registers) if (register !== 7) this.numbers.delete(register);
  }

  /** A call left r0, and took r1 to r5. */
  called(): void {
    this.forget(1, 2, 3, 4, 5);
    this.numbers.add(0);
  }

  /** What is written inside may be skipped: numbers that it makes are none behind it. */
  maybe(write: () => void): void {
    const before = new Set(this.numbers);
    write();
    this.numbers = this.mistake(2) ? before : new Set([...before].filter((each) => this.numbers.has(each)));
  }

  /** One statement of any kind that fits. @param depth how deep it may nest others. */
  statement(depth: number): void {
    const { section } = this;
    const fits = this.#kinds.filter(
      ({ needs = [], sections }) =>
        needs.every((each) => this.has.has(each)) && (sections === undefined || sections.includes(section)),
    );
    let at = this.random.below(fits.reduce((sum, { weight }) => sum + weight, 0));
    const kind = fits.find(({ weight }) => {
      at -= weight;
      return at < 0;
    });
    kind?.write(this, depth);
  }

  statements(count: number, depth: number): void {
    for (let i = 0; i < count; i++) this.statement(depth);
  }

  /**
   * A function of its own, behind the program. Inside, all writes go to it.
   * @param head its `.func` line without the directive.
   */
  func(head: string, has: readonly Resource[], write: () => void): void {
    const { numbers, has: had } = this;
    const lines = this.#lines;
    this.#lines = ['.section .text', `.func ${head}`];
    this.numbers = new Set();
    this.has = new Set(has);
    this.nesting--;
    write();
    this.nesting++;
    this.#functions.push(...this.#lines);
    this.#lines = lines;
    this.numbers = numbers;
    this.has = had;
  }

  /** What has been declared for the object's head. */
  get declarations(): readonly string[] {
    return [...this.#declarations];
  }

  /** The program and its functions. */
  code(name: string): string[] {
    const { section } = this;
    return [`.section ${section}`, `.func ${name} : s32 (void *ctx)`, ...this.#lines, ...this.#functions];
  }

  /** The whole text. */
  text(head: readonly string[]): string {
    return [...head, ...this.declarations, ...this.code('f'), ''].join('\n');
  }
}

/** `*(u32 *)(r1 + 4)`. */
export function memory(base: string, off: number, size: number, sign = 'u'): string {
  return `*(${sign}${size * 8} *)(${base} ${off < 0 ? '-' : '+'} ${Math.abs(off)})`;
}

/** `r5` or `w5`, as a store of so many bytes wants it. */
export function stored(register: number, size: number): string {
  return `${size < 8 ? 'w' : 'r'}${register}`;
}

/** A load into a number, or a store of one. */
export function access(writer: Writer, what: string, base: string, off: number, size: number): void {
  const { random } = writer;
  const kind = random.below(10);
  if (kind < 6) {
    const dst = writer.target();
    const sign = size < 8 && random.chance(20) ? 's' : 'u';
    writer.rule(`${what}: ${sign === 's' ? 'sign-extending load' : 'load'}`);
    writer.say(`r${dst} = ${memory(base, off, size, sign)}`);
    writer.numbers.add(dst);
    return;
  }
  writer.rule(`${what}: store`);
  const value = kind < 9 ? stored(writer.number(), size) : `${random.pick(NUMBERS)}`;
  writer.say(`${memory(base, off, size)} = ${value}`);
}

/** An atomic operation on memory at `base`, of 4 or 8 bytes. */
export function atomic(writer: Writer, what: string, base: string, off: number): void {
  const { random } = writer;
  const size = random.pick([4, 8]);
  const n = writer.number();
  const w = stored(n, size);
  const at = `(u${8 * size} *)(${base} ${off < 0 ? '-' : '+'} ${Math.abs(off)})`;
  const plain = `${base} ${off < 0 ? '-' : '+'} ${Math.abs(off)}`;
  const drawn = random.pick([
    'add',
    'or',
    'and',
    'xor',
    'fetch_add',
    'fetch_add',
    'fetch_or',
    'xchg',
    'cmpxchg',
    'acquire',
    'release',
  ]);
  // Of the arena's, those without a form of their own on x86-64 are refused.
  const isRefused = drawn === 'fetch_or' && what.startsWith('arena');
  const op = isRefused && !writer.mistake(100) ? 'fetch_add' : drawn;
  writer.rule(`${what}: atomic ${op}`);
  switch (op) {
    case 'add':
    case 'or':
    case 'and':
    case 'xor':
      writer.say(`lock *${at} ${{ add: '+', or: '|', and: '&', xor: '^' }[op]}= ${w}`);
      return;
    case 'fetch_add':
    case 'fetch_or':
      writer.say(`${w} = atomic_${op}(${at}, ${w})`);
      return;
    case 'xchg':
      writer.say(size === 8 ? `r${n} = xchg_64(${plain}, r${n})` : `w${n} = xchg32_32(${plain}, w${n})`);
      return;
    case 'cmpxchg':
      if (!writer.mistake(5)) writer.say(`r0 = ${random.pick(NUMBERS)}`);
      writer.say(
        size === 8 ? `r0 = cmpxchg_64(${plain}, r0, r${n})` : `w0 = cmpxchg32_32(${plain}, w0, w${n})`,
      );
      writer.numbers.add(0);
      return;
    case 'acquire':
      writer.say(`${w} = load_acquire(${at})`);
      return;
    default:
      writer.say(`store_release(${at}, ${w})`);
  }
}
