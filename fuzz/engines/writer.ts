import { type Kind, memory, type Resource, type Section, stored, Writer } from '../generator/writer.ts';
import type { Random } from '../random.ts';

/**
 * Writes programs to compare engines with: the verifier's generators without their mistakes, for what is refused compares
 * nothing. What a run cannot repeat is left out: clocks, random numbers, addresses on the stack as numbers. Each function
 * begins by writing its stack, in stores of all sizes, since what stands there before differs.
 */

/** The lowest slot that statements use. */
const FRAME = 144;
/** Of one program. */
const MAX_LOOPS = 2;

export class EngineWriter extends Writer {
  /** Arena address of the arena's first page. */
  readonly arenaStart: number;
  readonly arenaPages: number;
  readonly #suffix: string;
  #loops = 0;

  /** @param name tells its labels from those of other programs in the object. */
  constructor(name: string, random: Random, kinds: readonly Kind[], arena: { start: number; pages: number }) {
    super(random, 'syscall' satisfies Section, kinds);
    this.#suffix = name;
    this.arenaStart = arena.start;
    this.arenaPages = arena.pages;
  }

  override label(prefix?: string): string {
    return `${super.label(prefix)}_${this.#suffix}`;
  }

  /** Whether there may be another loop: many of them multiply the paths, and a verification takes seconds. */
  mayLoop(): boolean {
    return ++this.#loops <= MAX_LOOPS;
  }

  override mistake(): boolean {
    return false;
  }

  override func(head: string, has: readonly Resource[], write: () => void): void {
    super.func(head, has, () => {
      this.fillFrame();
      write();
    });
  }

  fillFrame(): void {
    const { random } = this;
    for (let slot = 8; slot <= FRAME; slot += 8) {
      const size = random.pick([8, 8, 8, 8, 4, 2]);
      for (let at = 0; at < 8; at += size)
        this.say(`${memory('r10', at - slot, size)} = ${random.pick([0, 0, 1, -1, 0x7fffffff, 258])}`);
    }
  }

  /** Stores what registers hold to the context, from `off` on, so that it can be compared. */
  dump(off: number, registers: Iterable<number>): void {
    let at = off;
    for (const register of registers) {
      this.say(`${memory('r6', at, 8)} = ${stored(register, 8)}`);
      at += 8;
    }
  }
}
