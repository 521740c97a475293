import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import { CPUMASK_USAGE, releaseCpumask } from '../objects/cpumask.ts';

/**
 * Sets of CPUs: struct bpf_cpumask, 256 bits and a count of who holds it, each in a page of kernel memory. Numbers of CPUs that the
 * kernel does not have are never in a set.
 */

/** Words of 32 bits, by kernel-types.ts. */
const WORDS = 8;
const BITS = 32 * WORDS;
const USAGE = CPUMASK_USAGE;
const BYTES = 4 * (WORDS + 2);

/** A set's words. */
function wordsOf({ kernel: { memory } }: Cpu, mask: KernelOffset): Int32Array {
  return memory.int32.subarray(mask >>> 2, (mask >>> 2) + WORDS);
}

const isCpu = ({ kernel }: Cpu, number: number) => number < kernel.cpus;
const bitOf = (number: number) => 1 << (number & 31);

/** The words of a set that has all CPUs. */
function allOf(cpu: Cpu): number[] {
  return Array.from({ length: WORDS }, (_, word) => {
    const bits = Math.min(32, Math.max(0, cpu.kernel.cpus - 32 * word));
    return bits === 32 ? -1 : (1 << bits) - 1;
  });
}

/** The first bit of a set for which something holds; as many as there are CPUs when there is none. */
function first(cpu: Cpu, word: (index: number) => number): number {
  for (let index = 0; index < WORDS; index++) {
    const bits = word(index);
    if (bits !== 0) return Math.min(cpu.kernel.cpus, 32 * index + 31 - Math.clz32(bits & -bits));
  }
  return cpu.kernel.cpus;
}

type Combination = (a: number, b: number) => number;

/** Fills a set from two others. @returns whether anything is in it. */
function combine(cpu: Cpu, to: KernelOffset, a: KernelOffset, b: KernelOffset, how: Combination): boolean {
  const [target, left, right] = [wordsOf(cpu, to), wordsOf(cpu, a), wordsOf(cpu, b)];
  for (let i = 0; i < WORDS; i++) target[i] = how(left[i], right[i]);
  return target.some((word) => word !== 0);
}

/** Whether something holds of all words of two sets. */
function compare(cpu: Cpu, a: KernelOffset, b: KernelOffset, holds: (a: number, b: number) => boolean) {
  const right = wordsOf(cpu, b);
  return wordsOf(cpu, a).every((word, i) => holds(word, right[i]));
}

function firstOf(cpu: Cpu, mask: KernelOffset): number {
  const words = wordsOf(cpu, mask);
  return first(cpu, (i) => words[i]);
}

function firstOfBoth(cpu: Cpu, a: KernelOffset, b: KernelOffset): number {
  const [left, right] = [wordsOf(cpu, a), wordsOf(cpu, b)];
  return first(cpu, (i) => left[i] & right[i]);
}

function testAndSet(cpu: Cpu, number: number, mask: KernelOffset): boolean {
  return (
    isCpu(cpu, number) && (Atomics.or(wordsOf(cpu, mask), number >>> 5, bitOf(number)) & bitOf(number)) !== 0
  );
}

function testAndClear(cpu: Cpu, number: number, mask: KernelOffset): boolean {
  return (
    isCpu(cpu, number) &&
    (Atomics.and(wordsOf(cpu, mask), number >>> 5, ~bitOf(number)) & bitOf(number)) !== 0
  );
}

