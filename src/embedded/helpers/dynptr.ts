import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import { KERNEL_HIGH, type KernelOffset } from '../layout.ts';

/**
 * Dynptrs: pointers with a size that only run time knows. One is 16 bytes on the program's stack, as Linux lays them out: a pointer,
 * which is NULL when it could not be made; its size, with its kind and whether it may be written in the upper byte; and where
 * in the memory behind the pointer it starts. What kind it is says where its bytes are: {@link KINDS}.
 */

const DATA = 0;
const DATA_HIGH = 4;
const SIZE = 8;
const OFFSET = 12;
/** Bytes of a dynptr. */
const BYTES = 16;

/** Linux: DYNPTR_MAX_SIZE. */
const MAX_SIZE = 0xffffff;
const READ_ONLY = 0x80000000;
const KIND_SHIFT = 28;
const { EINVAL, E2BIG, ERANGE } = ERRNO;

/** Linux: enum bpf_dynptr_type. */
export const DYNPTR = { local: 1, ringbuf: 2, skb: 3, xdp: 4, skb_meta: 5 } as const satisfies Record<
  string,
  number
>;
export type DynptrKind = (typeof DYNPTR)[keyof typeof DYNPTR];

/** How the memory of a kind of dynptr is reached; `data` is the offset that its pointer names. */
interface Kind {
  /** Where in kernel memory its first byte is now, and how many there are; without it: at `data`, and as many as it has. */
  readonly place?: (cpu: Cpu, data: KernelOffset) => { readonly start: KernelOffset; readonly size: number };
  /** The flags that bpf_dynptr_write takes. */
  readonly writeFlags: number;
  /** bpf_dynptr_data gives pointers into it. */
  readonly direct: boolean;
}

const OWN_MEMORY: Kind = { writeFlags: 0, direct: true };

const KINDS: Partial<Record<DynptrKind, Kind>> = {
  [DYNPTR.local]: OWN_MEMORY,
  [DYNPTR.ringbuf]: OWN_MEMORY,
};

/** Adds a kind whose memory moves, such as a packet. */
export function addDynptrKind(kind: DynptrKind, how: Kind): void {
  KINDS[kind] = how;
}

/** Makes the dynptr at an offset of kernel memory. @param data 0: none. @param size at most 2^24 − 1 bytes. */
export function makeDynptr(
  { kernelMemory: view }: Cpu,
  at: number,
  kind: DynptrKind,
  data: KernelOffset,
  size: number,
  readOnly = false,
): void {
  view.setUint32(at + DATA, data, true);
  view.setInt32(at + DATA_HIGH, data === 0 ? 0 : KERNEL_HIGH, true);
  view.setUint32(
    at + SIZE,
    data === 0 ? 0 : (size | (kind << KIND_SHIFT) | (readOnly ? READ_ONLY : 0)) >>> 0,
    true,
  );
  view.setUint32(at + OFFSET, 0, true);
}

/** Makes a dynptr that is NULL: what is left where one cannot be made. */
export function makeNullDynptr(cpu: Cpu, at: number): void {
  makeDynptr(cpu, at, DYNPTR.local, 0 as KernelOffset, 0);
}

export const isTooLargeForDynptr = (size: number) => size > MAX_SIZE;

const dataOf = ({ kernelMemory: view }: Cpu, at: number) => view.getUint32(at + DATA, true) as KernelOffset;
const sizeOf = ({ kernelMemory: view }: Cpu, at: number) => view.getUint32(at + SIZE, true) & MAX_SIZE;
const offsetOf = ({ kernelMemory: view }: Cpu, at: number) => view.getUint32(at + OFFSET, true);
const isReadOnly = ({ kernelMemory: view }: Cpu, at: number) => view.getInt32(at + SIZE, true) < 0;
const kindOf = ({ kernelMemory: view }: Cpu, at: number): Kind =>
  KINDS[((view.getUint32(at + SIZE, true) >>> KIND_SHIFT) & 7) as DynptrKind] ?? OWN_MEMORY;

/** The data of a dynptr, for helpers that give it back; 0 when it is NULL. */
export const dynptrData = dataOf;

/**
 * Where `length` bytes of a dynptr are in kernel memory. −EINVAL for one that is NULL, −E2BIG for bytes it does not have, −EFAULT
 * for such as its packet does not have any more.
 */
export function dynptrBytes(cpu: Cpu, at: number, offset: number, length: number): number {
  const data = dataOf(cpu, at);
  if (data === 0) return -EINVAL;
  const size = sizeOf(cpu, at);
  if (length > size || offset > size - length) return -E2BIG;
  const { place } = kindOf(cpu, at);
  const from = offsetOf(cpu, at) + offset;
  if (place === undefined) return data + from;
  const { start, size: there } = place(cpu, data);
  return from + length > there ? -ERRNO.EFAULT : start + from;
}

/** Likewise, of a dynptr that may be written; −EINVAL otherwise. */
export function writableDynptrBytes(cpu: Cpu, at: number, offset: number, length: number): number {
  return isReadOnly(cpu, at) ? -EINVAL : dynptrBytes(cpu, at, offset, length);
}

