import { ERRNO } from '../../errors.ts';
import { skbPieces, xdpPieces } from '../contexts/pieces.ts';
import { SkBuff } from '../contexts/skb-buff.ts';
import type { Cpu } from '../cpu.ts';
import { KERNEL_HIGH, type KernelOffset } from '../layout.ts';

/**
 * Dynptrs: pointers with a size that only run time knows. One is 16 bytes on the program's stack, as Linux lays them out: a pointer,
 * which is NULL when it could not be made; its size, with its kind and whether it may be written in the upper byte; and where
 * in the memory behind the pointer it starts. What kind it is says where its bytes are: {@link KINDS}. A packet's are where its
 * context says, and may be in several pieces.
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
/** Flags of bpf_skb_store_bytes. */
const BPF_F_RECOMPUTE_CSUM = 1;
const BPF_F_INVALIDATE_HASH = 2;

/** Linux: enum bpf_dynptr_type. */
export const DYNPTR = { local: 1, ringbuf: 2, skb: 3, xdp: 4, skb_meta: 5 } as const satisfies Record<
  string,
  number
>;
export type DynptrKind = (typeof DYNPTR)[keyof typeof DYNPTR];

/** A part of a dynptr's bytes: where it is in kernel memory, and how long. */
export interface Piece {
  readonly at: number;
  readonly length: number;
}

/** How the memory of a kind of dynptr is reached; `data` is the offset that its pointer names. */
interface Kind {
  /**
   * Where bytes are now, in their order; a negative errno where the packet does not have them any more. Absent: behind one another, from
   * `data` on.
   */
  readonly pieces?: (
    cpu: Cpu,
    data: KernelOffset,
    offset: number,
    length: number,
  ) => readonly Piece[] | number;
  /** The flags that bpf_dynptr_write takes. */
  readonly writeFlags: number;
  /** What it does then besides. */
  readonly written?: (cpu: Cpu, data: KernelOffset, flags: number) => void;
}

const KINDS: Readonly<Record<DynptrKind, Kind>> = {
  [DYNPTR.local]: { writeFlags: 0 },
  [DYNPTR.ringbuf]: { writeFlags: 0 },
  [DYNPTR.skb]: {
    pieces: skbPieces,
    writeFlags: BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH,
    written({ kernel }, ctx, flags) {
      if ((flags & BPF_F_INVALIDATE_HASH) !== 0) new SkBuff(kernel.memory, ctx).clearHash();
    },
  },
  [DYNPTR.xdp]: { pieces: xdpPieces, writeFlags: 0 },
  // No packet here has any: none is ever asked for.
  [DYNPTR.skb_meta]: { pieces: () => -EINVAL, writeFlags: 0 },
};

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
  KINDS[((view.getUint32(at + SIZE, true) >>> KIND_SHIFT) & 7) as DynptrKind];

/** The data of a dynptr, for helpers that give it back; 0 when it is NULL. */
export const dynptrData = dataOf;

/** Why `length` bytes of a dynptr cannot be reached: −EINVAL for one that is NULL, −E2BIG for bytes it does not have; else 0. */
function check(cpu: Cpu, at: number, offset: number, length: number): number {
  if (dataOf(cpu, at) === 0) return -EINVAL;
  const size = sizeOf(cpu, at);
  return length > size || offset > size - length ? -E2BIG : 0;
}

/** Where bytes are that {@link check} lets pass; a negative errno where they are not there any more. */
function piecesOf(cpu: Cpu, at: number, offset: number, length: number): readonly Piece[] | number {
  const { pieces } = kindOf(cpu, at);
  const [data, from] = [dataOf(cpu, at), offsetOf(cpu, at) + offset];
  return pieces === undefined ? [{ at: data + from, length }] : pieces(cpu, data, from, length);
}

/** Where bytes of a dynptr are, if they are in one piece; as {@link check}, and −EFAULT where they are not. */
function bytesAt(cpu: Cpu, at: number, offset: number, length: number): number {
  const error = check(cpu, at, offset, length);
  if (error !== 0) return error;
  if (kindOf(cpu, at).pieces === undefined) return dataOf(cpu, at) + offsetOf(cpu, at) + offset;
  const pieces = piecesOf(cpu, at, offset, length);
  if (typeof pieces === 'number') return pieces;
  return pieces.length === 1 ? pieces[0].at : -ERRNO.EFAULT;
}

/** Likewise, of a dynptr that may be written; −EINVAL otherwise. */
export function writableDynptrBytes(cpu: Cpu, at: number, offset: number, length: number): number {
  return isReadOnly(cpu, at) ? -EINVAL : bytesAt(cpu, at, offset, length);
}

