/**
 * The address model of the embedded kernel: two WebAssembly memories of 4 GiB, memory 0 for an arena, memory 1 for
 * kernel memory (docs/architecture.md). Everything that turns one kind of address into another stands here, and each
 * kind has a branded type, so that mixing them does not compile.
 */

declare const kind: unique symbol;
type Branded<Name extends string> = number & { readonly [kind]: Name };

/** The low 32 bits of an arena pointer, 0 to 2^32 − 1: the index into memory 0. */
export type ArenaAddress = Branded<'arena address'>;
/** A byte offset into memory 1, 0 to 2^32 − 1. 0 is never handed out and stands for "none". */
export type KernelOffset = Branded<'kernel offset'>;

/** CPUs that a kernel may have: as many as a 64-bit mask holds. */
export const MAX_CPUS = 64;

/** Bytes in a page of the arena, on every machine (Linux: PAGE_SIZE on x86-64). */
export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;
/** Pages in 4 GiB, the largest arena. */
export const MAX_PAGES = 2 ** 20;
/** Bytes in one WebAssembly memory, and one more than the largest address in it. */
export const MEMORY_BYTES = 2 ** 32;
/** WebAssembly pages (64 KiB) in one memory. */
export const WASM_PAGES = 65_536;

/**
 * The upper half of every kernel-memory pointer, as a signed 32-bit integer. Not zero, so that NULL stays distinct, and
 * where x86-64 Linux has its direct map, so that a printed pointer looks like what it is.
 */
export const KERNEL_HIGH = 0xffff8880 | 0;

/** The 64-bit pointer for an offset in kernel memory: what a program's register holds. 0 gives NULL. */
export function kernelPointer(offset: KernelOffset): bigint {
  return offset === 0 ? 0n : (BigInt(KERNEL_HIGH >>> 0) << 32n) | BigInt(offset);
}

/** In the first pages of kernel memory, which are never handed out: for each CPU the bpf_spin_lock that it holds, 0: none. */
export const HELD_LOCK = { at: 0x2000, stride: 64 } as const;

/** Rounds bytes up to whole pages. */
export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_SIZE);
}
