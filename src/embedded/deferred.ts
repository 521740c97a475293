import type { KernelMemory } from './kernel-memory.ts';
import type { KernelOffset } from './layout.ts';

/**
 * Functions of programs that run later: timers and work queues. The 16 bytes of struct bpf_timer or bpf_wq, in a map's value, are all
 * that is known of one, so that any CPU can start and cancel it, and one whose element is deleted is forgotten with it. They
 * always run on the thread of CPU 0: between runs, as nothing interrupts a program here.
 *
 * Layout, words: the map's id, 0 before it is initialised; the program to call, 0 for none, and the function in it; the state, above it a
 * number that no two starts in a kernel share, so that memory that was freed and is another timer now is not mistaken for it.
 */

const MAP = 0;
const PROGRAM = 1;
const FUNCTION = 2;
const STATE = 3;

const IDLE = 0;
const ARMED = 1;
const RUNNING = 2;
const STATES = 3;
/** Added to the state for each start. */
const GENERATION = 4;

/** A start of a timer. */
export interface Deferred {
  /** In kernel memory: the struct bpf_timer or bpf_wq. */
  readonly field: KernelOffset;
  /** The id of the map whose value that is in. */
  readonly map: number;
  /** Which start of it this is. */
  readonly generation: number;
  /** Nanoseconds, as bpf_ktime_get_ns counts them. */
  readonly at: number;
}

/** What shall be called. */
export interface Callback {
  /** The id of the map whose value has the timer. */
  readonly map: number;
  readonly program: number;
  readonly function: number;
}

/** A struct bpf_timer or struct bpf_wq. */
export class DeferredField {
  readonly #words: Int32Array;
  readonly #at: number;

  constructor({ int32 }: KernelMemory, offset: KernelOffset) {
    this.#words = int32;
    this.#at = offset >>> 2;
  }

  get isInitialized(): boolean {
    return this.map !== 0;
  }

  /** The id of the map whose value has it; 0 before it is initialised. */
  get map(): number {
    return Atomics.load(this.#words, this.#at + MAP);
  }

  get isRunning(): boolean {
    return (this.#state() & STATES) === RUNNING;
  }

  /** @returns false when it was before. */
  initialize(map: number): boolean {
    return Atomics.compareExchange(this.#words, this.#at + MAP, 0, map) === 0;
  }

  /** @returns false when it is not initialised. */
  setCallback(program: number, callback: number): boolean {
    if (!this.isInitialized) return false;
    Atomics.store(this.#words, this.#at + FUNCTION, callback);
    Atomics.store(this.#words, this.#at + PROGRAM, program);
    return true;
  }

  /**
   * Starts it, also anew. @param counter word that numbers the starts. @returns which start this is, or undefined when nothing is
   * there to call.
   */
  arm(counter: KernelOffset): number | undefined {
    if (!this.isInitialized || Atomics.load(this.#words, this.#at + PROGRAM) === 0) return undefined;
    // A callback that starts its own timer goes on running; what it started finds it armed.
    const start = Atomics.add(this.#words, counter >>> 2, GENERATION) | ARMED;
    Atomics.store(this.#words, this.#at + STATE, start);
    return start;
  }

  /** @returns whether it was armed. Its callback is forgotten, as on Linux. */
  cancel(): boolean {
    Atomics.store(this.#words, this.#at + PROGRAM, 0);
    const old = this.#state();
    return (old & STATES) === ARMED && this.#exchange(old, (old & ~STATES) | IDLE);
  }

  /** Takes a start that is due. @returns what to call, or undefined when it was cancelled, started anew, or deleted. */
  fire(generation: number): Callback | undefined {
    if (!this.#exchange(generation, (generation & ~STATES) | RUNNING)) return undefined;
    const [map, program, called] = [MAP, PROGRAM, FUNCTION].map((word) =>
      Atomics.load(this.#words, this.#at + word),
    );
    return { map, program, function: called };
  }

  /** The callback has returned. */
  done(generation: number): void {
    this.#exchange((generation & ~STATES) | RUNNING, (generation & ~STATES) | IDLE);
  }

  #state(): number {
    return Atomics.load(this.#words, this.#at + STATE);
  }

  #exchange(old: number, next: number): boolean {
    return Atomics.compareExchange(this.#words, this.#at + STATE, old, next) === old;
  }
}
