import { BpfError } from '../errors.ts';
import type { ArenaFault, ArenaWindow, Environment, LoopBudget } from '../interpreter/environment.ts';
import { Violation } from '../interpreter/guard.ts';
import { invoke, run } from '../interpreter/interpreter.ts';
import { FRAME_BYTES, MAX_FRAMES, Machine } from '../interpreter/machine.ts';
import { helperName } from '../isa/helper-names.ts';
import type { FaultReport, RunOptions, RunResult } from '../kernel.ts';
import { BPF_F_RDONLY_PROG } from '../object/map-flags.ts';
import type { HelperArgument, HelperPrototype } from '../verifier/helpers.ts';
import { BPF_MAP_LAYOUT } from './btf.ts';
import type { CpuHost, RunningProgram } from './cpus/host.ts';
import type { Pointer } from './helpers/arena.ts';
import type { ArgumentForm } from './helpers/kfunc-table.ts';
import { helper } from './helpers/table.ts';
import { KERNEL_HIGH, type KernelOffset, kernelPointer, PAGE_SIZE } from './layout.ts';
import type { EmbeddedMap } from './maps/map.ts';

/**
 * One CPU: it runs programs, and has a program stack and a place for contexts in kernel memory. To the interpreter it is
 * the environment: it turns registers into the arguments of helpers and kfuncs, and in the checked mode it says which
 * kernel memory a program may access.
 */

/** Linux: U16_MAX, the largest context of a syscall program. */
export const MAX_CTX = 65_535;
/** Linux: BPF_PROG_TEST_RUN takes it in 32 bits. */
const MAX_REPEAT = 2 ** 32 - 1;
/** Instructions whose faults are reported in one run; a program has seldom more than a few. */
const MAX_FAULT_SITES = 1_000;
const STACK_BYTES = MAX_FRAMES * FRAME_BYTES;

export class Cpu implements Environment {
  readonly id: number;
  readonly kernel: CpuHost;
  readonly kernelMemory: DataView;
  readonly kernelHigh = KERNEL_HIGH;
  readonly stackTop: number;
  readonly loopBudget: LoopBudget;
  /** The program that runs. */
  program: RunningProgram | undefined;
  /** For the interpreter. */
  arena: ArenaWindow | undefined;
  /** Where `run` puts contexts. */
  readonly #ctx: KernelOffset;
  /** The context of the program that runs: its first byte (0: none), its bytes, and the end of its place. */
  #ctxAt = 0;
  #ctxSize = 0;
  /** What the helper that runs was called by. */
  #machine: Machine | undefined;
  #ctxEnd = 0;
  readonly #faults = new Map<number, ArenaFault & { count: number }>();

  constructor(kernel: CpuHost, id: number) {
    this.kernel = kernel;
    this.id = id;
    this.loopBudget = kernel.loopBudget;
    this.kernelMemory = kernel.memory.view;
    // One page more than the stack, so that an access past its top meets nothing of this CPU.
    const stack = kernel.memory.allocate(STACK_BYTES + PAGE_SIZE);
    this.stackTop = stack + STACK_BYTES;
    this.#ctx = kernel.memory.allocate(MAX_CTX);
  }

  kernelPointer(offset: number): bigint {
    return BigInt.asIntN(64, kernelPointer(offset as KernelOffset));
  }

  /**
   * Runs a program to its end, `repeat` times.
   * Throws EINVAL for a context that is too large or a repeat that is none, ETIMEDOUT and Violation as the interpreter.
   */
  run(program: RunningProgram, { ctx, data, repeat = 1, cpu }: RunOptions = {}): RunResult {
    if (data !== undefined) throw new BpfError('EINVAL', `a program of type ${program.type} takes no packet`);
    this.checkId(cpu);
    if (!Number.isInteger(repeat) || repeat < 1 || repeat > MAX_REPEAT)
      throw new BpfError('EINVAL', `repeat is a whole number from 1 to ${MAX_REPEAT}, not ${repeat}`);
    checkContext(program, ctx);
    const { low: at } = this.enter(program, ctx);
    try {
      const start = performance.now();
      const retval = this.#repeat(program, at, repeat);
      const durationNs = Math.round(((performance.now() - start) * 1e6) / repeat);
      const faults = this.reports(program);
      if (ctx === undefined) return { retval, durationNs, faults };
      const ctxOut = this.kernel.memory.bytes.slice(at, at + ctx.length);
      return { retval, durationNs, ctxOut, faults };
    } finally {
      this.leave();
    }
  }

  /** Throws EINVAL for a CPU that is not this one, the only one. */
  checkId(cpu: number | undefined): void {
    if (cpu === undefined || cpu === this.id) return;
    throw new BpfError('EINVAL', `the embedded kernel has one CPU, ${this.id}; there is no CPU ${cpu}`);
  }

