import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import { type ArenaAddress, type KernelOffset, MEMORY_BYTES, PAGE_SIZE } from '../layout.ts';
import { writableDynptrBytes } from './dynptr.ts';
import type { Pointer } from './kfunc-table.ts';
import { reach } from './reach.ts';

/**
 * Helpers and kfuncs that read memory which may not be there. What they differ in is where they look: in the kernel's memory, or
 * in user space's, which is the arena of the program; and whether absent pages are made present first.
 */

/** Bytes that can be read at a pointer. */
interface Found {
  readonly bytes: Uint8Array;
  readonly start: number;
  /** Of those that are wanted, so many are there; −1: the address is refused whatever is wanted. */
  readonly there: number;
  /** A negative errno for when the others are wanted. */
  readonly error: number;
}

type Source = (cpu: Cpu, pointer: Pointer, wanted: number) => Found;

const NOTHING = new Uint8Array();
const FAULT: Found = { bytes: NOTHING, start: 0, there: 0, error: -ERRNO.EFAULT };

const kernelSpace: Source = (cpu, pointer, wanted) => {
  const start = reach(pointer);
  if (start < 0) return { ...FAULT, there: -1, error: start };
  const there = Math.min(wanted, Math.max(0, MEMORY_BYTES - start));
  return { bytes: cpu.kernel.memory.bytes, start, there, error: -ERRNO.EFAULT };
};

/** Pages that are not present are not there. */
const userSpace: Source = (cpu, pointer, wanted) => {
  const arena = cpu.program?.arena;
  if (arena === undefined || pointer.high !== Number(arena.userVmStart >> 32n) || wanted === 0) return FAULT;
  const { start, mapped } = arena.pages;
  const end = Math.min(pointer.low + wanted, start + mapped * PAGE_SIZE);
  let at = pointer.low;
  while (at < end && at >= start) {
    const page = Math.floor((at - start) / PAGE_SIZE);
    if (arena.pages.state(page) !== 'present') break;
    at = Math.min(end, start + (page + 1) * PAGE_SIZE);
  }
  return { bytes: arena.window, start: pointer.low, there: at - pointer.low, error: -ERRNO.EFAULT };
};

/** Pages are made present as by a touch. */
const touchedUserSpace: Source = (cpu, pointer, wanted) => {
  const arena = cpu.program?.arena;
  for (;;) {
    const found = userSpace(cpu, pointer, wanted);
    if (arena === undefined || found.there >= wanted) return found;
    try {
      arena.touch((pointer.low + found.there) as ArenaAddress, 1, false);
    } catch {
      return found;
    }
    // It was outside the arena: then it is not there after it was touched, either.
    if (userSpace(cpu, pointer, wanted).there === found.there) return found;
  }
};

/** Where an address lies says which of the two it is. */
const anySpace: Source = (cpu, pointer, wanted) =>
  (pointer.high < 0 ? kernelSpace : userSpace)(cpu, pointer, wanted);

/** Copies exactly `size` bytes. @returns 0 or a negative errno; then nothing is copied. */
function copy(source: Source, cpu: Cpu, to: number, size: number, from: Pointer): number {
  const { bytes, start, there, error } = source(cpu, from, size);
  if (there < size) return error;
  if (size > 0) cpu.kernel.memory.bytes.set(bytes.subarray(start, start + size), to);
  return 0;
}

/** Copies text with its final 0, which it always gets. @returns the bytes of both, or a negative errno. */
function copyText(source: Source, cpu: Cpu, to: number, size: number, from: Pointer): number {
  if (size === 0) return 0;
  const { bytes, start, there, error } = source(cpu, from, size);
  const text = bytes.subarray(start, start + Math.max(0, there));
  const end = text.indexOf(0);
  if (end < 0 && there < size) return error;
  const length = end < 0 ? size - 1 : end;
  cpu.kernel.memory.bytes.set(text.subarray(0, length), to);
  cpu.kernel.memory.bytes[to + length] = 0;
  return length + 1;
}

type Copy = typeof copy;
type Helper = (cpu: Cpu, to: KernelOffset, size: number, from: bigint) => number;

/** A helper: after a failure it leaves zeros. */
function helper(how: Copy, source: Source): Helper {
  return (cpu, to, size, from) => {
    const result = how(source, cpu, to, size, pointerOf(from));
    if (result < 0) cpu.kernel.memory.bytes.fill(0, to, to + size);
    return result;
  };
}

function pointerOf(address: bigint): Pointer {
  return { low: Number(address & 0xffffffffn), high: Number(BigInt.asIntN(32, address >> 32n)) };
}

export const PROBE_HELPERS = {
  probe_read: helper(copy, anySpace),
  probe_read_str: helper(copyText, anySpace),
  probe_read_kernel: helper(copy, kernelSpace),
  probe_read_kernel_str: helper(copyText, kernelSpace),
  probe_read_user: helper(copy, userSpace),
  probe_read_user_str: helper(copyText, userSpace),
  copy_from_user: helper(copy, touchedUserSpace),
};

/** A kfunc that reads into a dynptr. */
function intoDynptr(how: Copy, source: Source) {
  return (cpu: Cpu, at: KernelOffset, offset: number, size: number, from: Pointer): number => {
    if (how === copyText && size === 0) return 0;
    const to = writableDynptrBytes(cpu, at, offset, size);
    return to < 0 ? -ERRNO.E2BIG : how(source, cpu, to, size, from);
  };
}

/** A flag of bpf_copy_from_user_str: what is behind the text becomes zeros. */
const BPF_F_PAD_ZEROS = 1;

export const PROBE_KFUNCS = {
  bpf_probe_read_kernel_dynptr: intoDynptr(copy, kernelSpace),
  bpf_probe_read_kernel_str_dynptr: intoDynptr(copyText, kernelSpace),
  bpf_probe_read_user_dynptr: intoDynptr(copy, userSpace),
  bpf_probe_read_user_str_dynptr: intoDynptr(copyText, userSpace),
  bpf_copy_from_user_dynptr: intoDynptr(copy, touchedUserSpace),
  bpf_copy_from_user_str_dynptr: intoDynptr(copyText, touchedUserSpace),

  bpf_copy_from_user_str(cpu: Cpu, to: KernelOffset, size: number, from: Pointer, flags: number): number {
    if (flags !== 0 && flags !== BPF_F_PAD_ZEROS) return -ERRNO.EINVAL;
    const length = copyText(touchedUserSpace, cpu, to, size, from);
    if (length < 0 || flags === BPF_F_PAD_ZEROS)
      cpu.kernel.memory.bytes.fill(0, to + Math.max(0, length), to + size);
    return length;
  },
};
