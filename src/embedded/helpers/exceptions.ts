import type { Caller, Cpu } from '../cpu.ts';
import type { Pointer } from './kfunc-table.ts';

/**
 * bpf_throw: ends the program, however deep it is in its functions, by an exception of JavaScript, which passes through
 * WebAssembly. What the program gives is what was thrown, or what its exception callback makes of it.
 */

export class Thrown {
  readonly #cookie: bigint;
  readonly #caller: Caller;
  readonly #callback: number;

  /** @param callback number of the function that makes the result; −1: none. */
  constructor(cookie: bigint, caller: Caller, callback: number) {
    this.#cookie = cookie;
    this.#caller = caller;
    this.#callback = callback;
  }

  /** r0 of the program that threw it. */
  result(): bigint {
    if (this.#callback < 0) return this.#cookie;
    this.#caller.unwind?.();
    return this.#caller.invoke(this.#callback, [this.#cookie]);
  }
}

/** Runs a program, or a part of one. @returns r0, also where it throws. */
export function resultOf(run: () => bigint): bigint {
  try {
    return run();
  } catch (thrown) {
    return resultOfThrown(thrown);
  }
}

/** r0 of a program that was left by an exception. Throws again what is no {@link Thrown}. */
export function resultOfThrown(thrown: unknown): bigint {
  if (!(thrown instanceof Thrown)) throw thrown;
  return thrown.result();
}

/** @param handler the program's exception callback; −1: none. */
function bpf_throw(cpu: Cpu, { low, high }: Pointer, handler: number): never {
  throw new Thrown((BigInt(high >>> 0) << 32n) | BigInt(low), cpu.caller, handler);
}

export const EXCEPTION_KFUNCS = { bpf_throw };
