import {
  add,
  atomicAdd32,
  atomicLoad32,
  atomicStore32,
  atomicStore64,
  compareExchange32,
  cpuNumber,
  drop,
  type Expression,
  exchange32,
  i32,
  load32,
  not,
  seq,
  store32,
  store64,
} from '../../jit/encode/expressions.ts';

/**
 * How routines touch words that other CPUs touch too. A kernel with one CPU has its programs and its user space on one thread, one
 * after the other, so there plain accesses do: an atomic one costs as much as ten of them.
 */
export interface Sharing {
  /** The number of the CPU. */
  readonly cpu: Expression;
  /** Takes a lock as spin-lock.ts does, or leaves it. Gives whether it was free. */
  tryLock(word: Expression): Expression;
  unlock(word: Expression): Expression;
  load(word: Expression): Expression;
  store(word: Expression, value: Expression): Expression;
  store64(word: Expression, value: Expression): Expression;
  /** Leaves nothing. */
  exchange(word: Expression, value: Expression): Expression;
  /** Adds, and leaves what was there. `word` is written twice. */
  add(word: Expression, value: Expression): Expression;
}

const MANY: Sharing = {
  cpu: cpuNumber,
  tryLock: (word) => not(compareExchange32(word, i32(0), add(cpuNumber, i32(1)))),
  unlock: (word) => atomicStore32(word, i32(0)),
  load: atomicLoad32,
  store: atomicStore32,
  store64: atomicStore64,
  exchange: (word, value) => drop(exchange32(word, value)),
  add: atomicAdd32,
};

const ONE: Sharing = {
  cpu: i32(0),
  // Nobody else is there, and who holds a lock calls nothing.
  tryLock: () => i32(1),
  unlock: () => seq(),
  load: load32,
  store: store32,
  store64,
  exchange: store32,
  add: (word, value) => seq(load32(word), store32(word, add(load32(word), value))),
};

export function sharingOf(cpus: number): Sharing {
  return cpus === 1 ? ONE : MANY;
}
