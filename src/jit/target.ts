import type { Code } from './encode/code.ts';
import type { Expression } from './encode/expressions.ts';

/**
 * What the JIT has to know of the kernel it makes code for. The kernel describes how each call that leaves the program is
 * made; the JIT knows no helper by name.
 */

/** How a register, or a value, becomes an argument of an imported function. */
export type ArgumentForm =
  /** The low half, i32. */
  | 'low'
  /** The upper half, i32. */
  | 'high'
  /** A number that the kernel knows, i32; of no register. */
  | 'constant'
  /** The frame pointer of a function that is called from here, as an offset into kernel memory, i32; of no register. */
  | 'frame'
  /** All 64 bits, unsigned, rounded to a double. */
  | 'double'
  /** All 64 bits: arrives as a BigInt, so for what is called seldom. */
  | 'wide';

/** How the result of an imported function becomes r0. */
export type ResultForm =
  | 'none'
  /** A double that is a whole number of at most 53 bits. */
  | 'double'
  /** i32, as an unsigned integer. */
  | 'low'
  /** i32: an offset into kernel memory, 0 for NULL. */
  | 'pointer'
  /** i64: a BigInt. */
  | 'wide';

/** A function that JavaScript provides. */
export interface ImportedCall {
  readonly kind: 'import';
  readonly name: string;
  /** Which register, and in which form. */
  readonly args: readonly {
    readonly register: number;
    readonly form: ArgumentForm;
    /** Of a `constant`. */
    readonly value?: number;
  }[];
  readonly result: ResultForm;
}

/**
 * What the kernel does in WebAssembly of its own: a function that each module has once, so that a map operation leaves neither
 * the module nor the machine code that V8 makes of it.
 */
export interface RoutineCall {
  readonly kind: 'routine';
  /** Of the function; the same name stands for the same code. */
  readonly name: string;
  /** Its parameters: i32 for `low`, i64 for `wide`. */
  readonly args: readonly { readonly register: number; readonly form: 'low' | 'wide' }[];
  /** `low` and `pointer` are an i32, `wide` an i64. */
  readonly result: 'none' | 'low' | 'pointer' | 'wide';
  /** What it calls where it cannot go on; its arguments are among the routine's. Undefined where it always can. */
  readonly otherwise: ImportedCall | undefined;
  /**
   * Writes its body, which leaves the result.
   * @param otherwise leaves what the import gives for the same arguments; locals of the body must not be parameters.
   */
  write(code: Code, otherwise: Expression): void;
}

/** A lookup in an array: r2 points to a 32-bit index. */
export interface ArrayElementCall {
  readonly kind: 'array-element';
  /** Of element 0, as an offset into kernel memory. */
  readonly first: number;
  /** Bytes from one element to the next. */
  readonly stride: number;
  readonly entries: number;
  /** Bytes from a CPU's elements to the next CPU's; 0 where all have the same. */
  readonly cpuStride: number;
}

/** A result that is the same as long as the program is loaded. */
export interface ConstantCall {
  readonly kind: 'constant';
  readonly value: bigint;
}

/** A call that gives what is in a register. */
export interface CopyCall {
  readonly kind: 'copy';
  readonly register: number;
}

/** The number of the CPU that the program runs on. */
export interface CpuNumberCall {
  readonly kind: 'cpu-number';
}

/**
 * bpf_loop: r1 rounds at most, of the function whose number is in r2, with the round and r3; r4 has to be 0. More than
 * `most` rounds are refused.
 */
export interface LoopCall {
  readonly kind: 'loop';
  readonly most: number;
}

/**
 * bpf_tail_call: the program in slot r3 of the array that r2 points to goes on in place of this one, with the context in r1; a
 * slot holds a number in the table of programs, 0 for none. At most `most` in one run.
 */
export interface TailCall {
  readonly kind: 'tail-call';
  /** Offsets in the map's header of the number of slots, and of the place where the slots begin. */
  readonly entries: number;
  readonly slots: number;
  /** Bytes from one slot to the next. */
  readonly stride: number;
  readonly most: number;
}

export type CallOut =
  | CopyCall
  | TailCall
  | LoopCall
  | ImportedCall
  | RoutineCall
  | ArrayElementCall
  | ConstantCall
  | CpuNumberCall;

export interface ArenaTarget {
  /** Where in kernel memory the page table lies: a byte for each of the 2^20 pages of the window. */
  readonly pageTable: number;
  /**
   * Where in kernel memory a word lies that is not 0 once other threads may touch the arena while a program runs; undefined
   * where they always may.
   */
  readonly exposed?: number | undefined;
  /** No page is taken away while the program runs, since it frees none and nobody else is there. */
  readonly pagesStay?: boolean;
  /** cast_user is a 32-bit move. */
  readonly noUserConv: boolean;
  /** Arena addresses that can ever be present: first, and one past the last. */
  readonly start: number;
  readonly end: number;
}

/** How far an instruction's offset reaches. */
const REACH = 0x8000;

/** Whether an address that wraps around at 4 GiB lies where the arena has no page, so that it may be used as it is. */
export function hasMargins({ start, end }: ArenaTarget): boolean {
  return start >= REACH + 8 && end <= 2 ** 32 - REACH;
}

export interface Target {
  /** Upper half of a pointer into kernel memory, as a signed 32-bit integer. */
  readonly kernelHigh: number;
  readonly arena: ArenaTarget | undefined;
  /** Iterations that the `may_goto` of a frame get before they ask for more. */
  readonly loopIterations: number;
  /** Offset in kernel memory of the word that misaligned atomics lock. */
  readonly atomicLock: number;
  /** In kernel memory: a word for each CPU, {@link PER_CPU} bytes apart, that counts the tail calls of a run. */
  readonly tailCalls: number;
  /** Every access to an absent page calls the import `fault`. */
  readonly reportsFaults: boolean;
  /** The 64-bit value of the ld_imm64 in this slot. */
  constant(insn: number): bigint;
  /** Whether that value is a user address of the arena: then its upper half comes from the instance. */
  isArenaAddress(insn: number): boolean;
  /** How the call of a helper or kfunc in this slot is made. */
  call(insn: number): CallOut;
}

/** Bytes of kernel memory that a CPU has to itself, so that it shares no cache line. */
export const PER_CPU = 64;

/** Bits of a page table entry. A store without more ado wants both. */
export const PAGE_PRESENT = 1;
export const PAGE_WRITTEN = 2;

/** What can be switched off, to see what it is worth or costs. All are on by default; without the checks arenas are not safe. */
export interface JitOptions {
  /** Stores look their page up. */
  readonly storeChecks?: boolean;
  /** Accesses that straddle pages, or leave the window, are found. */
  readonly straddleChecks?: boolean;
  /** One check for several accesses through a pointer. */
  readonly grouping?: boolean;
  /** Code that relies on its checks is apart from code that does not. */
  readonly versions?: boolean;
  /** Jumps around a few register operations become choices between values. */
  readonly choices?: boolean;
  /** Stack slots become locals. */
  readonly promotion?: boolean;
  /** Small static functions are inlined. */
  readonly inlining?: boolean;
  /** Calls that WebAssembly can do itself are done there. */
  readonly intrinsics?: boolean;
  /** Arithmetic whose upper half nobody wants is done in 32 bits. */
  readonly narrowing?: boolean;
  /** Atomic operations are plain accesses while no other thread can be there. */
  readonly plainAtomics?: boolean;
  /** Proven alignment and ranges save checks. */
  readonly ranges?: boolean;
  /** Loops that walk through arrays ask for many rounds at once. */
  readonly runs?: boolean;
}
