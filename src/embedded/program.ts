import { type RawRunOptions, rawRunOptions } from '../bytes.ts';
import { BpfError } from '../errors.ts';
import { programFacts } from '../facts.ts';
import type { ArenaFault } from '../interpreter/environment.ts';
import { Code } from '../interpreter/machine.ts';
import type { Instruction } from '../isa/instruction.ts';
import { notRunAlone } from '../iteration.ts';
import { FunctionTooLarge } from '../jit/index.ts';
import type {
  FaultReport,
  IterateOptions,
  Iteration,
  LoadedProgram,
  PreparedRun,
  PrepareOptions,
  RunOptions,
  RunResult,
  StreamName,
  XlatedProgram,
} from '../kernel.ts';
import type { ProgramSpec } from '../object/object.ts';
import { ATTACH_TYPES, type AttachType, type ProgramType } from '../object/program-types.ts';
import { showAs } from '../shown.ts';
import type { MapInfo } from '../verifier/input.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import type { Arena } from './arena.ts';
import type { ObjectArguments } from './call-outs.ts';
import { Compiled, objectArguments } from './compiled.ts';
import type { RunningProgram } from './cpus/host.ts';
import type { ProgramParts, SentFault } from './cpus/messages.ts';
import { faultText } from './fault-text.ts';
import type { EmbeddedKernel } from './kernel.ts';
import { type KernelOffset, PAGE_SIZE } from './layout.ts';
import type { EmbeddedMap } from './maps/map.ts';
import { EmbeddedPreparedRun } from './prepared-run.ts';
import { RUNNABLE_PROGRAM_TYPES } from './runnable.ts';
import { ProgramStreams } from './streams.ts';
import { watOf } from './wat.ts';

/** A program in the embedded kernel: verified, compiled or decoded, associated with its arena. */
export class EmbeddedProgram implements LoadedProgram, RunningProgram {
  readonly name: string;
  readonly type: ProgramType;
  readonly section: string;
  readonly attachType: AttachType | undefined;
  /** Of an iterator: over what. */
  readonly attachTo: string | undefined;
  readonly sleepable: boolean;
  readonly verified: VerifiedProgram;
  /** The kernel's number for it, by which other CPUs know it, too. */
  readonly id: number;
  /** What programs that share an array for tail calls have in common. */
  readonly owner: string;
  /** The arena that the program refers to; a program has at most one. */
  readonly arena: Arena | undefined;
  readonly #kernel: EmbeddedKernel;
  readonly #resolve: (insn: Instruction, index: number) => bigint | undefined;
  readonly #compiled: Compiled | undefined;
  #code: Code | undefined;
  /** In kernel memory: what iterators over programs see; 0: none has asked yet. */
  record = 0 as KernelOffset;
  readonly streams = new ProgramStreams();
  readonly #prepared = new Set<EmbeddedPreparedRun>();
  /** Runs on other CPUs, those that wait for their turn too. */
  readonly #away = new Set<Promise<unknown>>();
  #closed = false;

  constructor(
    kernel: EmbeddedKernel,
    spec: Pick<ProgramSpec, 'name' | 'type' | 'section'> &
      Partial<Pick<ProgramSpec, 'attachType' | 'attachTo' | 'sleepable' | 'frags'>>,
    verified: VerifiedProgram,
    arena: Arena | undefined,
    resolve: (insn: Instruction, index: number) => bigint | undefined,
    mapOf: (info: MapInfo) => EmbeddedMap | undefined = () => undefined,
  ) {
    this.#kernel = kernel;
    this.name = spec.name;
    this.type = spec.type;
    this.section = spec.section;
    this.verified = verified;
    this.attachType = spec.attachType;
    this.attachTo = spec.attachTo;
    this.sleepable = spec.sleepable ?? false;
    this.arena = arena;
    this.id = kernel.addProgram(this);
    this.owner = tailOwner(spec, verified);
    this.#resolve = resolve;
    const { engine, compile, jitOptions } = kernel;
    if (engine !== 'jit') return;
    try {
      this.#compiled = new Compiled(kernel, { id: this.id, verified, arena, resolve, mapOf }, jitOptions);
      if (compile === 'sync') void this.#compiled.module;
    } catch (error) {
      if (!(error instanceof FunctionTooLarge)) throw error;
    }
  }

