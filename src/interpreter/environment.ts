import type { Machine } from './machine.ts';

/**
 * What the interpreter needs from the kernel it runs in. The embedded kernel implements it; tests may, too.
 */

/** Memory 0, seen by a program: the arena it is associated with. */
export interface ArenaWindow {
  /** 4 GiB, indexed by arena address. */
  readonly view: DataView;
  /** One byte for each page of the window: bit 0 present, bit 1 written. */
  readonly pageTable: Uint8Array;
  /** Upper half of user_vm_start, as a signed 32-bit integer. */
  readonly userHigh: number;
  /** BPF_F_NO_USER_CONV: cast_user is a 32-bit move. */
  readonly noUserConv: boolean;
}

/** Bits of {@link ArenaWindow.pageTable}. */
export const PAGE_PRESENT = 1;
export const PAGE_WRITTEN = 2;

export type AccessKind = 'load' | 'store' | 'atomic';

/** An access to a page that was not present. */
export interface ArenaFault {
  /** The kernel's number for the program; absent: the one that the interpreter runs. */
  program?: number;
  /** The slot of the instruction. */
  insn: number;
  /** The arena address, which may lie outside 32 bits when the offset left the window. */
  address: number;
  /** Bytes. */
  size: number;
  access: AccessKind;
}

/** What `may_goto` gives a frame: some iterations, then more of them as long as there is time. */
export interface LoopBudget {
  /** Iterations that a frame may make before it has to ask. */
  readonly iterations: number;
  /**
   * Asked when they are used up, as Linux's timed may_goto asks the clock.
   * @param deadline what this gave the last time in this frame, 0 the first time.
   * @returns a number above 0 when the frame may go on for as many iterations again, else −1, and −1 from then on.
   */
  refill(deadline: number): number;
}

export interface Environment {
  /** Memory 1. */
  readonly kernelMemory: DataView;
  /** Upper half of a kernel-memory pointer, as a signed 32-bit integer. */
  readonly kernelHigh: number;
  /** Absent when the program has no arena. */
  readonly arena: ArenaWindow | undefined;
  /** One past the highest byte of this CPU's program stack, as an offset into kernel memory. */
  readonly stackTop: number;

  /** How long the `may_goto` instructions of a frame may go on. */
  readonly loopBudget: LoopBudget;

  /** The 64-bit pointer for an offset into kernel memory, signed. */
  kernelPointer(offset: number): bigint;

  /**
   * Asked in the checked mode: whether the program may access this kernel memory outside its stack. @returns undefined when it
   * may, else why not (in the verifier's words where it has some).
   */
  refusal(offset: number, size: number, writes: boolean): string | undefined;

  /**
   * Calls helper `id`: takes r1 to r5 from the machine, leaves the result in r0. @returns whether the function that called ends with
   * it: another program ran in its place.
   */
  callHelper(id: number, machine: Machine): boolean;

  /** Calls the kfunc with this BTF id, likewise. */
  callKfunc(id: number, machine: Machine): void;

  /** Loads a number from the packet of a context, as BPF_ABS does. @param offset signed. @returns it, or −1 where there is none. */
  loadPacket(ctx: number, offset: number, size: number): number;

  /** Called for every access to an arena page that is not present. */
  fault(fault: ArenaFault): void;
}
