import type { RawRunOptions } from '../bytes.ts';
import { BpfError } from '../errors.ts';
import type { ArenaFault, ArenaWindow, Environment, LoopBudget } from '../interpreter/environment.ts';
import { invoke as call, run } from '../interpreter/interpreter.ts';
import { FRAME_BYTES, MAX_FRAMES, Machine } from '../interpreter/machine.ts';
import type { FaultReport, RunResult } from '../kernel.ts';
import { BPF_MAP_LAYOUT } from './btf.ts';
import { clock } from './clock.ts';
import { MAX_CTX, PLACE_BYTES } from './contexts/context.ts';
import { loadFromPacket } from './contexts/packet-load.ts';
import { contextOfType } from './contexts/table.ts';
import type { CpuHost, RunningProgram } from './cpus/host.ts';
import type { Grace } from './grace.ts';
import { resultOf, resultOfThrown } from './helpers/exceptions.ts';
import { releaseLocks } from './helpers/locks.ts';
import { callerOf } from './instance.ts';
import { callHelper, callKfunc } from './interpreted-calls.ts';
import { KERNEL_HIGH, type KernelOffset, kernelPointer, PAGE_SIZE } from './layout.ts';
import { MAX_TAIL_CALLS } from './maps/prog-array.ts';
import { TailCalls, windowOf } from './tail-calls.ts';

/**
 * One CPU: it runs programs, and has a program stack and a place for contexts in kernel memory. To the interpreter it is
 * the environment: it says how helpers are called, and in the checked mode which kernel memory a program may
 * access.
 */

/** Linux: BPF_PROG_TEST_RUN takes it in 32 bits. */
const MAX_REPEAT = 2 ** 32 - 1;
/** Instructions whose faults are reported in one run; a program has seldom more than a few. */
const MAX_FAULT_SITES = 1_000;
/** Linux: BPF_COMPLEXITY_LIMIT_INSNS; no program has more instructions. */
const MAX_INSNS = 1_000_000;
/** Each tail call may leave frames of its caller's callers below its own, and an exception's callback has frames below those of who throws. */
const STACK_BYTES = (MAX_TAIL_CALLS * (MAX_FRAMES - 1) + 2 * MAX_FRAMES) * FRAME_BYTES;

/** Kernel memory that a program may read, and write where that is said. */
export interface Given {
  readonly start: KernelOffset;
  readonly bytes: number;
  readonly writes: boolean;
}

/** A program that called a helper, which may call its functions. */
export interface Caller {
  /** The kernel's number for the program. */
  readonly program: number;
  /** @param args r1 and on, at most 5. @returns r0, unsigned. */
  invoke(subprogram: number, args: readonly bigint[]): bigint;
  /** An exception has ended all of its functions; absent where they left by it. */
  unwind?(): void;
}

export class Cpu implements Environment {
  readonly id: number;
  readonly kernel: CpuHost;
  readonly kernelMemory: DataView;
  readonly kernelHigh = KERNEL_HIGH;
  readonly stackTop: number;
  readonly loopBudget: LoopBudget;
  readonly tailCalls: TailCalls;
  /** The program that runs. */
  program: RunningProgram | undefined;
  /** What user space threw when it was told something, for when the program has ended. */
  failure: { readonly error: unknown } | undefined;
  /** The locks in map values that it holds. */
  readonly heldLocks: KernelOffset[] = [];
  /** For the interpreter: the program that runs, or that runs in its place, and its arena. */
  interpreted: RunningProgram | undefined;
  arena: ArenaWindow | undefined;
  readonly #grace: Grace;
  /** Where `run` puts contexts and packets. */
  readonly #place: KernelOffset;
  /** The context of the program that runs: its first byte (0: none), its bytes, and the end of its place. */
  #ctxAt = 0;
  #ctxSize = 0;
  /** Memory that the program may use for a while, because a helper lets it or what shows it something. */
  #given: readonly Given[] = [];
  /** Who called the helper that runs. */
  #caller: Caller | undefined;
  #ctxEnd = 0;
  readonly #faults = new Map<number, ArenaFault & { count: number }>();

  constructor(kernel: CpuHost, id: number) {
    this.kernel = kernel;
    this.id = id;
    this.loopBudget = kernel.loopBudget;
    this.kernelMemory = kernel.memory.view;
    this.#grace = kernel.memory.grace;
    this.#grace.cpus = kernel.cpus;
    this.tailCalls = new TailCalls(this);
    // One page more than the stack, so that an access past its top meets nothing of this CPU.
    const stack = kernel.memory.allocate(STACK_BYTES + PAGE_SIZE);
    this.stackTop = stack + STACK_BYTES;
    this.#place = kernel.memory.allocate(PLACE_BYTES);
  }

  kernelPointer(offset: number): bigint {
    return BigInt.asIntN(64, kernelPointer(offset as KernelOffset));
  }

