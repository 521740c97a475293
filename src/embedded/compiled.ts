import { type Instruction, imm64 } from '../isa/instruction.ts';
import { BPF_PSEUDO_KFUNC_CALL, BPF_PSEUDO_MAP_VALUE, opcode } from '../isa/opcodes.ts';
import { type CallOut, type JitOptions, type Target, type Translation, translate } from '../jit/index.ts';
import type { MapInfo } from '../verifier/input.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import type { Arena } from './arena.ts';
import { helperCall, kfuncCall, type ObjectArguments } from './call-outs.ts';
import type { Cpu } from './cpu.ts';
import type { Kfunc } from './helpers/kfunc-table.ts';
import { type CallImport, type Entry, instantiate } from './instance.ts';
import type { EmbeddedKernel } from './kernel.ts';
import { KERNEL_HIGH } from './layout.ts';
import { ArenaMap } from './maps/arena.ts';
import type { EmbeddedMap } from './maps/map.ts';
import { moduleLater, moduleOf } from './module-cache.ts';

/**
 * A program compiled to WebAssembly: translated once, compiled once, instantiated once a CPU (instance.ts). Here is what the
 * translation is told of the kernel.
 */

/** What a program's compilation depends on besides its instructions. */
export interface CompilationInput {
  /** The kernel's number for the program. */
  readonly id: number;
  readonly verified: VerifiedProgram;
  readonly arena: Arena | undefined;
  /** The 64-bit value of a ld_imm64 that stands for a map, a map value or the like. */
  readonly resolve: (insn: Instruction, index: number) => bigint | undefined;
  /** The map that the verifier calls by this description. */
  readonly mapOf: (info: MapInfo) => EmbeddedMap | undefined;
}

export class Compiled {
  readonly translation: Translation;
  /** What the module imports besides memories and services. */
  readonly calls: readonly CallImport[];
  readonly #arena: Arena | undefined;
  readonly #id: number;
  readonly #entries = new Map<Cpu, Entry>();
  #module: WebAssembly.Module | undefined;

  /** Translates only. Throws FunctionTooLarge. */
  constructor(kernel: EmbeddedKernel, input: CompilationInput, options: JitOptions) {
    this.#arena = input.arena;
    this.#id = input.id;
    this.translation = translate(input.verified, targetOf(kernel, input, options), options);
    this.calls = callsOf(input.verified, this.translation, kernel);
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

  /** What runs the program on a CPU of this thread. */
  entry(cpu: Cpu): Entry {
    let entry = this.#entries.get(cpu);
    if (entry === undefined) {
      entry = instantiate(this.module, cpu, this.#arena, this.calls, this.#id);
      this.#entries.set(cpu, entry);
    }
    return entry;
  }
}

function callsOf(
  { insns }: VerifiedProgram,
  { callNames }: Translation,
  kernel: EmbeddedKernel,
): CallImport[] {
  const calls = new Map<string, CallImport>();
  for (const [at, name] of callNames) {
    const { imm: id, src } = insns[at];
    const isKfunc = src === BPF_PSEUDO_KFUNC_CALL && kernel.kfunc(id) !== undefined;
    calls.set(name, { name, kind: isKfunc ? 'kfunc' : 'helper', id });
  }
  return [...calls.values()];
}

/** What the kfunc that is called in a slot is told that stands in no register. @param program the kernel's number for it. */
export function objectArguments(
  kernel: EmbeddedKernel,
  program: number,
  { facts }: VerifiedProgram,
  insn: number,
): ObjectArguments {
  const object = facts.objects.get(insn);
  const record = object === undefined ? 0 : kernel.objectTypes.of(object.btf, object.id);
  return { record, node: object?.nodeOff ?? 0, handler: facts.exceptionCallback ?? -1, program };
}

/** The only way in which a program takes pages away. */
const FREES_PAGES = 'bpf_arena_free_pages';

/** The kfunc that an instruction calls, if it calls one. */
function kfuncOf(kernel: EmbeddedKernel, { code, src, imm }: Instruction): Kfunc | undefined {
  return src === BPF_PSEUDO_KFUNC_CALL && opcode(code)?.kind === 'call' ? kernel.kfunc(imm) : undefined;
}

/** The embedded kernel as the JIT sees it; also for whoever measures translation alone. */
export function targetOf(
  kernel: EmbeddedKernel,
  { id, verified, arena, resolve, mapOf }: CompilationInput,
  options: JitOptions,
): Target {
  const { insns, facts } = verified;
  return {
    kernelHigh: KERNEL_HIGH,
    arena: arena && {
      pageTable: arena.pages.tableOffset,
      exposed: kernel.cpus === 1 ? arena.pages.exposedOffset : undefined,
      pagesStay: kernel.cpus === 1 && !insns.some((insn) => kfuncOf(kernel, insn)?.name === FREES_PAGES),
      noUserConv: arena.noUserConv,
      start: arena.pages.start,
      end: arena.pages.start + Math.max(arena.pages.pages, arena.pages.mapped) * 4096,
    },
    loopIterations: Math.min(kernel.loopBudget.iterations, 0x7fffffff),
    atomicLock: kernel.atomicLock,
    tailCalls: kernel.tailCalls,
    reportsFaults: kernel.faults === 'report',
    constant: (at) => resolve(insns[at], at) ?? verified.functionNumber(at) ?? imm64(insns, at),
    isArenaAddress: (at) =>
      insns[at].src === BPF_PSEUDO_MAP_VALUE && kernel.mapById(insns[at].imm) instanceof ArenaMap,
    call(at): CallOut {
      const { imm } = insns[at];
      const kfunc = kfuncOf(kernel, insns[at]);
      if (kfunc !== undefined)
        return kfuncCall(kfunc, objectArguments(kernel, id, verified, at), options.intrinsics !== false);
      const info = facts.insns[at]?.map;
      return helperCall(imm, info && mapOf(info), kernel.cpu, options.intrinsics !== false);
    },
  };
}