/** Copies bytes of a dynptr to kernel memory. @returns 0, or a negative errno. */
function copyOut(cpu: Cpu, at: number, offset: number, length: number, to: number): number {
  const pieces = piecesOf(cpu, at, offset, length);
  if (typeof pieces === 'number') return pieces;
  const { bytes } = cpu.kernel.memory;
  let done = 0;
  for (const piece of pieces) {
    bytes.copyWithin(to + done, piece.at, piece.at + piece.length);
    done += piece.length;
  }
  return 0;
}

/** Calls for each piece of a dynptr that is written, with how many bytes are before it. @returns 0, or a negative errno. */
function write(
  cpu: Cpu,
  at: number,
  offset: number,
  length: number,
  fill: (piece: Piece, done: number) => void,
): number {
  const pieces = piecesOf(cpu, at, offset, length);
  if (typeof pieces === 'number') return pieces;
  let done = 0;
  for (const piece of pieces) {
    fill(piece, done);
    done += piece.length;
  }
  return 0;
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
  return check(cpu, at, offset, length) || copyOut(cpu, at, offset, length, to);
}

function dynptr_write(
  cpu: Cpu,
  at: KernelOffset,
  offset: number,
  from: KernelOffset,
  length: number,
  flags: number,
): number {
  if (isReadOnly(cpu, at)) return -EINVAL;
  const error = check(cpu, at, offset, length);
  if (error !== 0) return error;
  const { writeFlags, written } = kindOf(cpu, at);
  if ((flags & ~writeFlags) !== 0 || flags > 0xffffffff) return -EINVAL;
  const { bytes } = cpu.kernel.memory;
  const result = write(cpu, at, offset, length, (piece, done) =>
    bytes.copyWithin(piece.at, from + done, from + done + piece.length),
  );
  if (result === 0) written?.(cpu, dataOf(cpu, at), flags);
  return result;
}

/** Packets have no address that stays. */
function dynptr_data(cpu: Cpu, at: KernelOffset, offset: number, length: number): number {
  const start = writableDynptrBytes(cpu, at, offset, length);
  return start < 0 || kindOf(cpu, at).pieces !== undefined ? 0 : start;
}

/** The bytes themselves, where they are in one piece; else copied to the caller's buffer, where it has one. */
function slice(cpu: Cpu, at: KernelOffset, offset: number, buffer: KernelOffset, length: number): number {
  const start = bytesAt(cpu, at, offset, length);
  if (start !== -ERRNO.EFAULT || buffer === 0) return Math.max(0, start);
  return copyOut(cpu, at, offset, length, buffer) === 0 ? buffer : 0;
}

const writableSlice: typeof slice = (cpu, at, offset, buffer, length) =>
  isReadOnly(cpu, at) ? 0 : slice(cpu, at, offset, buffer, length);

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
    const unreadable = check(cpu, from, fromOffset, size);
    const unwritable = isReadOnly(cpu, to) ? -EINVAL : check(cpu, to, toOffset, size);
    if (unreadable !== 0 || unwritable !== 0) {
      // One that is NULL has no bytes, and no bytes can be copied from it to another of its kind.
      if (unreadable === -EINVAL && unwritable === -EINVAL) return size === 0 ? 0 : -E2BIG;
      return unreadable !== 0 && unwritable !== 0 ? -E2BIG : unreadable || unwritable;
    }
    const { bytes } = cpu.kernel.memory;
    const source = piecesOf(cpu, from, fromOffset, size);
    if (typeof source === 'number') return source;
    // A copy of it all first: the two may overlap.
    const copied = new Uint8Array(size);
    let length = 0;
    for (const piece of source) {
      copied.set(bytes.subarray(piece.at, piece.at + piece.length), length);
      length += piece.length;
    }
    return write(cpu, to, toOffset, size, (piece, done) =>
      bytes.set(copied.subarray(done, done + piece.length), piece.at),
    );
  },

  bpf_dynptr_memset(cpu: Cpu, at: KernelOffset, offset: number, size: number, value: number): number {
    if (isReadOnly(cpu, at)) return -EINVAL;
    const error = check(cpu, at, offset, size);
    if (error !== 0) return dataOf(cpu, at) !== 0 ? error : size === 0 && offset === 0 ? 0 : -E2BIG;
    const { bytes } = cpu.kernel.memory;
    return write(cpu, at, offset, size, (piece) => bytes.fill(value, piece.at, piece.at + piece.length));
  },
};
