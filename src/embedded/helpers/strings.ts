import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import type { Pointer } from './kfunc-table.ts';
import { reach } from './reach.ts';

/**
 * The string kfuncs. Their pointers may lead anywhere ({@link reach}): −ERANGE for an address that is not the kernel's is found out
 * before anything is read, −EFAULT where nothing is when it is read, −E2BIG when no end comes in 64 KiB. A char of the kernel
 * is unsigned.
 */

/** Linux: XATTR_SIZE_MAX. */
const LIMIT = 65_536;
const { ERANGE, EFAULT, E2BIG, ENOENT } = ERRNO;

function compare(cpu: Cpu, s1: Pointer, s2: Pointer, fold: (char: number) => number): number {
  const { bytes } = cpu.kernel.memory;
  const [first, second] = [reach(s1), reach(s2)];
  if (first < 0 || second < 0) return -ERANGE;
  for (let i = 0; i < LIMIT; i++) {
    const [a, b] = [bytes[first + i], bytes[second + i]];
    if (a === undefined || b === undefined) return -EFAULT;
    const [x, y] = [fold(a), fold(b)];
    if (x !== y) return x < y ? -1 : 1;
    if (x === 0) return 0;
  }
  return -E2BIG;
}

/** Linux's ctype knows Latin-1. */
function lowerCase(char: number): number {
  const upper = (char >= 0x41 && char <= 0x5a) || (char >= 0xc0 && char <= 0xde && char !== 0xd7);
  return upper ? char + 0x20 : char;
}

/** The position of a char among the first `count`. @param end what is given where the text ends before: −ENOENT, or the position. */
function find(cpu: Cpu, s: Pointer, count: number, char: number, end: 'position' | 'error'): number {
  const { bytes } = cpu.kernel.memory;
  const start = reach(s);
  if (start < 0) return start;
  const most = Math.min(count, LIMIT);
  for (let i = 0; i < most; i++) {
    const at = bytes[start + i];
    if (at === undefined) return -EFAULT;
    if (at === (char & 0xff)) return i;
    if (at === 0) return end === 'position' ? i : -ENOENT;
  }
  return most === LIMIT ? -E2BIG : end === 'position' ? most : -ENOENT;
}

/** How many chars at the start of `s` are in `set`; with `inverted`, are not. */
function span(cpu: Cpu, s: Pointer, set: Pointer, inverted: boolean): number {
  const { bytes } = cpu.kernel.memory;
  const [start, chars] = [reach(s), reach(set)];
  if (start < 0 || chars < 0) return -ERANGE;
  for (let i = 0; i < LIMIT; i++) {
    const at = bytes[start + i];
    if (at === undefined) return -EFAULT;
    if (at === 0) return i;
    const found = isIn(bytes, chars, at);
    if (found < 0) return found;
    if ((found === 1) === inverted) return i;
  }
  return -E2BIG;
}

/** @returns 1 or 0, or a negative errno. */
function isIn(bytes: Uint8Array, set: number, char: number): number {
  for (let i = 0; i < LIMIT; i++) {
    const at = bytes[set + i];
    if (at === undefined) return -EFAULT;
    if (at === char) return 1;
    if (at === 0) return 0;
  }
  return -E2BIG;
}

/** Where `s2` is found within the first `length` chars of `s1`. */
function search(cpu: Cpu, s1: Pointer, s2: Pointer, length: number): number {
  const { bytes } = cpu.kernel.memory;
  const [text, wanted] = [reach(s1), reach(s2)];
  if (text < 0 || wanted < 0) return -ERANGE;
  for (let i = 0; i < LIMIT; i++) {
    let j = 0;
    for (; j < LIMIT; j++) {
      const want = bytes[wanted + j];
      if (want === undefined) return -EFAULT;
      if (want === 0) return i;
      if (i + j === length) return -ENOENT;
      const have = bytes[text + i + j];
      if (have === undefined) return -EFAULT;
      if (have === 0) return -ENOENT;
      if (have !== want) break;
    }
    if (j === LIMIT) return -E2BIG;
  }
  return -E2BIG;
}

export const STRING_KFUNCS = {
  bpf_strcmp: (cpu: Cpu, s1: Pointer, s2: Pointer) => compare(cpu, s1, s2, (char) => char),
  bpf_strcasecmp: (cpu: Cpu, s1: Pointer, s2: Pointer) => compare(cpu, s1, s2, lowerCase),
  bpf_strnchr: (cpu: Cpu, s: Pointer, count: number, char: number) => find(cpu, s, count, char, 'error'),
  bpf_strchr: (cpu: Cpu, s: Pointer, char: number) => find(cpu, s, LIMIT, char, 'error'),
  bpf_strchrnul: (cpu: Cpu, s: Pointer, char: number) => find(cpu, s, LIMIT, char, 'position'),
  bpf_strnlen: (cpu: Cpu, s: Pointer, count: number) => find(cpu, s, count, 0, 'position'),
  bpf_strlen: (cpu: Cpu, s: Pointer) => find(cpu, s, LIMIT, 0, 'position'),
  bpf_strspn: (cpu: Cpu, s: Pointer, accept: Pointer) => span(cpu, s, accept, false),
  bpf_strcspn: (cpu: Cpu, s: Pointer, reject: Pointer) => span(cpu, s, reject, true),
  bpf_strstr: (cpu: Cpu, s1: Pointer, s2: Pointer) => search(cpu, s1, s2, LIMIT),
  bpf_strnstr: (cpu: Cpu, s1: Pointer, s2: Pointer, length: number) => search(cpu, s1, s2, length),

  /** Its char is an int: one that no char can be is not found. */
  bpf_strrchr(cpu: Cpu, s: Pointer, char: number): number {
    const { bytes } = cpu.kernel.memory;
    const start = reach(s);
    if (start < 0) return start;
    let last = -ENOENT;
    for (let i = 0; i < LIMIT; i++) {
      const at = bytes[start + i];
      if (at === undefined) return -EFAULT;
      if (at === char) last = i;
      if (at === 0) return last;
    }
    return -E2BIG;
  },
};
