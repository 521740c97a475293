/**
 * The verifier's log (Linux: `struct bpf_verifier_log`). Level 1 keeps the path explored last: at each branch the place
 * is remembered, and when the branch is taken up again the log is cut back to it. Level 0 keeps nothing but what is
 * written by {@link Log.say} after {@link Log.reset}: the reason of a rejection.
 */

/** Bits of a log level (Linux: BPF_LOG_LEVEL1, 2, BPF_LOG_STATS). */
export const LEVEL_1 = 1;
export const LEVEL_2 = 2;
export const LEVEL_STATS = 4;

/** Characters that a log holds at the most: a JavaScript string has a limit, and so has patience. */
const MAX_LENGTH = 2 ** 27;

/** Where a log ended, and with what. */
export interface LogMark {
  readonly position: number;
  readonly last: string;
}

export class Log {
  readonly level: number;
  #parts: string[] = [];
  /** Parts that were given up at the front, and characters that are kept. */
  #dropped = 0;
  #length = 0;
  /** Where an instruction was printed last: its state goes behind it on the same line. */
  printedInsnAt = -1;

  constructor(level: number) {
    this.level = level;
  }

  /** Whether instructions and states are logged. */
  get detailed(): boolean {
    return (this.level & (LEVEL_1 | LEVEL_2)) !== 0;
  }

  get all(): boolean {
    return (this.level & LEVEL_2) !== 0;
  }

  /** Writes text as it is. */
  write(text: string): void {
    this.#parts.push(text);
    this.#length += text.length;
    if (this.#length > MAX_LENGTH) this.#dropFront();
  }

  /** Writes a line. */
  say(line: string): void {
    this.write(line);
    this.write('\n');
  }

  /** Where the log ends, for {@link cutTo}. */
  get position(): number {
    return this.#dropped + this.#parts.length;
  }

  cutTo(position: number): void {
    while (this.position > position && this.#parts.length > 0) this.unwrite();
  }

  /** A place to come back to. */
  mark(): LogMark {
    return { position: this.position, last: this.#parts.at(-1) ?? '' };
  }

  /**
   * Cuts the log back to a place. Where the last line there has got longer meanwhile, it ends without a newline, as in
   * Linux, which counts characters.
   */
  cutToMark({ position, last }: LogMark): void {
    this.cutTo(position);
    if (this.position !== position || this.#parts.length === 0 || this.#parts.at(-1) === last) return;
    this.unwrite();
    this.write(last.replace(/\n$/, ' '));
  }

  /** Takes the last part back. */
  unwrite(): string {
    const last = this.#parts.pop() ?? '';
    this.#length -= last.length;
    return last;
  }

  get text(): string {
    return this.#parts.join('');
  }

  /** Gives up the older half: like Linux's, a log that is too long keeps its end. */
  #dropFront(): void {
    const half = this.#parts.length >> 1;
    for (let i = 0; i < half; i++) this.#length -= this.#parts[i].length;
    this.#parts.splice(0, half);
    this.#dropped += half;
  }
}