  /** What runs it. The interpreter: in the checked mode, and where a function is larger than WebAssembly allows. */
  get engine(): 'jit' | 'interpreter' {
    return this.#compiled === undefined ? 'interpreter' : 'jit';
  }

  /** Decoded for the interpreter. */
  get code(): Code {
    this.#code ??= new Code(this.verified, this.#resolve, this.#kernel.checked);
    return this.#code;
  }

  /** Compiled by the JIT; undefined where the interpreter runs it. */
  get compiled(): Compiled | undefined {
    return this.#compiled;
  }

  /** What the JIT made of it, as text. */
  get wat(): string | undefined {
    return this.#compiled && watOf(this.verified, this.#compiled.translation);
  }

  get handle(): number {
    return this.id;
  }

  get log(): string {
    return this.verified.log;
  }

  get contextBytes(): number {
    return this.verified.facts.contextBytes;
  }

  get insnCount(): number {
    return this.verified.insns.length;
  }

  get xlated(): XlatedProgram {
    return this.verified;
  }

  /** Runs on CPU 0, the calling thread. Throws EBADF when closed, and what `Cpu.run` throws. */
  run(options?: RunOptions): RunResult {
    this.requireRunnable();
    return this.#kernel.cpu.run(this, options && rawRunOptions(this.name, options));
  }

