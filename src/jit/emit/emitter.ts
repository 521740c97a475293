import type { Instruction } from '../../isa/instruction.ts';
import { BPF_REG_10 } from '../../isa/opcodes.ts';
import type { VerifiedProgram } from '../../verifier/result.ts';
import type { Analyses } from '../analyses.ts';
import type { KnownPages } from '../checked-pages.ts';
import { type Code, KERNEL_MEMORY } from '../encode/code.ts';
import { USER_HIGH } from '../encode/module.ts';
import { MEMORY_OP, OP, TYPE } from '../encode/opcodes.ts';
import type { FunctionPlan } from '../plan.ts';
import type { CallOut, JitOptions, RoutineCall, Target } from '../target.ts';
import type { Unit } from '../unit.ts';

/**
 * What all parts of the third stage share: where BPF registers and stack slots of the function that is being written live.
 * A WebAssembly function holds one BPF function and those that were put into it; each has a frame here, with locals of its
 * own for r1 to r9. r0 is one for all: a call leaves its result there.
 */

/** One BPF function inside a WebAssembly function, with the locals of its variables. */
export interface Frame {
  readonly index: number;
  readonly plan: FunctionPlan;
  /** Locals of r0 to r9. */
  readonly registers: readonly number[];
  /** Locals of promoted stack slots, by offset from the frame pointer. */
  readonly cells: ReadonlyMap<number, number>;
  /** Frames around it in the same WebAssembly function. */
  readonly depth: number;
  /** What is left for its may_goto, and until when they may go on. */
  readonly loop: Loop | undefined;
}

export interface Loop {
  readonly count: number;
  readonly deadline: number;
  /** What is left besides the count, where the count is for a part of it: see page-runs.ts. */
  readonly reserve: number | undefined;
}

/** How a version of a unit goes on where it cannot. */
export interface Exits {
  /** Whether it is left where a check fails. */
  readonly isFast: boolean;
  /**
   * Where an arena access fails its check: the number of the block to leave for; undefined where this version checks
   * everything itself.
   */
  failedCheck(frame: number, at: number, looks: boolean): number | undefined;
  /** Where a may_goto has no iterations left, likewise; undefined where this version refills them itself. */
  exhausted(frame: number, at: number): number | undefined;
  /** Where what is asked before a run, behind a may_goto, does not hold. */
  failedRun(frame: number, at: number): number;
  /** Goes over to the version that begins behind a may_goto; undefined where there is none. */
  goOnBehind: ((frame: number, at: number) => void) | undefined;
}

/** Functions of the module that code may call, by what they are. */
export interface Callees {
  /** The function of a subprogram that is called. */
  subprogram(number: number): number;
  /** An imported function. */
  import(name: string): number;
  /** A function that the kernel writes. */
  routine(call: RoutineCall): number;
  /** What a helper or kfunc call comes to. */
  callOut(insn: number): CallOut;
  /** The type of functions that helpers call back: five registers and the frame pointer, to r0. */
  callbackType(): number;
  /** The table that holds them. */
  callbackTable(): number;
  /** The type of programs in the table of programs: context and frame pointer, to r0. */
  programType(): number;
  /** Checks an access in full: see runtime.ts. */
  check(): number;
  misaligned(memory: 0 | 1): number;
}

/** Linux: MAX_BPF_STACK, which is what each frame takes here. */
export const FRAME_BYTES = 512;

export class Emitter {
  readonly code: Code;
  readonly program: VerifiedProgram;
  readonly insns: readonly Instruction[];
  readonly target: Target;
  readonly options: JitOptions;
  readonly callees: Callees;
  readonly plans: readonly FunctionPlan[];
  readonly analyses: Analyses;
  readonly unit: Unit;
  readonly frames: readonly Frame[];
  readonly exits: Exits;
  frame: Frame;
  /** Local of each variable. */
  readonly locals: readonly number[];
  /** Local that holds the frame pointer of the outermost frame, as an offset into kernel memory; i32. */
  readonly framePointer: number | undefined;
  /** Local that holds the lowest address of all frames of this function: what stack accesses count from. */
  #stackBase: number | undefined;
  readonly #kernelHigh: bigint;
  readonly #deepest: number;
  #scratch: number | undefined;
  #pageState: number | undefined;
  #atomicAddress: number | undefined;
  #atomicOld: number | undefined;
  #choice: number | undefined;
  #credit: number | undefined;
  #runEnd: number | undefined;
  /** Local of the upper half of user addresses. */
  #userHigh: number | undefined;