export const CPUMASK_KFUNCS = {
  bpf_cpumask_create(cpu: Cpu): number {
    const { memory } = cpu.kernel;
    try {
      const mask = memory.allocate(BYTES);
      memory.int32[(mask >>> 2) + USAGE] = 1;
      return mask;
    } catch {
      return 0;
    }
  },

  bpf_cpumask_acquire(cpu: Cpu, mask: KernelOffset): number {
    Atomics.add(cpu.kernel.memory.int32, (mask >>> 2) + USAGE, 1);
    return mask;
  },

  bpf_cpumask_release(cpu: Cpu, mask: KernelOffset): undefined {
    releaseCpumask(cpu.kernel.memory, mask);
  },

  bpf_cpumask_first: firstOf,
  bpf_cpumask_any_distribute: firstOf,
  bpf_cpumask_first_and: firstOfBoth,
  bpf_cpumask_any_and_distribute: firstOfBoth,

  bpf_cpumask_first_zero(cpu: Cpu, mask: KernelOffset): number {
    const words = wordsOf(cpu, mask);
    return first(cpu, (i) => ~words[i]);
  },

  bpf_cpumask_set_cpu(cpu: Cpu, number: number, mask: KernelOffset): undefined {
    testAndSet(cpu, number, mask);
  },

  bpf_cpumask_clear_cpu(cpu: Cpu, number: number, mask: KernelOffset): undefined {
    testAndClear(cpu, number, mask);
  },

  bpf_cpumask_test_and_set_cpu: testAndSet,
  bpf_cpumask_test_and_clear_cpu: testAndClear,

  bpf_cpumask_test_cpu: (cpu: Cpu, number: number, mask: KernelOffset) =>
    isCpu(cpu, number) && (Atomics.load(wordsOf(cpu, mask), number >>> 5) & bitOf(number)) !== 0,

  bpf_cpumask_setall(cpu: Cpu, mask: KernelOffset): undefined {
    wordsOf(cpu, mask).set(allOf(cpu));
  },

  bpf_cpumask_clear(cpu: Cpu, mask: KernelOffset): undefined {
    wordsOf(cpu, mask).fill(0);
  },

  bpf_cpumask_and: (cpu: Cpu, to: KernelOffset, a: KernelOffset, b: KernelOffset) =>
    combine(cpu, to, a, b, (x, y) => x & y),

  bpf_cpumask_or(cpu: Cpu, to: KernelOffset, a: KernelOffset, b: KernelOffset): undefined {
    combine(cpu, to, a, b, (x, y) => x | y);
  },

  bpf_cpumask_xor(cpu: Cpu, to: KernelOffset, a: KernelOffset, b: KernelOffset): undefined {
    combine(cpu, to, a, b, (x, y) => x ^ y);
  },

  bpf_cpumask_copy(cpu: Cpu, to: KernelOffset, from: KernelOffset): undefined {
    wordsOf(cpu, to).set(wordsOf(cpu, from));
  },

  bpf_cpumask_equal: (cpu: Cpu, a: KernelOffset, b: KernelOffset) => compare(cpu, a, b, (x, y) => x === y),
  bpf_cpumask_intersects: (cpu: Cpu, a: KernelOffset, b: KernelOffset) =>
    !compare(cpu, a, b, (x, y) => (x & y) === 0),
  bpf_cpumask_subset: (cpu: Cpu, a: KernelOffset, b: KernelOffset) =>
    compare(cpu, a, b, (x, y) => (x & ~y) === 0),
  bpf_cpumask_empty: (cpu: Cpu, mask: KernelOffset) => wordsOf(cpu, mask).every((word) => word === 0),

  bpf_cpumask_full(cpu: Cpu, mask: KernelOffset): boolean {
    const all = allOf(cpu);
    return wordsOf(cpu, mask).every((word, i) => (word & all[i]) === all[i]);
  },

  bpf_cpumask_weight(cpu: Cpu, mask: KernelOffset): number {
    let count = 0;
    for (let word of wordsOf(cpu, mask)) for (; word !== 0; word &= word - 1) count++;
    return count;
  },

  /** From memory with at least a bit for each CPU, in whole words of 64. */
  bpf_cpumask_populate(cpu: Cpu, mask: KernelOffset, from: KernelOffset, size: number): number {
    if (size < 8 * Math.ceil(cpu.kernel.cpus / 64)) return -ERRNO.EACCES;
    const { bytes } = cpu.kernel.memory;
    bytes.copyWithin(mask, from, from + Math.min(size, BITS / 8));
    const all = allOf(cpu);
    const words = wordsOf(cpu, mask);
    words.forEach((word, i) => {
      words[i] = word & all[i];
    });
    return 0;
  },
};
