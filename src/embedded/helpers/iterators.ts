import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import type { Pointer } from './kfunc-table.ts';
import { MAX_LOOPS } from './loop.ts';
import { reach } from './reach.ts';

/**
 * Iterators over numbers and over bits. Each lives on the program's stack, laid out as on Linux, and the element that it hands out is
 * a word of its own.
 */

/** struct bpf_iter_num_kern: the number before the next one, and the end. */
const CURRENT = 0;
const END = 4;

function setRange({ kernelMemory: view }: Cpu, it: KernelOffset, current: number, end: number): void {
  view.setInt32(it + CURRENT, current, true);
  view.setInt32(it + END, end, true);
}

const NUMBERS = {
  bpf_iter_num_new(cpu: Cpu, it: KernelOffset, start: number, end: number): number {
    const error = start > end ? -ERRNO.EINVAL : end - start > MAX_LOOPS ? -ERRNO.E2BIG : 0;
    if (error === 0) setRange(cpu, it, start - 1, end);
    else setRange(cpu, it, 0, 0);
    return error;
  },

  bpf_iter_num_next(cpu: Cpu, it: KernelOffset): number {
    const view = cpu.kernelMemory;
    // As a C int: the number before the smallest is the largest.
    const next = (view.getInt32(it + CURRENT, true) + 1) | 0;
    if (next >= view.getInt32(it + END, true)) {
      setRange(cpu, it, 0, 0);
      return 0;
    }
    view.setInt32(it + CURRENT, next, true);
    return it + CURRENT;
  },

  bpf_iter_num_destroy(cpu: Cpu, it: KernelOffset): undefined {
    setRange(cpu, it, 0, 0);
  },
};

/** struct bpf_iter_bits_kern: a word of bits, or where more of them were copied to; how many bits; the one handed out last. */
const BITS = 0;
const COUNT = 8;
const BIT = 12;
/** Linux: BITS_ITER_NR_WORDS_MAX. */
const MAX_WORDS = 511;
const WORD_BITS = 64;

/** Where the bits are: in the iterator when they are one word. */
function bitsOf({ kernelMemory: view }: Cpu, it: KernelOffset): number {
  return view.getUint32(it + COUNT, true) <= WORD_BITS ? it + BITS : view.getUint32(it + BITS, true);
}

function setBits(
  { kernelMemory: view }: Cpu,
  it: KernelOffset,
  low: number,
  high: number,
  count: number,
): void {
  view.setUint32(it + BITS, low, true);
  view.setUint32(it + BITS + 4, high, true);
  view.setUint32(it + COUNT, count, true);
  view.setInt32(it + BIT, -1, true);
}

const BIT_SETS = {
  bpf_iter_bits_new(cpu: Cpu, it: KernelOffset, words: Pointer, count: number): number {
    setBits(cpu, it, 0, 0, 0);
    if ((words.low === 0 && words.high === 0) || count === 0) return -ERRNO.EINVAL;
    if (count > MAX_WORDS) return -ERRNO.E2BIG;
    const { bytes, view } = cpu.kernel.memory;
    const from = reach(words);
    const end = from + 8 * count;
    // One word is read by itself, and that says EFAULT whatever was wrong.
    if (from < 0 || end > bytes.length) return from < 0 && count > 1 ? from : -ERRNO.EFAULT;
    if (count === 1) {
      setBits(cpu, it, view.getUint32(from, true), view.getUint32(from + 4, true), WORD_BITS);
      return 0;
    }
    const copy = allocate(cpu, 8 * count);
    if (copy === 0) return -ERRNO.ENOMEM;
    bytes.copyWithin(copy, from, end);
    setBits(cpu, it, copy, 0, WORD_BITS * count);
    return 0;
  },

  bpf_iter_bits_next(cpu: Cpu, it: KernelOffset): number {
    const view = cpu.kernelMemory;
    const count = view.getUint32(it + COUNT, true);
    const bits = bitsOf(cpu, it);
    let bit = view.getInt32(it + BIT, true) + 1;
    while (bit < count) {
      const left = view.getUint32(bits + 4 * (bit >>> 5), true) >>> (bit & 31);
      if (left !== 0) {
        bit += 31 - Math.clz32(left & -left);
        view.setInt32(it + BIT, bit, true);
        return it + BIT;
      }
      bit = (bit | 31) + 1;
    }
    view.setInt32(it + BIT, count, true);
    return 0;
  },

  bpf_iter_bits_destroy(cpu: Cpu, it: KernelOffset): undefined {
    const copy = bitsOf(cpu, it);
    if (copy !== it + BITS) cpu.kernel.memory.free(copy as KernelOffset);
    setBits(cpu, it, 0, 0, 0);
  },
};

/** @returns 0 when there is none left. */
function allocate(cpu: Cpu, bytes: number): KernelOffset {
  try {
    return cpu.kernel.memory.allocate(bytes);
  } catch {
    return 0 as KernelOffset;
  }
}

export const ITERATOR_KFUNCS = { ...NUMBERS, ...BIT_SETS };
