/**
 * Memory that programs may still see after it was given up: an object that a map value pointed to, for one, which a program has
 * found there without holding it. It is handed out anew only when every program that ran then has ended (Linux: RCU, and that a
 * program is a read section). A word for each CPU in kernel memory says whether it runs one, and in which run it is; what waits
 * is known to the thread that gave it up.
 */

/** Words that a CPU has to itself. */
const STRIDE = 16;

type Release = () => void;

export class Grace {
  /** Words for so many CPUs. */
  static words(cpus: number): number {
    return cpus * STRIDE;
  }

  readonly #words: Int32Array;
  /** CPUs that there are. */
  #cpus = 1;
  /** Given up since what {@link #waiting} waits for was noted. */
  #pending: Release[] = [];
  #waiting: Release[] = [];
  /** In which run each CPU was when the last of {@link #waiting} was given up. */
  #runs: Int32Array = new Int32Array(0);

  /** @param words zero when they are new. */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** How many CPUs the kernel has that uses the memory. */
  set cpus(cpus: number) {
    this.#cpus = cpus;
    this.#runs = new Int32Array(cpus);
  }

  /** A CPU of this thread begins to run something. */
  enter(cpu: number): void {
    const at = cpu * STRIDE;
    // Odd, and another number than before, also where the thread that had this CPU died in a run.
    const next = (this.#words[at] + 1) | 1;
    if (this.#cpus === 1) this.#words[at] = next;
    else Atomics.store(this.#words, at, next);
  }

  /** It has ended. */
  leave(cpu: number): void {
    const at = cpu * STRIDE;
    const next = (this.#words[at] + 1) & ~1;
    if (this.#cpus === 1) this.#words[at] = next;
    else Atomics.store(this.#words, at, next);
    if (this.#pending.length + this.#waiting.length > 0) this.#reclaim();
  }

  /** The thread that had a CPU is gone, whatever it ran: what waits for that is released after what runs next. */
  died(cpu: number): void {
    const run = this.#runOf(cpu);
    if ((run & 1) !== 0) Atomics.store(this.#words, cpu * STRIDE, run + 1);
  }

  /** Runs an action when every program that runs now has ended: now, where none does. */
  afterwards(release: Release): void {
    this.#pending.push(release);
    this.#reclaim();
  }

  /** All memory is given back: nothing is left to wait for. */
  clear(): void {
    this.#pending = [];
    this.#waiting = [];
  }

  #reclaim(): void {
    while (this.#pending.length + this.#waiting.length > 0 && this.#haveEnded()) {
      const ended = this.#waiting;
      this.#waiting = this.#pending;
      this.#pending = [];
      for (let cpu = 0; cpu < this.#cpus; cpu++) this.#runs[cpu] = this.#runOf(cpu);
      // May give up more.
      for (const release of ended) release();
    }
  }

  /** Whether no CPU is in the run any more that it was in; true where nothing waits. */
  #haveEnded(): boolean {
    if (this.#waiting.length === 0) return true;
    for (let cpu = 0; cpu < this.#cpus; cpu++)
      if ((this.#runs[cpu] & 1) !== 0 && this.#runOf(cpu) === this.#runs[cpu]) return false;
    return true;
  }

  #runOf(cpu: number): number {
    return this.#cpus === 1 ? this.#words[cpu * STRIDE] : Atomics.load(this.#words, cpu * STRIDE);
  }
}
