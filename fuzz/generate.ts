/**
 * Random programs for comparing verifiers: structured well enough that Linux accepts about half, and each says which rules
 * it touches. Text assembly, as docs/assembly.md has it.
 */

/** A seeded generator (mulberry32): the same seed gives the same programs everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to 2^32 − 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  below(count: number): number {
    return this.next() % count;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)];
  }
}

export interface GeneratedProgram {
  readonly text: string;
  /** What it does, one word a kind of statement. */
  readonly rules: ReadonlySet<string>;
}

type Section = 'syscall' | 'xdp' | 'tc';

const VALUE_SIZE = 48;
const SIGNS = ['==', '!=', '>', '>=', '<', '<=', 's>', 's>=', 's<', 's<=', '&'] as const;
const OPERATORS = ['+=', '-=', '*=', '&=', '|=', '^=', '<<=', '>>=', 's>>=', '/=', '%='] as const;
const NUMBERS = [
  0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 40, 47, 48, 63, 64, 255, -1, -2, -8, 0x7fffffff, -0x80000000,
];

/** Writes one program. r6 is the context, r8 a map value, r9 an arena pointer; r7 and r0, r2 to r5 are numbers. */
class Writer {
  readonly rules = new Set<string>();
  readonly #random: Random;
  readonly #section: Section;
  readonly #lines: string[] = [];
  readonly #after: string[] = [];
  /** Registers that hold numbers. */
  #numbers = new Set<number>();
  readonly #written = new Set<number>();
  #labels = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#section = random.pick(['syscall', 'syscall', 'xdp', 'tc'] as const);
  }

  program(): GeneratedProgram {
    const random = this.#random;
    this.#say(
      'r6 = r1',
      'call 7',
      'r7 = r0',
      'r9 = arena ll',
      `*(u32 *)(r10 - 4) = ${random.pick([0, 0, 1, 5])}`,
    );
    this.#say('r2 = r10', 'r2 += -4', 'r1 = values ll', 'call 1');
    if (random.chance(94)) this.#say('if r0 == 0 goto out');
    this.#say('r8 = r0', 'r9 = addr_space_cast(r9, 0, 1)');
    this.#numbers = new Set([7]);
    const count = 2 + random.below(9);
    for (let i = 0; i < count; i++) this.#statement(2);
    this.#say('out:', 'r0 = 0', 'exit');
    const head = [
      '.license "GPL"',
      '.map arena, type=arena, max_entries=4, map_flags=0x400, map_extra=0x700000000000',
      `.map values, type=${random.chance(50) ? 'array' : 'hash'}, key_size=4, value_size=${VALUE_SIZE}, max_entries=4`,
      `.section ${this.#section}`,
      '.func f : s32 (void *ctx)',
    ];
    return { text: [...head, ...this.#lines, ...this.#after, ''].join('\n'), rules: this.rules };
  }

  #say(...lines: string[]): void {
    this.#lines.push(...lines);
  }

  #label(): string {
    return `l${this.#labels++}`;
  }

  #number(): number {
    const numbers = [...this.#numbers];
    return this.#random.chance(1) ? this.#random.pick([1, 2, 3, 4, 5]) : this.#random.pick(numbers);
  }

  #target(): number {
    return this.#random.pick([0, 2, 3, 4, 5, 7]);
  }

  #statement(depth: number): void {
    const random = this.#random;
    const kinds = [
      () => this.#arithmetic(),
      () => this.#arithmetic(),
      () => this.#move(),
      () => this.#branch(depth),
      () => this.#branch(depth),
      () => this.#stack(),
      () => this.#spillPointer(),
      () => this.#value(),
      () => this.#value(),
      () => this.#boundedValue(),
      () => this.#boundedValue(),
      () => this.#arena(),
      () => this.#call(),
      () => this.#loop(depth),
      () => this.#context(),
      () => this.#packet(),
      () => this.#variableStack(),
    ];
    random.pick(kinds)();
  }

  #arithmetic(): void {
    const random = this.#random;
    this.rules.add('alu');
    const wide = random.chance(60) ? 'r' : 'w';
    const op = random.pick(OPERATORS);
    const dst = this.#number();
    if (random.chance(50)) {
      this.#say(`${wide}${dst} ${op} ${wide}${this.#number()}`);
      return;
    }
    const shift = op.includes('<<') || op.includes('>>');
    const zero = op === '/=' || op === '%=';
    const limit = wide === 'r' ? 64 : 32;
    const imm = shift ? random.below(random.chance(98) ? limit : limit + 4) : random.pick(NUMBERS);
    this.#say(`${wide}${dst} ${op} ${zero && imm === 0 && random.chance(90) ? 3 : imm}`);
  }

  #move(): void {
    const random = this.#random;
    const dst = this.#target();
    const src = this.#number();
    this.rules.add('mov');
    this.#say(
      random.pick([
        `r${dst} = r${src}`,
        `r${dst} = r${src}`,
        `w${dst} = w${src}`,
        `r${dst} = ${random.pick(NUMBERS)}`,
        `w${dst} = ${random.pick(NUMBERS)}`,
        `r${dst} = (s8)r${src}`,
        `r${dst} = (s16)r${src}`,
        `r${dst} = (s32)r${src}`,
        `w${dst} = (s8)w${src}`,
      ]),
    );
    this.#numbers.add(dst);
  }

  #comparison(): string {
    const random = this.#random;
    const wide = random.chance(60) ? 'r' : 'w';
    const left = this.#number();
    const right = random.chance(60) ? `${random.pick(NUMBERS)}` : `${wide}${this.#number()}`;
    return `${wide}${left} ${random.pick(SIGNS)} ${right}`;
  }

  #branch(depth: number): void {
    this.rules.add('branch');
    const end = this.#label();
    this.#say(`if ${this.#comparison()} goto ${end}`);
    const before = new Set(this.#numbers);
    if (depth > 0) for (let i = this.#random.below(3); i >= 0; i--) this.#statement(depth - 1);
    this.#numbers = this.#random.chance(97)
      ? new Set([...before].filter((each) => this.#numbers.has(each)))
      : before;
    this.#say(`${end}:`);
  }

  #stack(): void {
    const random = this.#random;
    this.rules.add('stack');
    const size = random.pick([1, 2, 4, 8]);
    const slot = 8 * (2 + random.below(6));
    const off = random.chance(95) ? slot - size * random.below(8 / size) : random.below(520);
    if (random.chance(50)) {
      const value = random.chance(70) ? `r${this.#number()}` : `${random.pick(NUMBERS)}`;
      this.#say(`*(u${size * 8} *)(r10 - ${off}) = ${size < 8 ? value.replace('r', 'w') : value}`);
      this.#written.add(slot);
      return;
    }
    const dst = this.#target();
    const sign = size < 8 && random.chance(25) ? 's' : 'u';
    this.#say(`r${dst} = *(${sign}${size * 8} *)(r10 - ${off})`);
    this.#numbers.add(dst);
  }

  #spillPointer(): void {
    const random = this.#random;
    this.rules.add('spill');
    const off = 8 * (9 + random.below(2));
    const reg = random.pick([6, 8, 9]);
    const size = random.chance(95) ? 64 : 32;
    this.#say(`*(u${size} *)(r10 - ${off}) = ${size === 64 ? 'r' : 'w'}${reg}`);
    if (random.chance(30)) this.#statement(0);
    this.#say(`r${reg} = *(u64 *)(r10 - ${off})`);
  }

  #value(): void {
    const random = this.#random;
    this.rules.add('map value');
    const size = random.pick([1, 2, 4, 8]);
    const off = random.chance(92)
      ? random.below(VALUE_SIZE - size + 1)
      : random.pick([-1, VALUE_SIZE - size + 1]);
    this.#access('r8', off, size);
  }

  #access(base: string, off: number, size: number): void {
    const random = this.#random;
    const at = `(${base} ${off < 0 ? '-' : '+'} ${Math.abs(off)})`;
    if (random.chance(60)) {
      const dst = this.#target();
      this.#say(`r${dst} = *(${size < 8 && random.chance(20) ? 's' : 'u'}${size * 8} *)${at}`);
      this.#numbers.add(dst);
    } else this.#say(`*(u${size * 8} *)${at} = ${size < 8 ? 'w' : 'r'}${this.#number()}`);
  }

  /** An index that a mask or comparisons bound, right or slightly wrong. */
  #boundedValue(): void {
    const random = this.#random;
    this.rules.add('variable offset');
    const index = this.#number();
    const skip = this.#label();
    const size = random.pick([1, 2, 4, 8]);
    const limit = VALUE_SIZE - size + (random.chance(90) ? 0 : 1) - random.below(3);
    const wide = random.chance(70) ? 'r' : 'w';
    this.#say(
      ...random.pick([
        [`r1 = r${index}`, `r1 &= ${random.pick([7, 15, 31, 32, 39])}`],
        [`r1 = r${index}`, `if r1 > ${limit} goto ${skip}`],
        [`r1 = r${index}`, `if r1 s> ${limit} goto ${skip}`, `if r1 s< 0 goto ${skip}`],
        [
          `r1 = r${index}`,
          `if r1 s>= ${limit} goto ${skip}`,
          `if r1 s< ${random.pick([0, 0, 0, -1])} goto ${skip}`,
        ],
        [`w1 = w${index}`, `if ${wide}1 > ${limit} goto ${skip}`],
        [`w1 = w${index}`, `w1 >>= ${random.pick([27, 28, 26])}`],
        [
          `r1 = r${index}`,
          'r1 <<= 32',
          'r1 s>>= 32',
          `if r1 < 0 goto ${skip}`,
          `if r1 > ${limit} goto ${skip}`,
        ],
        [`r1 = r${index}`, `r2 = r1`, 'r2 += 2', `if r2 > ${limit} goto ${skip}`, `if r1 > 100 goto ${skip}`],
        [`r1 = r${index}`, `r1 %= ${random.pick([40, 8])}`],
      ]),
    );
    this.#say('r4 = r8', random.chance(95) ? 'r4 += r1' : 'r4 -= r1');
    this.#access('r4', 0, size);
    this.#say(`${skip}:`);
    for (const reg of [1, 2, 4]) this.#numbers.delete(reg);
    for (const reg of [0, 2, 3, 5]) if (reg !== 7) this.#numbers.delete(reg);
  }

  #arena(): void {
    const random = this.#random;
    this.rules.add('arena');
    const size = random.pick([4, 8]);
    const off = random.below(64);
    const wide = size === 8 ? 'r' : 'w';
    const n = this.#number();
    this.#say(
      random.pick([
        `r9 += ${random.pick(NUMBERS)}`,
        `r9 ${random.pick(['+=', '-=', '&=', '*='])} r${n}`,
        `lock *(u${size * 8} *)(r9 + ${off}) += ${wide}${n}`,
        `${wide}${n} = atomic_fetch_add((u${size * 8} *)(r9 + ${off}), ${wide}${n})`,
        `${wide}${n} = atomic_fetch_or((u${size * 8} *)(r9 + ${off}), ${wide}${n})`,
        `r9 = addr_space_cast(r${n}, 0, 1)`,
        `*(u64 *)(r9 + ${off}) = r${random.pick([6, 8, 9, 10, n])}`,
        `r${n} = *(u${size * 8} *)(r9 + ${off})`,
        `r${n} = *(u8 *)(r9 - ${off})`,
        `r${n} = addr_space_cast(r9, 1, 0)`,
      ]),
    );
  }

  #call(): void {
    const random = this.#random;
    this.rules.add('call');
    const kind = random.below(5);
    if (kind < 3) {
      this.#say(`call ${random.pick([5, 7])}`);
    } else if (kind === 3) {
      const name = `sub${this.#labels++}`;
      this.rules.add('subprogram');
      this.#say(`r1 = r${this.#number()}`, `r2 = r${random.pick([8, 10, this.#number()])}`, `call ${name}`);
      const body = random.pick([
        ['r0 = r1', 'exit'],
        ['r0 = 1', `if r1 > 8 goto ${name}_end`, 'r0 = r1', `${name}_end:`, 'exit'],
        ['r0 = *(u64 *)(r2 + 0)', 'exit'],
        ['*(u64 *)(r10 - 8) = r1', 'r0 = *(u32 *)(r10 - 8)', 'exit'],
        ['r0 = r2', 'exit'],
      ]);
      this.#after.push('.section .text', `.func static ${name} : u64 (u64 a, u64 b)`, ...body);
    } else {
      this.rules.add('map helper');
      this.#say(
        '*(u32 *)(r10 - 8) = 1',
        'r2 = r10',
        `r2 += ${random.pick([-8, -8, -8, -2])}`,
        'r1 = values ll',
      );
      this.#say(
        ...random.pick([['call 1'], [`r3 = r${random.pick([8, 8, 10])}`, 'r4 = 0', 'call 2'], ['call 3']]),
      );
      if (random.chance(90)) this.#say('r0 = 0');
    }
    this.#numbers = new Set([...this.#numbers].filter((reg) => reg > 5));
    this.#numbers.add(0);
  }

  #loop(depth: number): void {
    const random = this.#random;
    if (depth === 0) return;
    const top = this.#label();
    const end = this.#label();
    if (random.chance(40)) {
      this.rules.add('may_goto');
      this.#say(`${top}:`, `may_goto ${end}`);
      const before = new Set(this.#numbers);
      this.#statement(0);
      this.#numbers = new Set([...before].filter((each) => this.#numbers.has(each)));
      this.#say(`goto ${top}`, `${end}:`);
      return;
    }
    this.rules.add('loop');
    const count = random.pick([3, 8, 20]);
    this.#say('*(u64 *)(r10 - 128) = 0', `${top}:`);
    const before = new Set(this.#numbers);
    this.#statement(0);
    this.#numbers = new Set([...before].filter((each) => this.#numbers.has(each)));
    this.#say('r0 = *(u64 *)(r10 - 128)', 'r0 += 1', '*(u64 *)(r10 - 128) = r0');
    this.#say(`if r0 ${random.pick(['<', 's<', '!='])} ${count} goto ${top}`);
    this.#numbers.add(0);
  }

  #context(): void {
    const random = this.#random;
    this.rules.add('context');
    const dst = this.#target();
    const sizes = this.#section === 'syscall' ? [1, 2, 4, 8] : [4, 4, 4, 2];
    const size = random.pick(sizes);
    const off = size * random.below(this.#section === 'xdp' ? 6 : 12);
    if (this.#section === 'xdp' && off < 12) return;
    this.#say(`r${dst} = *(u${size * 8} *)(r6 + ${off})`);
    this.#numbers.add(dst);
  }

  #packet(): void {
    const random = this.#random;
    if (this.#section === 'syscall') return;
    this.rules.add('packet');
    const [data, end] = this.#section === 'xdp' ? [0, 4] : [76, 80];
    const skip = this.#label();
    const length = random.pick([4, 14, 20]);
    const size = random.pick([1, 2, 4]);
    this.#say(`r2 = *(u32 *)(r6 + ${data})`, `r3 = *(u32 *)(r6 + ${end})`);
    if (random.chance(40)) {
      const by = this.#number();
      this.#say(
        by === 2 || by === 3 ? 'r5 = 3' : `r5 = r${by}`,
        `r5 &= ${random.pick([15, 255, 0xffff])}`,
        'r2 += r5',
      );
    }
    this.#say('r4 = r2', `r4 += ${length}`);
    this.#say(
      random.pick([
        `if r4 > r3 goto ${skip}`,
        `if r4 >= r3 goto ${skip}`,
        `if r3 < r4 goto ${skip}`,
        `if r3 <= r4 goto ${skip}`,
        `if r4 <= r3 goto ${skip}`,
      ]),
    );
    const off = random.chance(90) ? random.below(length - size + 1) : length;
    this.#access('r2', off, size);
    this.#say(`${skip}:`);
    this.#numbers = new Set([...this.#numbers].filter((reg) => reg > 5));
  }

  #variableStack(): void {
    const random = this.#random;
    this.rules.add('variable stack');
    const index = this.#number();
    this.#say(
      `r1 = r${index}`,
      `r1 &= ${random.pick([7, 8, 24])}`,
      'r4 = r10',
      `r4 += ${random.pick([-48, -64, -16])}`,
    );
    this.#say('r4 += r1');
    this.#access('r4', 0, random.pick([1, 1, 8]));
    for (const reg of [1, 4]) this.#numbers.delete(reg);
  }
}

export function generate(random: Random): GeneratedProgram {
  return new Writer(random).program();
}