function dynptr_from_mem(
  cpu: Cpu,
  data: KernelOffset,
  size: number,
  flags: number,
  at: KernelOffset,
): number {
  const error = size > MAX_SIZE ? -E2BIG : flags !== 0 ? -EINVAL : 0;
  if (error === 0) makeDynptr(cpu, at, DYNPTR.local, data, size);
  else makeNullDynptr(cpu, at);
  return error;
}

function dynptr_read(
  cpu: Cpu,
  to: KernelOffset,
  length: number,
  at: KernelOffset,
  offset: number,
  flags: number,
): number {
  if (flags !== 0) return -EINVAL;
  const from = dynptrBytes(cpu, at, offset, length);
  if (from < 0) return from;
  cpu.kernel.memory.bytes.copyWithin(to, from, from + length);
  return 0;
}

function dynptr_write(
  cpu: Cpu,
  at: KernelOffset,
  offset: number,
  from: KernelOffset,
  length: number,
  flags: number,
): number {
  const to = writableDynptrBytes(cpu, at, offset, length);
  if (to < 0) return to;
  if ((flags & ~kindOf(cpu, at).writeFlags) !== 0 || flags > 0xffffffff) return -EINVAL;
  cpu.kernel.memory.bytes.copyWithin(to, from, from + length);
  return 0;
}

function dynptr_data(cpu: Cpu, at: KernelOffset, offset: number, length: number): number {
  const start = writableDynptrBytes(cpu, at, offset, length);
  return start < 0 || !kindOf(cpu, at).direct ? 0 : start;
}

/** A slice is the memory itself: nothing here is in pieces, so the caller's buffer is never needed. */
function slice(cpu: Cpu, at: KernelOffset, offset: number, _buffer: KernelOffset, length: number): number {
  return Math.max(0, dynptrBytes(cpu, at, offset, length));
}

function writableSlice(
  cpu: Cpu,
  at: KernelOffset,
  offset: number,
  _buffer: KernelOffset,
  length: number,
): number {
  return Math.max(0, writableDynptrBytes(cpu, at, offset, length));
}

export const DYNPTR_HELPERS = { dynptr_from_mem, dynptr_read, dynptr_write, dynptr_data };

export const DYNPTR_KFUNCS = {
  bpf_dynptr_slice: slice,
  bpf_dynptr_slice_rdwr: writableSlice,

  bpf_dynptr_size(cpu: Cpu, at: KernelOffset): number {
    return dataOf(cpu, at) === 0 ? -EINVAL : sizeOf(cpu, at);
  },

  bpf_dynptr_is_null: (cpu: Cpu, at: KernelOffset) => dataOf(cpu, at) === 0,

  bpf_dynptr_is_rdonly: (cpu: Cpu, at: KernelOffset) => dataOf(cpu, at) !== 0 && isReadOnly(cpu, at),

  bpf_dynptr_adjust(cpu: Cpu, at: KernelOffset, start: number, end: number): number {
    if (dataOf(cpu, at) === 0 || start > end) return -EINVAL;
    if (end > sizeOf(cpu, at)) return -ERANGE;
    const view = cpu.kernelMemory;
    const flags = (view.getUint32(at + SIZE, true) & ~MAX_SIZE) >>> 0;
    view.setUint32(at + OFFSET, offsetOf(cpu, at) + start, true);
    view.setUint32(at + SIZE, flags + (end - start), true);
    return 0;
  },

  bpf_dynptr_clone(cpu: Cpu, at: KernelOffset, clone: KernelOffset): number {
    if (dataOf(cpu, at) === 0) {
      makeNullDynptr(cpu, clone);
      return -EINVAL;
    }
    cpu.kernel.memory.bytes.copyWithin(clone, at, at + BYTES);
    return 0;
  },

  bpf_dynptr_copy(
    cpu: Cpu,
    to: KernelOffset,
    toOffset: number,
    from: KernelOffset,
    fromOffset: number,
    size: number,
  ): number {
    const source = dynptrBytes(cpu, from, fromOffset, size);
    const target = writableDynptrBytes(cpu, to, toOffset, size);
    if (source >= 0 && target >= 0) {
      cpu.kernel.memory.bytes.copyWithin(target, source, source + size);
      return 0;
    }
    // One that is NULL has no bytes, and no bytes can be copied from it to another of its kind.
    if (source === -EINVAL && target === -EINVAL) return size === 0 ? 0 : -E2BIG;
    return source < 0 && target < 0 ? -E2BIG : Math.min(source, target);
  },

  bpf_dynptr_memset(cpu: Cpu, at: KernelOffset, offset: number, size: number, value: number): number {
    const start = writableDynptrBytes(cpu, at, offset, size);
    if (start >= 0) cpu.kernel.memory.bytes.fill(value, start, start + size);
    else if (start === -EINVAL && dataOf(cpu, at) === 0) return size === 0 && offset === 0 ? 0 : -E2BIG;
    return Math.min(start, 0);
  },
};