  constructor(
    context: Pick<
      Emitter,
      | 'code'
      | 'program'
      | 'target'
      | 'options'
      | 'callees'
      | 'plans'
      | 'analyses'
      | 'framePointer'
      | 'unit'
      | 'locals'
      | 'exits'
    > & { readonly metered: ReadonlySet<number> },
  ) {
    this.code = context.code;
    this.program = context.program;
    this.insns = context.program.insns;
    this.target = context.target;
    this.#kernelHigh = BigInt(context.target.kernelHigh) << 32n;
    this.options = context.options;
    this.callees = context.callees;
    this.plans = context.plans;
    this.analyses = context.analyses;
    this.framePointer = context.framePointer;
    this.unit = context.unit;
    this.locals = context.locals;
    this.exits = context.exits;
    this.#deepest = context.unit.deepest;
    const { locals } = this;
    this.frames = context.unit.frames.map(({ plan, depth, registers, cells, loop }, index) => ({
      index,
      plan,
      depth,
      registers: registers.map((variable) => locals[variable]),
      cells: new Map([...cells].map(([offset, variable]) => [offset, locals[variable]])),
      loop: loop && {
        count: locals[loop.count],
        deadline: locals[loop.deadline],
        reserve: context.metered.has(index) ? this.code.local(TYPE.i32) : undefined,
      },
    }));
    this.frame = this.frames[0];
  }

  /** The local that a dispatch node reads its choice from. */
  get choice(): number {
    this.#choice ??= this.code.local(TYPE.i32);
    return this.#choice;
  }

  set choice(local: number) {
    this.#choice = local;
  }

  /** An i32 local for values that live no longer than the emission of one access. */
  get scratch(): number {
    this.#scratch ??= this.code.local(TYPE.i32);
    return this.#scratch;
  }

  /**
   * An i32 local for the page table's entry that a check compares. Where the check fails it is handed over, for nothing: V8
   * folds a comparison with a load that nobody else wants, and then loads a second time.
   */
  get pageState(): number {
    this.#pageState ??= this.code.local(TYPE.i32);
    return this.#pageState;
  }

  /** Locals of an atomic operation that is done by plain accesses: where, and what stood there. */
  get atomicAddress(): number {
    this.#atomicAddress ??= this.code.local(TYPE.i32);
    return this.#atomicAddress;
  }

  get atomicOld(): number {
    this.#atomicOld ??= this.code.local(TYPE.i64);
    return this.#atomicOld;
  }

  /** The local that counts how often the version that checks everything still stays in itself. */
  get credit(): number {
    this.#credit ??= this.code.local(TYPE.i32);
    return this.#credit;
  }

  /** The local that holds where the pointer which counts a run's rounds will be behind the last one; i32. */
  get runEnd(): number {
    this.#runEnd ??= this.code.local(TYPE.i32);
    return this.#runEnd;
  }

