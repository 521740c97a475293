import { BpfError } from '../errors.ts';
import type { Instruction } from '../isa/instruction.ts';
import { imm64, isLdImm64, jumpTarget, subprogramTarget } from '../isa/instruction.ts';
import { BPF_REG_10, MAX_BPF_REG, opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import type { Handler } from './alu.ts';
import type { Environment } from './environment.ts';

/**
 * The state of one running program, and the program in the form that stepping wants. Registers are pairs of 32-bit
 * integers, so that no BigInt is made on the way; a decoded program has one entry per slot in typed arrays. The one
 * trick: immediates stand behind the eleven registers in the same array, so an operation does not care whether its
 * second operand is a register or an immediate.
 */

/** Register r10 and below; operand indexes from here on are immediates. */
const FIRST_IMMEDIATE = MAX_BPF_REG;

/** Bytes of stack in a frame (Linux: MAX_BPF_STACK). */
export const FRAME_BYTES = 512;
/** Frames in a call chain (Linux: MAX_CALL_FRAMES). */
export const MAX_FRAMES = 8;

/** A program decoded for stepping: for each slot its operands. Shared by all machines that run it. */
export class Code {
  readonly program: VerifiedProgram;
  readonly codes: Uint8Array;
  readonly dst: Uint8Array;
  /** Register number, or where the immediate stands in the register file. */
  readonly src: Uint32Array;
  readonly off: Int16Array;
  readonly imm: Int32Array;
  /** The slot a jump or call goes to. */
  readonly target: Int32Array;
  /** The register file as it is before the program starts: zeroes, then the immediates. */
  readonly registers: Int32Array;
  /** Whether runs are watched for what the verifier should have refused: the checked mode, for tests. */
  readonly checked: boolean;
  /** What executes each slot; the interpreter fills it in. */
  handlers: readonly Handler[] | undefined;

  /** @param resolve gives the 64-bit value of a ld_imm64 that stands for a map, a map value or the like. */
  constructor(
    program: VerifiedProgram,
    resolve: (insn: Instruction, index: number) => bigint | undefined,
    checked = false,
  ) {
    const { insns } = program;
    this.program = program;
    this.checked = checked;
    this.codes = Uint8Array.from(insns, (insn) => insn.code);
    this.dst = Uint8Array.from(insns, (insn) => insn.dst);
    this.off = Int16Array.from(insns, (insn) => insn.off);
    this.imm = Int32Array.from(insns, (insn) => insn.imm);
    this.src = new Uint32Array(insns.length);
    this.target = new Int32Array(insns.length);
    const immediates: number[] = [];
    const operand = (low: number, high: number) => FIRST_IMMEDIATE - 1 + immediates.push(low, high) / 2;
    insns.forEach((insn, index) => {
      this.target[index] = jumpTarget(insn, index) ?? subprogramTarget(insn, index) ?? 0;
      if (isLdImm64(insn)) {
        const value = resolve(insn, index) ?? program.functionNumber(index) ?? imm64(insns, index);
        const halves = [value, value >> 32n].map((half) => Number(BigInt.asIntN(32, half)));
        this.src[index] = operand(halves[0], halves[1]);
      } else {
        const row = opcode(insn.code);
        const immediate = row !== undefined && 'source' in row && row.source === 'K';
        this.src[index] = immediate ? operand(insn.imm, insn.imm >> 31) : insn.src;
      }
    });
    this.registers = new Int32Array(2 * (FIRST_IMMEDIATE + immediates.length / 2));
    this.registers.set(immediates, 2 * FIRST_IMMEDIATE);
  }
}

/** What a call saves: the caller's r6 to r9, where to go on, and its loop budget. */
interface Frame {
  registers: Int32Array;
  returnTo: number;
  mayGoto: number;
  deadline: number;
}

export class Machine {
  readonly code: Code;
  readonly environment: Environment;
  /** r0's low half, r0's high half, r1's low half, …, then the immediates. */
  readonly regs: Int32Array;
  /** The same as 64-bit integers, for the few operations that need them. */
  readonly wide: BigInt64Array;
  /** One past the highest byte of the stack, as an offset into kernel memory. */
  readonly stackTop: number;
  /** The memory that the current access reaches. */
  target: DataView;
  /** The slot that is executed next; undefined meaning once {@link finished}. */
  pc = 0;
  finished = false;
  /** Instructions executed so far. */
  executed = 0;
  /** Instructions after which it is stopped. */
  limit = Number.POSITIVE_INFINITY;
  /** What is left for the may_goto instructions of the current frame. */
  mayGoto: number;
  /** What {@link LoopBudget.refill} gave the current frame. */
  deadline = 0;
  #mostFrames = MAX_FRAMES;
  readonly #frames: Frame[] = [];

  /**
   * @param context value of r1, a 64-bit kernel-memory pointer as two halves, or a plain number.
   * @param stackTop where its stack begins, when that is not the CPU's.
   */
  constructor(
    code: Code,
    environment: Environment,
    context: { low: number; high: number },
    stackTop = environment.stackTop,
  ) {
    this.code = code;
    this.environment = environment;
    this.target = environment.kernelMemory;
    this.regs = code.registers.slice();
    this.wide = new BigInt64Array(this.regs.buffer);
    this.stackTop = stackTop;
    this.mayGoto = environment.loopBudget.iterations;
    this.regs[2] = context.low;
    this.regs[3] = context.high;
    this.setFramePointer();
  }

  /** The value of a register, unsigned. */
  register(number: number): bigint {
    return BigInt.asUintN(64, this.wide[number]);
  }

  /** Frames in the call chain, at least 1. */
  get depth(): number {
    return this.#frames.length + 1;
  }

  /** Where each frame stands, innermost first: the slot it executes or returns to. */
  get callChain(): number[] {
    return [this.pc, ...this.#frames.map((frame) => frame.returnTo - 1).reverse()];
  }

  /** What a register of a frame holds or will hold again, unsigned: frame 0 is the program's own, and an outer frame has saved r6 to r9. */
  registerOf(frame: number, number: number): bigint {
    if (frame === this.#frames.length) return this.register(number);
    const saved = new BigInt64Array(this.#frames[frame].registers.buffer);
    return BigInt.asUintN(64, saved[number - 6]);
  }

  /** The lowest stack offset that the current frame may use. */
  get stackBottom(): number {
    return this.stackTop - this.depth * FRAME_BYTES;
  }

  /** Leaves all functions: an exception has ended them. What is called then may be as deep as the program was. */
  unwind(): void {
    this.#frames.length = 0;
    this.#mostFrames = MAX_FRAMES + 1;
    this.setFramePointer();
  }

  /** Enters a subprogram. @returns its first slot. */
  enter(target: number, returnTo: number): number {
    if (this.depth === this.#mostFrames) {
      throw new BpfError('E2BIG', `the call stack of ${this.depth + 1} frames is too deep`);
    }
    const registers = this.regs.slice(2 * 6, 2 * 10);
    this.#frames.push({ registers, returnTo, mayGoto: this.mayGoto, deadline: this.deadline });
    this.mayGoto = this.environment.loopBudget.iterations;
    this.deadline = 0;
    this.setFramePointer();
    return target;
  }

  /** Leaves the current function. @returns the slot to go on at, or −1 when it was the program's own. */
  leave(): number {
    const frame = this.#frames.pop();
    if (frame === undefined) {
      this.finished = true;
      return -1;
    }
    this.regs.set(frame.registers, 2 * 6);
    this.mayGoto = frame.mayGoto;
    this.deadline = frame.deadline;
    this.setFramePointer();
    return frame.returnTo;
  }

  /** After a call, r1 to r5 hold nothing. Zero keeps runs repeatable; the verifier refuses to read them. */
  forgetArguments(): void {
    this.regs.fill(0, 2, 12);
  }

  private setFramePointer(): void {
    this.wide[BPF_REG_10] = this.environment.kernelPointer(this.stackTop - this.#frames.length * FRAME_BYTES);
  }
}