  /** Runs on any CPU. Rejects with EIO when the CPU dies meanwhile, EOPNOTSUPP where the interpreter would run it on another CPU than 0. */
  async runOn(cpu: number, options: Omit<RunOptions, 'cpu'> = {}): Promise<RunResult> {
    if (cpu === 0) return this.run(options);
    const { workers } = this.#kernel;
    workers.at(cpu);
    return this.#goAway(async () =>
      this.#completed(await workers.run(this, cpu, sendable(this.name, options)), cpu),
    );
  }

  /** Runs on all CPUs at once, on CPU 0 last. Rejects as {@link runOn}, when all have ended. */
  async runOnAll(options: Omit<RunOptions, 'cpu'> = {}): Promise<RunResult[]> {
    if (this.#kernel.cpus === 1) return [this.run(options)];
    return this.#goAway(async () => {
      const here = () => this.run(options);
      const results = await this.#kernel.workers.runOnAll(this, sendable(this.name, options), here);
      return results.map((result, cpu) => (cpu === 0 ? result : this.#completed(result, cpu)));
    });
  }

  /** Compiled, as other CPUs get it. Throws EOPNOTSUPP where the interpreter runs it. */
  get parts(): ProgramParts {
    const { name, type, attachType, contextBytes, arena } = this;
    if (this.#compiled === undefined) {
      const problem = 'it is interpreted, and other CPUs than 0 run compiled programs only';
      throw new BpfError('EOPNOTSUPP', `program '${name}': ${problem} (engine 'jit', not checked)`);
    }
    const { module, calls } = this.#compiled;
    return {
      id: this.id,
      name,
      type,
      attachType,
      contextBytes,
      module,
      calls,
      arena: arena && { id: this.#kernel.mapIdOf(arena), shared: arena.shared },
    };
  }

  /** All programs of the kernel that tail calls can go to. */
  get tailTargets(): Iterable<EmbeddedProgram> {
    return this.#kernel.tailTargets;
  }

  /** Resolves when what runs on other CPUs has ended; undefined when nothing does. */
  get ended(): Promise<void> | undefined {
    return this.#away.size === 0 ? undefined : Promise.allSettled(this.#away).then(() => {});
  }

  async #goAway<Result>(run: () => Promise<Result>): Promise<Result> {
    this.requireRunnable();
    const running = run();
    this.#away.add(running);
    try {
      return await running;
    } finally {
      this.#away.delete(running);
    }
  }

  /** A result from another CPU: this thread has the sources and sees the arena's pages. */
  #completed(result: RunResult, cpu: number): RunResult {
    const faults = (result.faults as SentFault[]).map(({ owner = this.id, ...fault }) =>
      (this.#kernel.programById(owner) ?? this).explain({ ...fault, program: owner }, cpu),
    );
    return { ...result, faults };
  }

  /** Likewise, for many calls. Its context is a view of kernel memory. */
  prepare(options: PrepareOptions = {}): PreparedRun {
    this.requireRunnable();
    const run = new EmbeddedPreparedRun(this, this.#kernel.cpu, options, (each) =>
      this.#prepared.delete(each),
    );
    this.#prepared.add(run);
    return run;
  }

  iterate(options: IterateOptions = {}): Iteration {
    if (this.#closed) throw new BpfError('EBADF', `program '${this.name}' is closed`);
    return this.#kernel.iterations.begin(this, options);
  }

  /** Throws EBADF when it is closed, EFAULT for an iterator, EOPNOTSUPP for a type that is not run here. */
  requireRunnable(): void {
    if (this.#closed) throw new BpfError('EBADF', `program '${this.name}' is closed`);
    if (this.attachType === 'trace_iter') throw notRunAlone(this.name);
    if (!RUNNABLE_PROGRAM_TYPES.includes(this.type)) {
      const problem = `programs of type ${this.type} are verified here, but not run`;
      throw new BpfError('EOPNOTSUPP', `program '${this.name}': ${problem}; --kernel linux runs them`);
    }
  }

  readStream(stream: StreamName): string {
    return this.streams.read(stream);
  }

  objectAt(insn: number): ObjectArguments {
    return objectArguments(this.#kernel, this.id, this.verified, insn);
  }

  /** A fault in words: where in the source, and what the page was. The program's stderr is told, too. */
  explain({ insn, address, size, access, count }: ArenaFault & { count: number }, cpu = 0): FaultReport {
    const source = this.verified.sourceAt(insn);
    const first = this.#pageAt(address);
    const { name, start, end } = this.verified.subprogramOf(insn);
    const report: FaultReport = {
      program: this.name,
      insn,
      function: name,
      ...(source && { source: { file: source.file, line: source.line, text: source.text.trim() } }),
      address,
      size,
      access,
      // Of two pages that the access straddles, the one that is to blame.
      page: first === 'present' ? this.#pageAt(address + size - 1) : first,
      count,
    };
    const { processId: pid } = this.#kernel;
    const userVmStart = this.arena?.userVmStart ?? 0n;
    const place = { cpu, pid, userVmStart, at: insn - start, length: end - start };
    this.streams.write('stderr', faultText(report, place));
    return report;
  }

  close(): void {
    this.#closed = true;
    this.#kernel.removeProgram(this);
    for (const run of this.#prepared) run.close();
    this.#kernel.workers.forget(this.id);
  }

  #pageAt(address: number): FaultReport['page'] {
    const { arena } = this;
    if (arena === undefined || this.#closed) return 'outside';
    const page = Math.floor((address - arena.pages.start) / PAGE_SIZE);
    return page < 0 || page >= arena.attributes.maxEntries ? 'outside' : arena.pageState(page);
  }
}

/** Options as another thread gets them: only what they are about is copied, not the buffer that it is a part of. */
function sendable(name: string, options: Omit<RunOptions, 'cpu'>): RawRunOptions {
  const { ctx, data, ...others } = rawRunOptions(name, options);
  return { ...others, ctx: ctx?.slice(), data: data?.slice() };
}

/**
 * What has to be the same of programs that tail calls lead between (Linux: struct bpf_map_owner). Of iterators also how much of keys and
 * values they reach, which is held against a map's only for the program that an iteration begins with; Linux forgets that.
 */
function tailOwner(
  {
    type,
    attachType,
    attachTo,
    frags,
  }: Pick<ProgramSpec, 'type'> & Partial<Pick<ProgramSpec, 'attachType' | 'attachTo' | 'frags'>>,
  { facts: { keyBytes, valueBytes } }: VerifiedProgram,
): string {
  const attach = attachType === undefined ? 0 : ATTACH_TYPES[attachType];
  const target = attachType === 'trace_iter' ? [attachTo, keyBytes, valueBytes] : [];
  return [type, attach, frags === true ? 'frags' : '', ...target].join();
}

showAs(EmbeddedProgram, programFacts);
