import { BPF_PSEUDO_CALL, opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import { Analyses } from './analyses.ts';
import { ARGUMENT_TYPE, pushTailCallCounter, RESULT_TYPES } from './emit/call.ts';
import type { Callees } from './emit/emitter.ts';
import { routineFunction } from './emit/routine.ts';
import { CHECK, checkFunction, MISALIGNED, misalignedFunction } from './emit/runtime.ts';
import { argumentRegisters, Versions } from './emit/versions.ts';
import { Code, KERNEL_MEMORY, type MemoryIndex } from './encode/code.ts';
import { type EncodedModule, ModuleBuilder, type Signature } from './encode/module.ts';
import { MEMORY_OP, OP, TYPE } from './encode/opcodes.ts';
import { addressTaken, type FunctionPlan, planFunctions } from './plan.ts';
import type { CallOut, JitOptions, RoutineCall, Target } from './target.ts';

/**
 * The JIT's door: a verified program becomes a WebAssembly module. Four stages, a chapter each: control flow (cfg.ts,
 * reducible.ts), its structure (structure.ts), code (emit/), bytes (encode/). What the module imports: `kernel.arena` and
 * `kernel.memory`, the two memories, and a function for each call that leaves it; `kernel.programs`, a table, for tail calls.
 *
 * It exports `run(ctx, fp) → i32` and `run64(ctx, fp) → i64`: both take the offsets of the context (0: none) and of the
 * frame pointer in kernel memory and give r0. A run starts with `run`; tail calls go to `run64`, which counts on.
 */

/** Functions besides helpers and kfuncs that JavaScript provides, where a program needs them. */
export const SERVICES = {
  /** More iterations for may_goto: see LoopBudget.refill. */
  refill: { params: [TYPE.f64], results: [TYPE.f64] },
  /** Context, offset and size give the number at a place of the packet, or −1. */
  loadPacket: { params: [TYPE.i32, TYPE.i32, TYPE.i32], results: [TYPE.f64] },
  /** An access to an absent page: base, offset, bytes, kind (0 load, 1 store, 2 atomic), instruction. */
  fault: { params: CHECK.params, results: [] },
} as const satisfies Record<string, Signature>;

export interface Translation extends EncodedModule {
  /** The import that each call which leaves the program goes to, by slot. */
  readonly callNames: ReadonlyMap<number, string>;
}

export function translate(program: VerifiedProgram, target: Target, options: JitOptions = {}): Translation {
  return new Translator(program, target, options).translate();
}

/** What functions look like that helpers call back: r1 to r5 and the frame pointer. */
const CALLBACK = {
  params: [TYPE.i64, TYPE.i64, TYPE.i64, TYPE.i64, TYPE.i64, TYPE.i32],
  results: [TYPE.i64],
} as const satisfies Signature;

class Translator implements Callees {
  readonly #program: VerifiedProgram;
  readonly #target: Target;
  readonly #options: JitOptions;
  readonly #plans: readonly FunctionPlan[];
  readonly #module: ModuleBuilder;
  readonly #imports = new Map<string, number>();
  readonly #callNames = new Map<number, string>();
  readonly #callOuts = new Map<number, CallOut>();
  readonly #subprograms = new Map<number, number>();
  /** Subprograms that are called and have no body yet. */
  readonly #pending: number[] = [];
  readonly #misaligned = new Map<MemoryIndex, number>();
  readonly #analyses: Analyses;
  /** Whether it makes any. */
  readonly #tailCalls: boolean;
  readonly #routines = new Map<string, number>();
  #check: number | undefined;

  constructor(program: VerifiedProgram, target: Target, options: JitOptions) {
    this.#program = program;
    this.#target = target;
    this.#options = options;
    const imports = this.#findImports();
    const tailCalls = [...this.#callOuts].flatMap(([at, { kind }]) => (kind === 'tail-call' ? [at] : []));
    const framed = [...this.#callOuts.values()].some(
      (call) => call.kind === 'import' && call.args.some(({ form }) => form === 'frame'),
    );
    this.#plans = planFunctions(program, options, new Set(tailCalls), framed);
    this.#analyses = new Analyses(program, target, options);
    this.#tailCalls = tailCalls.length > 0;
    this.#module = new ModuleBuilder(imports, this.#tailCalls);
    imports.forEach(({ name }, index) => {
      this.#imports.set(name, index);
    });
  }

  translate(): Translation {
    const module = this.#module;
    const main = this.subprogram(0);
    this.#defineCallbacks();
    for (let number = this.#pending.pop(); number !== undefined; number = this.#pending.pop())
      this.#define(number);
    for (const [name, result] of [
      ['run', TYPE.i32],
      ['run64', TYPE.i64],
    ] as const) {
      const index = module.reserve();
      const signature = { params: [TYPE.i32, TYPE.i32], results: [result] };
      module.define(index, name, signature, this.#entry(main, result), ['ctx', 'fp']);
      module.export(name, index);
    }
    if (this.#check !== undefined) {
      const fault = this.#imports.get('fault');
      const { arena } = this.#target;
      if (arena !== undefined)
        module.define(this.#check, CHECK.name, CHECK, checkFunction(arena, this.#target, fault));
    }
    for (const [memory, index] of this.#misaligned)
      module.define(
        index,
        `atomic.misaligned${memory}`,
        MISALIGNED,
        misalignedFunction(memory, this.#target),
      );
    return { ...module.encode(), callNames: this.#callNames };
  }

  subprogram(number: number): number {
    let index = this.#subprograms.get(number);
    if (index === undefined) {
      index = this.#module.reserve();
      this.#subprograms.set(number, index);
      this.#pending.push(number);
    }
    return index;
  }

  import(name: string): number {
    const index = this.#imports.get(name);
    if (index === undefined) throw new TypeError(`${name} is called, and was not imported`);
    return index;
  }

  callOut(insn: number): CallOut {
    const call = this.#callOuts.get(insn);
    if (call === undefined) throw new TypeError(`instruction ${insn} calls what was not looked up`);
    return call;
  }

  callbackType(): number {
    return this.#module.type(CALLBACK);
  }

  callbackTable(): number {
    return this.#module.ownTable;
  }

  programType(): number {
    return this.#module.type({ params: [TYPE.i32, TYPE.i32], results: [TYPE.i64] });
  }

  routine(call: RoutineCall): number {
    let index = this.#routines.get(call.name);
    if (index === undefined) {
      index = this.#module.reserve();
      this.#routines.set(call.name, index);
      const { signature, code, names } = routineFunction(call, (name) => this.import(name));
      this.#module.define(index, call.name, signature, code, names);
    }
    return index;
  }

  check(): number {
    this.#check ??= this.#module.reserve();
    return this.#check;
  }

  misaligned(memory: MemoryIndex): number {
    let index = this.#misaligned.get(memory);
    if (index === undefined) {
      index = this.#module.reserve();
      this.#misaligned.set(memory, index);
    }
    return index;
  }

  #findImports(): (Signature & { readonly name: string })[] {
    const { insns, facts } = this.#program;
    const found = new Map<string, Signature>();
    insns.forEach(({ code, src }, at) => {
      if (facts.seen[at] === 0) return;
      const kind = opcode(code)?.kind;
      if (kind === 'may_goto') found.set('refill', SERVICES.refill);
      if (kind === 'ld_abs' || kind === 'ld_ind') found.set('loadPacket', SERVICES.loadPacket);
      if (kind !== 'call' || src === BPF_PSEUDO_CALL) return;
      const call = this.#target.call(at);
      this.#callOuts.set(at, call);
      const called = call.kind === 'routine' ? call.otherwise : call;
      if (called?.kind !== 'import') return;
      this.#callNames.set(at, called.name);
      const params = called.args.map(({ form }) => ARGUMENT_TYPE[form]);
      found.set(called.name, { params, results: RESULT_TYPES[called.result] });
    });
    if (this.#target.reportsFaults) found.set('fault', SERVICES.fault);
    return [...found].map(([name, signature]) => ({ name, ...signature }));
  }

  #define(number: number): void {
    const versions = new Versions(
      {
        program: this.#program,
        target: this.#target,
        options: this.#options,
        callees: this,
        plans: this.#plans,
        module: this.#module,
        analyses: this.#analyses,
      },
      number,
      this.subprogram(number),
    );
    versions.define();
  }

  /** Functions of one type for those whose address the program takes, at the places that are their numbers. */
  #defineCallbacks(): void {
    for (const number of addressTaken(this.#program)) {
      const plan = this.#plans[number];
      if (plan.size === 0) {
        this.#module.callable(number, undefined);
        continue;
      }
      const code = new Code(CALLBACK.params.length);
      for (const register of argumentRegisters(plan)) code.get(register - 1);
      if (plan.needsFrame) code.get(CALLBACK.params.length - 1);
      code.call(this.subprogram(number));
      const index = this.#module.reserve();
      const names = ['r1', 'r2', 'r3', 'r4', 'r5', 'fp'];
      this.#module.define(index, `${plan.name}.callback`, CALLBACK, code, names);
      this.#module.callable(number, index);
    }
  }

  /** What JavaScript calls: makes the context a pointer. */
  #entry(main: number, result: typeof TYPE.i32 | typeof TYPE.i64): Code {
    const plan = this.#plans[0];
    const code = new Code(2);
    if (this.#tailCalls && result === TYPE.i32) {
      pushTailCallCounter(code);
      code.i32(0);
      code.memory(MEMORY_OP.i32_store, KERNEL_MEMORY, this.#target.tailCalls);
    }
    for (const register of argumentRegisters(plan)) {
      if (register !== 1) {
        code.i64(0);
        continue;
      }
      code.get(0);
      code.op(OP.i64_extend_i32_u);
      code.i64Big(BigInt(this.#target.kernelHigh) << 32n);
      code.op(OP.i64_or);
      code.i64(0);
      code.get(0);
      code.op(OP.select);
    }
    if (plan.needsFrame) code.get(1);
    code.call(main);
    if (result === TYPE.i32) code.op(OP.i32_wrap_i64);
    return code;
  }
}