  /** @returns r0's low half, unsigned, of the last round. */
  #repeat(program: RunningProgram, ctx: number, repeat: number): number {
    let retval = 0;
    if (program.compiled !== undefined) {
      const { run: call } = program.compiled.entry(this);
      for (let round = 0; round < repeat; round++) retval = call(ctx, this.stackTop);
      return retval >>> 0;
    }
    for (let round = 0; round < repeat; round++) retval = this.interpret(program, ctx);
    return retval;
  }

  /** Runs a program on the interpreter. @param ctx the context's offset in kernel memory, 0: none. @returns as `#repeat`. */
  interpret(program: RunningProgram, ctx: number): number {
    const context = { low: ctx, high: ctx === 0 ? 0 : KERNEL_HIGH };
    const r0 = run(new Machine(program.code, this, context), this.kernel.instructionBudget);
    return Number(r0 & 0xffffffffn);
  }

  /** Makes a program the one that runs, with this context. Throws EBUSY when one does. @returns what r1 holds then. */
  enter(program: RunningProgram, ctx: Uint8Array | undefined): { low: number; high: number } {
    if (ctx === undefined) {
      this.begin(program, 0, 0, 0);
      return { low: 0, high: 0 };
    }
    this.begin(program, this.#ctx, ctx.length, this.#ctx + MAX_CTX);
    this.kernel.memory.bytes.set(ctx, this.#ctx);
    return { low: this.#ctx, high: KERNEL_HIGH };
  }

  /**
   * Makes a program the one that runs, with a context that lies in kernel memory. Throws EBUSY when one does.
   * @param ctx the context's offset in kernel memory, 0: none. @param size its bytes. @param end of the place it has.
   */
  begin(program: RunningProgram, ctx: number, size: number, end: number): void {
    if (this.program !== undefined) this.#refuseBusy(this.program);
    this.program = program;
    if (program.compiled === undefined) this.arena = program.arena && windowOf(program.arena);
    this.#ctxAt = ctx;
    this.#ctxSize = size;
    this.#ctxEnd = end;
    if (this.#faults.size > 0) this.#faults.clear();
  }

  /** Undoes {@link enter} and {@link begin}. */
  leave(): void {
    this.program = undefined;
  }

  #refuseBusy({ name }: RunningProgram): never {
    throw new BpfError('EBUSY', `CPU ${this.id} runs ${name}`);
  }

  refusal(offset: number, size: number, writes: boolean): string | undefined {
    const ctx = this.#ctxAt;
    if (ctx !== 0 && offset >= ctx && offset < this.#ctxEnd) {
      const inside = offset + size <= ctx + this.#ctxSize;
      return inside ? undefined : `invalid bpf_context access off=${offset - ctx} size=${size}`;
    }
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

  callHelper(id: number, machine: Machine): void {
    const found = helper(id);
    if (found === undefined) {
      const name = helperName(id);
      const problem =
        name === undefined ? `invalid func unknown#${id}` : `bpf_${name}#${id} is not in the embedded kernel`;
      throw new Violation(machine, problem);
    }
    const { args, returns, changesMap }: HelperPrototype = found.row;
    const values: unknown[] = [this];
    let map: EmbeddedMap | undefined;
    args.forEach((kind: HelperArgument, index) => {
      const value = this.#argument(machine, kind, index + 1, map, args[index + 1] === 'size');
      if (kind === 'const_map_ptr') {
        map = value as EmbeddedMap;
        if (machine.code.checked && changesMap && (map.flags & BPF_F_RDONLY_PROG) !== 0)
          throw new Violation(machine, 'write into map forbidden');
      }
      values.push(value);
    });
    this.#machine = machine;
    const result = found.call(...values);
    switch (returns) {
      case 'map_value_or_null':
        machine.wide[0] = this.kernelPointer(result as number);
        break;
      default:
        machine.wide[0] = BigInt(result);
    }
  }

  /** Calls a function of the program that the interpreter runs, as a helper does with a callback. @returns r0, unsigned. */
  invoke(subprogram: number, args: readonly bigint[]): bigint {
    if (this.#machine === undefined) throw new TypeError('no helper of the interpreter is running');
    return invoke(this.#machine, subprogram, args);
  }

  callKfunc(id: number, machine: Machine): void {
    const kfunc = this.kernel.kfunc(id);
    if (kfunc === undefined)
      throw new Violation(machine, `calling kernel function with BTF id ${id} is not allowed`);
    const values = kfunc.args.map((form, index) => this.#kfuncArgument(machine, form, index + 1));
    const result = kfunc.call(...values) ?? 0;
    if (kfunc.returnsArena) {
      const found = result >= 0 && this.arena !== undefined;
      machine.regs[0] = found ? result : 0;
      machine.regs[1] = found ? (this.arena?.userHigh ?? 0) : 0;
    } else {
      // A C int is returned in the low half; the upper one is clear, also for a negative errno.
      machine.regs[0] = result;
      machine.regs[1] = 0;
    }
  }

  fault(fault: ArenaFault): void {
    if (this.kernel.faults === 'off') return;
    const known = this.#faults.get(fault.insn);
    if (known !== undefined) known.count++;
    else if (this.#faults.size < MAX_FAULT_SITES) this.#faults.set(fault.insn, { ...fault, count: 1 });
  }

  #argument(
    machine: Machine,
    kind: HelperArgument,
    register: number,
    map: EmbeddedMap | undefined,
    sized: boolean,
  ): unknown {
    const low = machine.regs[2 * register] >>> 0;
    const high = machine.regs[2 * register + 1] >>> 0;
    switch (kind) {
      case 'const_map_ptr':
        return this.#map(machine, register);
      case 'map_key':
        return this.#memory(machine, register, map?.keySize ?? 0);
      case 'map_value':
        return this.#memory(machine, register, map?.valueSize ?? 0);
      case 'mem':
        return this.#memory(machine, register, sized ? machine.regs[2 * register + 2] >>> 0 : 0);
      case 'size':
        return low;
      case 'flags':
        return high * 2 ** 32 + low;
      case 'unchecked':
      case 'anything':
      case 'scalar':
      case 'func':
      case 'stack_or_null':
        return machine.register(register);
      default:
        throw new Violation(machine, `R${register}: ${kind} is not in the embedded kernel`);
    }
  }

  #kfuncArgument(machine: Machine, form: ArgumentForm, register: number): unknown {
    const low = machine.regs[2 * register] >>> 0;
    const high = machine.regs[2 * register + 1] >>> 0;
    switch (form) {
      case 'map':
        return this.#map(machine, register);
      case 'pointer':
        return { low, isNull: low === 0 && high === 0 } satisfies Pointer;
      case 'u64':
        return high * 2 ** 32 + low;
      case 's32':
        return low | 0;
      case 'u32':
        return low;
    }
  }

  #map(machine: Machine, register: number): EmbeddedMap {
    const low = machine.regs[2 * register] >>> 0;
    const isPointer = machine.regs[2 * register + 1] === KERNEL_HIGH;
    const map = isPointer ? this.kernel.mapAt(low as KernelOffset) : undefined;
    if (map === undefined) throw new Violation(machine, `R${register} type=scalar expected=map_ptr`);
    return map;
  }

  /** An argument that points to `size` bytes which the program may read: in the checked mode it is looked at. */
  #memory(machine: Machine, register: number, size: number): KernelOffset {
    const low = machine.regs[2 * register] >>> 0;
    if (!machine.code.checked) return low as KernelOffset;
    const expected = 'expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_';
    if (machine.regs[2 * register + 1] !== KERNEL_HIGH) {
      throw new Violation(machine, `R${register} type=scalar ${expected}`);
    }
    const onStack = low >= machine.stackBottom && low + size <= machine.stackTop;
    const refusal = onStack ? undefined : this.refusal(low, size, false);
    if (refusal !== undefined) throw new Violation(machine, `R${register}: ${refusal}`);
    return low as KernelOffset;
  }

  /** The faults of the run that ends now. */
  reports(program: RunningProgram): FaultReport[] {
    if (this.#faults.size === 0) return [];
    return [...this.#faults.values()].map((fault) => program.explain(fault));
  }
}

/** Throws EINVAL for what is no context, is too large for one, or smaller than what the program reads and writes. */
export function checkContext(
  program: RunningProgram,
  ctx: Uint8Array | { readonly size: number } | undefined,
): void {
  if (ctx !== undefined && !(ctx instanceof Uint8Array) && !Number.isInteger(ctx.size))
    throw new BpfError('EINVAL', 'a context is a Uint8Array');
  const bytes = ctx === undefined ? 0 : ctx instanceof Uint8Array ? ctx.length : ctx.size;
  if (bytes < 0 || bytes > MAX_CTX)
    throw new BpfError('EINVAL', `a context has at most ${MAX_CTX} bytes, not ${bytes}`);
  const { contextBytes } = program;
  if (bytes >= contextBytes) return;
  const problem = `it reads or writes ${contextBytes} bytes of context, and got ${bytes}`;
  throw new BpfError('EINVAL', `program '${program.name}': ${problem}; --ctx gives more`);
}

const windows = new WeakMap<object, ArenaWindow>();

/** The arena as the interpreter sees it; made once an arena. */
function windowOf(arena: NonNullable<RunningProgram['arena']>): ArenaWindow {
  let window = windows.get(arena);
  if (window === undefined) {
    window = {
      view: new DataView(arena.memory.buffer),
      pageTable: arena.pages.table,
      userHigh: Number(arena.userVmStart >> 32n) | 0,
      noUserConv: arena.noUserConv,
    };
    windows.set(arena, window);
  }
  return window;
}
