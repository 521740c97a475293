import type { ArenaFault } from '../interpreter/environment.ts';
import type { Arena } from './arena.ts';
import { type Callbacks, helperImport, kfuncImport } from './call-outs.ts';
import type { Caller, Cpu } from './cpu.ts';

/**
 * A compiled program on one CPU: its module's instance. What the module imports comes from here: the memories, and a function
 * for each helper and kfunc that the program calls. It depends on nothing of the compiler: a worker gets modules ready made.
 */

/** Runs the program: offsets of context (0: none) and frame pointer in kernel memory. Gives r0. */
export interface Entry {
  readonly run: (ctx: number, framePointer: number) => number;
  readonly run64: (ctx: number, framePointer: number) => bigint;
  /** The functions whose addresses the program takes, by their numbers: r1 to r5 and the frame pointer, to r0. */
  readonly callbacks?: { get(number: number): ((...args: (bigint | number)[]) => bigint) | null };
}

/** A function that a module imports: the helper or kfunc with this number. */
export interface CallImport {
  readonly name: string;
  readonly kind: 'helper' | 'kfunc';
  readonly id: number;
}

const ACCESS = ['load', 'store', 'atomic'] as const satisfies readonly ArenaFault['access'][];

/** Makes a CPU's instance of a module. @param program the kernel's number for it. */
export function instantiate(
  module: WebAssembly.Module,
  cpu: Cpu,
  arena: Arena | undefined,
  calls: readonly CallImport[],
  program: number,
): Entry {
  const memory = cpu.kernel.memory.memory;
  const kernel: WebAssembly.ModuleImports = {
    memory,
    // A program without an arena never reaches memory 0.
    arena: arena?.memory ?? memory,
    cpu: cpu.id,
    userHigh: userHigh(arena),
    programs: cpu.tailCalls.programs,
    loadPacket: (ctx: number, offset: number, size: number) => cpu.loadPacket(ctx >>> 0, offset, size),
    refill: (deadline: number) => cpu.loopBudget.refill(deadline),
    fault: (base: number, off: number, size: number, access: number, insn: number) =>
      cpu.fault({ program, insn, address: (base >>> 0) + off, size, access: ACCESS[access] }),
  };
  const made: { entry?: Entry } = {};
  const callbacks: Callbacks = (framePointer) => callerOf(made.entry as Entry, program, framePointer);
  for (const { name, kind, id } of calls) {
    const kfunc = kind === 'kfunc' ? cpu.kernel.kfunc(id) : undefined;
    kernel[name] =
      kfunc === undefined ? helperImport(id, cpu, callbacks) : kfuncImport(kfunc, cpu, callbacks);
  }
  const entry = new WebAssembly.Instance(module, { kernel }).exports as unknown as Entry;
  made.entry = entry;
  return entry;
}

/** Calls functions whose addresses a program takes, with their frames from an offset of kernel memory down. */
export function callerOf({ callbacks }: Entry, program: number, framePointer: number): Caller {
  return {
    program,
    invoke(number, args) {
      const [r1, r2 = 0n, r3 = 0n, r4 = 0n, r5 = 0n] = args;
      return BigInt.asUintN(64, callbacks?.get(number)?.(r1, r2, r3, r4, r5, framePointer) ?? 0n);
    },
  };
}

/** An i64 for a module: TypeScript's library does not know that a BigInt can be imported. */
function userHigh(arena: Arena | undefined): WebAssembly.Global {
  const value = arena === undefined ? 0n : BigInt.asIntN(64, (arena.userVmStart >> 32n) << 32n);
  return new WebAssembly.Global({ value: 'i64', mutable: false }, value);
}
