import type { ArenaFault } from '../interpreter/environment.ts';
import type { Arena } from './arena.ts';
import { type Callbacks, helperImport, kfuncImport } from './call-outs.ts';
import type { Caller, Cpu } from './cpu.ts';
import { resultOf } from './helpers/exceptions.ts';

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
  const throws = calls.some(({ kind, name }) => kind === 'kfunc' && name === 'bpf_throw');
  return throws ? { run: entry.run, run64: catching(entry.run64), callbacks: entry.callbacks } : entry;
}

/**
 * Where tail calls to a program lead that throws: an exception ends that program, but not the functions that called the one in whose
 * place it runs. Tables take no functions of JavaScript's, but what a module passes on.
 */
function catching(run: Entry['run64']): Entry['run64'] {
  passing ??= new WebAssembly.Module(PASSING);
  const f = (ctx: number, framePointer: number) =>
    BigInt.asIntN(
      64,
      resultOf(() => run(ctx, framePointer)),
    );
  return new WebAssembly.Instance(passing, { k: { f } }).exports.f as Entry['run64'];
}

let passing: WebAssembly.Module | undefined;

/** (module (import "k" "f" (func (param i32 i32) (result i64))) (export "f" (func 0))) */
const PASSING = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x07, 0x01, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7e],
  ...[0x02, 0x07, 0x01, 0x01, 0x6b, 0x01, 0x66, 0x00, 0x00],
  ...[0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00],
);

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