  /**
   * Runs a program to its end, `repeat` times.
   * Throws EINVAL for a context that is too large or a repeat that is none, ETIMEDOUT and Violation as the interpreter.
   */
  run(program: RunningProgram, options: RawRunOptions = {}): RunResult {
    const { repeat = 1, cpu } = options;
    this.checkId(cpu);
    if (!Number.isInteger(repeat) || repeat < 1 || repeat > MAX_REPEAT)
      throw new BpfError('EINVAL', `repeat is a whole number from 1 to ${MAX_REPEAT}, not ${repeat}`);
    // Before anything is laid out: what runs has its context in the same place.
    if (this.program !== undefined) this.#refuseBusy(this.program);
    const { memory } = this.kernel;
    const context = contextOfType(program.type);
    const { ctx, size } = context.enter(memory, this.#place, program, options);
    this.begin(program, ctx, size, ctx === 0 ? 0 : ctx + MAX_CTX);
    try {
      const start = performance.now();
      const retval = this.#repeat(program, ctx, repeat);
      const durationNs = Math.round(((performance.now() - start) * 1e6) / repeat);
      const faults = this.reports(program);
      return { retval, durationNs, ...context.leave(memory, this.#place, program, options), faults };
    } finally {
      this.leave();
    }
  }

  /**
   * Runs a program whose context lies in kernel memory. @param ctx its first byte. @param size its bytes. @returns r0's low half,
   * unsigned. Throws EBUSY, and as {@link run}.
   */
  runAt(program: RunningProgram, ctx: number, size: number): number {
    this.begin(program, ctx, size, ctx + size);
    try {
      return this.#repeat(program, ctx, 1);
    } finally {
      this.leave();
    }
  }

  /** Throws EINVAL for a CPU that is not this one. */
  checkId(cpu: number | undefined): void {
    if (cpu === undefined || cpu === this.id) return;
    const { cpus } = this.kernel;
    if (Number.isInteger(cpu) && cpu >= 0 && cpu < cpus)
      throw new BpfError('EINVAL', `CPU ${cpu} is another thread, so runs there are asynchronous: use runOn`);
    const has = cpus === 1 ? 'one CPU, 0' : `CPUs 0 to ${cpus - 1}`;
    throw new BpfError('EINVAL', `the embedded kernel has ${has}; there is no CPU ${cpu}`);
  }

  /** @returns r0's low half, unsigned, of the last round. */
  #repeat(program: RunningProgram, ctx: number, repeat: number): number {
    let retval = 0;
    if (program.compiled !== undefined) {
      const { run: call } = program.compiled.entry(this);
      for (let round = 0; round < repeat; round++) {
        try {
          retval = call(ctx, this.stackTop);
        } catch (thrown) {
          retval = Number(resultOfThrown(thrown) & 0xffffffffn);
        }
      }
      return retval >>> 0;
    }
    for (let round = 0; round < repeat; round++) retval = this.interpret(program, ctx);
    return retval;
  }

  /** Runs a program on the interpreter. @param ctx the context's offset in kernel memory, 0: none. @returns as `#repeat`. */
  interpret(program: RunningProgram, ctx: number): number {
    this.tailCalls.reset();
    const context = { low: ctx, high: ctx === 0 ? 0 : KERNEL_HIGH };
    const machine = new Machine(program.code, this, context);
    const r0 = resultOf(() => run(machine, this.kernel.instructionBudget));
    return Number(r0 & 0xffffffffn);
  }

  /** Makes a program the one that runs, with these bytes as its context. Throws EBUSY when one does. @returns what r1 holds then. */
  enter(program: RunningProgram, ctx: Uint8Array | undefined): { low: number; high: number } {
    if (ctx === undefined) {
      this.begin(program, 0, 0, 0);
      return { low: 0, high: 0 };
    }
    this.begin(program, this.#place, ctx.length, this.#place + MAX_CTX);
    this.kernel.memory.bytes.set(ctx, this.#place);
    return { low: this.#place, high: KERNEL_HIGH };
  }

  /**
   * Makes a program the one that runs, with a context that lies in kernel memory. Throws EBUSY when one does.
   * @param ctx the context's offset in kernel memory, 0: none. @param size its bytes. @param end of the place it has.
   */
  begin(program: RunningProgram, ctx: number, size: number, end: number): void {
    if (this.program !== undefined) this.#refuseBusy(this.program);
    this.#grace.enter(this.id);
    this.program = program;
    if (program.compiled === undefined) {
      this.arena = program.arena && windowOf(program.arena);
      this.interpreted = program;
    }
    this.#ctxAt = ctx;
    this.#ctxSize = size;
    this.#ctxEnd = end;
    if (this.#faults.size > 0) this.#faults.clear();
  }

  /** Undoes {@link enter} and {@link begin}. Throws what user space threw in between. */
  leave(): void {
    this.program = undefined;
    releaseLocks(this);
    this.#grace.leave(this.id);
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure.error;
  }

  #refuseBusy({ name }: RunningProgram): never {
    throw new BpfError('EBUSY', `CPU ${this.id} runs ${name}`);
  }

  refusal(offset: number, size: number, writes: boolean): string | undefined {
    const ctx = this.#ctxAt;
    const ofContext = ctx !== 0 && offset >= ctx && offset < this.#ctxEnd;
    if (ofContext && offset + size <= ctx + this.#ctxSize) return undefined;
    if (offset >= this.#place && offset < this.#place + PLACE_BYTES) {
      const context = this.program && contextOfType(this.program.type);
      const refusal = context?.refusal?.(this.kernel.memory, this.#place, offset, size, writes);
      if (refusal !== undefined || context?.refusal !== undefined) return refusal;
    }
    if (ofContext) return `invalid bpf_context access off=${offset - ctx} size=${size}`;
    const isInside = (each: Given) => offset >= each.start && offset + size <= each.start + each.bytes;
    if (this.#given.some((each) => isInside(each) && (each.writes || !writes))) return undefined;
    if (this.kernel.memory.heap.holds(offset, size)) return undefined;
    const map = this.kernel.mapWithValueAt(offset);
    if (map !== undefined) return map.refusal(offset, size, writes);
    if (offset >= this.stackTop - STACK_BYTES && offset < this.stackTop + PAGE_SIZE) {
      return `invalid ${writes ? 'write to' : 'read from'} stack, off=${offset - this.stackTop} size=${size}`;
    }
    const header = writes ? undefined : this.kernel.mapAt(offset as KernelOffset, true)?.header;
    return header !== undefined && offset + size <= header + BPF_MAP_LAYOUT.size
      ? undefined
      : `kernel memory at offset 0x${offset.toString(16)} does not belong to the program`;
  }

  /** Runs an action in which programs may use some more kernel memory: for the checked mode. */
  giving<Result>(given: readonly Given[], action: () => Result): Result {
    const outer = this.#given;
    this.#given = [...outer, ...given];
    try {
      return action();
    } finally {
      this.#given = outer;
    }
  }

  callHelper(id: number, machine: Machine): boolean {
    return callHelper(this, id, machine);
  }

  callKfunc(id: number, machine: Machine): void {
    callKfunc(this, id, machine);
  }

  /**
   * Calls a function of the program that runs, as the helper that it has called does with a callback; only within {@link callingBack}.
   * @param args r1 and on, at most 5. @returns r0, unsigned.
   */
  invoke(subprogram: number, args: readonly bigint[]): bigint {
    return this.caller.invoke(subprogram, args);
  }

  /** The number of the program that called the helper that runs; only within {@link callingBack}. */
  get deferring(): number {
    return this.caller.program;
  }

  /** The program that called the helper that runs; only within {@link callingBack}. */
  get caller(): Caller {
    if (this.#caller === undefined) throw new TypeError('no helper that calls back is running');
    return this.#caller;
  }

  /** Nanoseconds, as bpf_ktime_get_ns gives them. */
  now(): number {
    return Math.floor(clock() * 1e6);
  }

  /** Calls a function of a program that nothing else runs of. Throws EBUSY, and as {@link run}. @param args r1 and on. */
  callBack(program: RunningProgram, subprogram: number, args: readonly bigint[]): void {
    this.begin(program, 0, 0, 0);
    try {
      const { compiled } = program;
      if (compiled !== undefined) {
        resultOf(() => callerOf(compiled.entry(this), program.id, this.stackTop).invoke(subprogram, args));
        return;
      }
      const machine = new Machine(program.code, this, { low: 0, high: 0 });
      machine.limit = this.kernel.instructionBudget;
      resultOf(() => call(machine, subprogram, args));
    } finally {
      this.leave();
    }
  }

  /** Runs a helper that may call functions of the program back. */
  callingBack<Result>(caller: Caller, helper: () => Result): Result {
    const outer = this.#caller;
    this.#caller = caller;
    try {
      return helper();
    } finally {
      this.#caller = outer;
    }
  }

  loadPacket(ctx: number, offset: number, size: number): number {
    return loadFromPacket(this.kernel.memory, ctx as KernelOffset, offset, size);
  }

  fault(fault: ArenaFault): void {
    if (this.kernel.faults === 'off') return;
    // A run may reach other programs, by tail calls.
    const program = fault.program ?? this.interpreted?.id ?? 0;
    const site = program * MAX_INSNS + fault.insn;
    const known = this.#faults.get(site);
    if (known !== undefined) known.count++;
    else if (this.#faults.size < MAX_FAULT_SITES) this.#faults.set(site, { ...fault, program, count: 1 });
  }

  /** The faults of the run that ends now. */
  reports(program: RunningProgram): FaultReport[] {
    if (this.#faults.size === 0) return [];
    return [...this.#faults.values()].map((fault) =>
      (this.kernel.programById(fault.program ?? 0) ?? program).explain(fault),
    );
  }
}
