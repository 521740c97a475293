import type { ArenaFault } from '../interpreter/environment.ts';
import { type Instruction, imm64 } from '../isa/instruction.ts';
import { BPF_PSEUDO_KFUNC_CALL, BPF_PSEUDO_MAP_VALUE } from '../isa/opcodes.ts';
import { type CallOut, type JitOptions, type Target, type Translation, translate } from '../jit/index.ts';
import type { MapInfo } from '../verifier/input.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import type { Arena } from './arena.ts';
import { helperCall, helperImport, kfuncCall, kfuncImport } from './call-outs.ts';
import type { Cpu } from './cpu.ts';
import { KERNEL_HIGH } from './layout.ts';
import { ArenaMap } from './maps/arena.ts';
import type { EmbeddedMap } from './maps/map.ts';
import { moduleLater, moduleOf } from './module-cache.ts';

/**
 * A program compiled to WebAssembly: translated once, instantiated once a CPU. What the module imports comes from here:
 * the memories, and a function for each helper and kfunc that the program calls.
 */

/** What a program's compilation depends on besides its instructions. */
export interface CompilationInput {
  readonly verified: VerifiedProgram;
  readonly arena: Arena | undefined;
  /** The 64-bit value of a ld_imm64 that stands for a map, a map value or the like. */
  readonly resolve: (insn: Instruction, index: number) => bigint | undefined;
  /** The map that the verifier calls by this description. */
  readonly mapOf: (info: MapInfo) => EmbeddedMap | undefined;
}

/** Runs the program: offsets of context (0: none) and frame pointer in kernel memory. Gives r0. */
export interface Entry {
  readonly run: (ctx: number, framePointer: number) => number;
  readonly run64: (ctx: number, framePointer: number) => bigint;
}

const ACCESS = ['load', 'store', 'atomic'] as const satisfies readonly ArenaFault['access'][];

export class Compiled {
  readonly translation: Translation;
  readonly #input: CompilationInput;
  readonly #entries = new Map<Cpu, Entry>();
  #module: WebAssembly.Module | undefined;

  /** Translates only. Throws FunctionTooLarge. */
  constructor(cpu: Cpu, input: CompilationInput, options: JitOptions) {
    this.#input = input;
    this.translation = translate(input.verified, targetOf(cpu, input, options), options);
  }

  /** Compiled now if it is not yet. */
  get module(): WebAssembly.Module {
    this.#module ??= moduleOf(this.translation.bytes);
    return this.#module;
  }

  /** Compiles while the calling thread does something else. */
  async compile(): Promise<void> {
    this.#module ??= await moduleLater(this.translation.bytes);
  }

  /** What runs the program on a CPU. */
  entry(cpu: Cpu): Entry {
    let entry = this.#entries.get(cpu);
    if (entry === undefined) {
      const { exports } = new WebAssembly.Instance(this.module, { kernel: this.#imports(cpu) });
      entry = exports as unknown as Entry;
      this.#entries.set(cpu, entry);
    }
    return entry;
  }

  #imports(cpu: Cpu): WebAssembly.ModuleImports {
    const { arena, verified } = this.#input;
    const memory = cpu.kernel.memory.memory;
    const functions: WebAssembly.ModuleImports = {
      memory,
      // A program without an arena never reaches memory 0.
      arena: arena?.memory ?? memory,
      cpu: cpu.id,
      userHigh: userHigh(arena),
      refill: (deadline: number) => cpu.loopBudget.refill(deadline),
      fault: (base: number, off: number, size: number, access: number, insn: number) =>
        cpu.fault({ insn, address: (base >>> 0) + off, size, access: ACCESS[access] }),
    };
    verified.insns.forEach(({ imm, src }, at) => {
      const name = this.translation.callNames.get(at);
      if (name === undefined || name in functions) return;
      const kfunc = src === BPF_PSEUDO_KFUNC_CALL ? cpu.kernel.kfunc(imm) : undefined;
      functions[name] = kfunc === undefined ? helperImport(imm, cpu) : kfuncImport(kfunc, cpu);
    });
    return functions;
  }
}

/** An i64 for a module: TypeScript's library does not know that a BigInt can be imported. */
function userHigh(arena: Arena | undefined): WebAssembly.Global {
  const value = arena === undefined ? 0n : BigInt.asIntN(64, (arena.userVmStart >> 32n) << 32n);
  return new WebAssembly.Global({ value: 'i64', mutable: false }, value);
}

/** The embedded kernel as the JIT sees it; also for whoever measures translation alone. */
export function targetOf(
  cpu: Cpu,
  { verified, arena, resolve, mapOf }: CompilationInput,
  options: JitOptions,
): Target {
  const { kernel } = cpu;
  const { insns, facts } = verified;
  return {
    kernelHigh: KERNEL_HIGH,
    arena: arena && {
      pageTable: arena.pages.tableOffset,
      noUserConv: arena.noUserConv,
      start: arena.pages.start,
      end: arena.pages.start + Math.max(arena.pages.pages, arena.pages.mapped) * 4096,
    },
    loopIterations: Math.min(kernel.loopBudget.iterations, 0x7fffffff),
    atomicLock: kernel.atomicLock,
    reportsFaults: kernel.faults === 'report',
    constant: (at) => resolve(insns[at], at) ?? verified.functionNumber(at) ?? imm64(insns, at),
    isArenaAddress: (at) =>
      insns[at].src === BPF_PSEUDO_MAP_VALUE && kernel.mapById(insns[at].imm) instanceof ArenaMap,
    call(at): CallOut {
      const { imm, src } = insns[at];
      const kfunc = src === BPF_PSEUDO_KFUNC_CALL ? kernel.kfunc(imm) : undefined;
      if (kfunc !== undefined) return kfuncCall(kfunc);
      const info = facts.insns[at]?.map;
      return helperCall(imm, info && mapOf(info), cpu, options.intrinsics !== false);
    },
  };
}