  /** Called once, before the first instruction. */
  prologue(): void {
    const { arena } = this.target;
    if (arena !== undefined) {
      // No loop changes it, which V8 does not see; unused it costs nothing.
      this.#userHigh = this.code.local(TYPE.i64);
      this.code.globalGet(USER_HIGH);
      this.code.set(this.#userHigh);
    }
    if (this.framePointer === undefined) return;
    this.#stackBase = this.code.local(TYPE.i32);
    this.code.get(this.framePointer);
    this.code.i32(FRAME_BYTES * (1 + this.#deepest));
    this.code.op(OP.i32_sub);
    this.code.set(this.#stackBase);
  }

  /**
   * Adds the first byte of kernel memory, which is 0, to the i32 on the stack: V8 then has that memory's address in a register
   * for what follows, where it would otherwise load it again in each round of a loop. What nobody used it would not load.
   */
  bringMemory(): void {
    this.code.i32(0);
    this.code.memory(MEMORY_OP.i32_load8_u, KERNEL_MEMORY, 0);
    this.code.op(OP.i32_add);
  }

  /** Pushes a register, i64. */
  get(register: number): void {
    if (register !== BPF_REG_10) {
      this.code.get(this.frame.registers[register]);
      return;
    }
    this.pushFramePointer(this.frame.depth);
    this.code.op(OP.i64_extend_i32_u);
    this.kernelPointer();
  }

  /** Pushes the low half of a register, i32. */
  getLow(register: number): void {
    if (register === BPF_REG_10) {
      this.pushFramePointer(this.frame.depth);
      return;
    }
    this.code.get(this.frame.registers[register]);
    this.code.op(OP.i32_wrap_i64);
  }

  /** Pops an i64 into a register. */
  set(register: number): void {
    this.code.set(this.frame.registers[register]);
  }

  /** Pops an i32 into a register, whose upper half becomes 0. */
  setLow(register: number): void {
    this.code.op(OP.i64_extend_i32_u);
    this.set(register);
  }

  /** Makes the offset on the stack, an i64 below 2^32, a pointer into kernel memory. */
  kernelPointer(): void {
    this.code.i64Big(this.#kernelHigh);
    this.code.op(OP.i64_or);
  }

  /** Gives the low half on the stack, an i64 below 2^32, the upper half of the arena's user addresses. */
  userPointer(): void {
    if (this.#userHigh === undefined) throw new TypeError('a program without an arena makes a user pointer');
    this.code.get(this.#userHigh);
    this.code.op(OP.i64_or);
  }

  /** Pushes the frame pointer of the frame at a depth, i32. */
  pushFramePointer(depth: number): void {
    if (this.framePointer === undefined)
      throw new TypeError(`${this.frame.plan.name} was planned without a stack frame`);
    this.code.get(this.framePointer);
    if (depth === 0) return;
    this.code.i32(FRAME_BYTES * depth);
    this.code.op(OP.i32_sub);
  }

  /** Pushes what stack addresses of the current frame count from. @returns the constant to add, for an offset from r10. */
  pushStackBase(offset: number): number {
    if (this.#stackBase === undefined)
      throw new TypeError(`${this.frame.plan.name} was planned without a stack frame`);
    this.code.get(this.#stackBase);
    return FRAME_BYTES * (1 + this.#deepest - this.frame.depth) + offset;
  }

  /** The local that a stack slot of the current frame lives in; undefined where it lives in memory. */
  cell(offset: number): number | undefined {
    return this.frame.cells.get(offset);
  }

  /** Low bits of a register that are surely 0 before an access of the current frame. */
  zeroBits(at: number, register: number): number {
    return this.analyses.zeroBits(this.frame.plan, at, register, this.exits.isFast);
  }

  /** Registers that fast code knows more low bits of at a may_goto than code which checks everything itself. */
  learntAt(at: number): { register: number; bits: number }[] {
    const { plan } = this.frame;
    const found: { register: number; bits: number }[] = [];
    for (let register = 0; register < BPF_REG_10; register++) {
      const bits = this.analyses.zeroBits(plan, at, register, true);
      if (bits > this.analyses.zeroBits(plan, at, register, false)) found.push({ register, bits });
    }
    return found;
  }

  /** What fast code knows of pages before a may_goto; undefined where it makes no use of it. */
  knownPagesAt(at: number): KnownPages | undefined {
    const { plan } = this.frame;
    const { passed, atMayGoto } = this.analyses.checkedPages(plan);
    return passed.size === 0 ? undefined : atMayGoto.get(at);
  }

  /** Whether arithmetic in 64 bits of the current frame may be done in 32. */
  isNarrow(at: number): boolean {
    return this.analyses.isNarrow(this.frame.plan, at);
  }

  /** The low half of a register before an access or a cast, where that is one number. */
  lowConstant(at: number, register: number): number | undefined {
    return this.analyses.lowConstant(this.frame.plan, at, register);
  }

  get arena() {
    if (this.target.arena === undefined) throw new TypeError('a program without an arena reaches into one');
    return this.target.arena;
  }
}
