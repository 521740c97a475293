import type { Reg } from './reg.ts';

/**
 * Eight bytes of stack: what each byte is, and the register that was spilled there. Byte 0 is the highest address, as in
 * Linux's `slot_type`; four bits a byte in one integer, so that a slot is compared and copied as a number.
 */

export const INVALID = 0;
export const SPILL = 1;
export const MISC = 2;
export const ZERO_BYTE = 3;
export const DYNPTR = 4;
export const ITER = 5;
export const IRQ_FLAG = 6;

/** As Linux's log writes them. */
export const BYTE_LETTERS = '?rm0dif';

export class StackSlot {
  readonly bytes: number;
  readonly reg: Reg | undefined;

  constructor(bytes: number, reg: Reg | undefined) {
    this.bytes = bytes;
    this.reg = reg;
  }

  byte(index: number): number {
    return (this.bytes >>> (4 * index)) & 0xf;
  }

  withReg(reg: Reg): StackSlot {
    return reg === this.reg ? this : new StackSlot(this.bytes, reg);
  }

  /** Whether a register was spilled here, whole or its lower part (Linux: is_spilled_reg). */
  get isSpill(): boolean {
    return this.bytes >>> 28 === SPILL;
  }

  get isWholeSpill(): boolean {
    return this.bytes === ALL_SPILL;
  }

  get isScalarSpill(): boolean {
    return this.isSpill && this.reg?.kind === 'scalar';
  }
}

/** All eight bytes the same. */
export function allBytes(type: number): number {
  return (type * 0x11111111) | 0;
}

const ALL_SPILL = allBytes(SPILL);

/** A word with byte `index` changed. */
export function setByte(bytes: number, index: number, type: number): number {
  return (bytes & ~(0xf << (4 * index))) | (type << (4 * index));
}
