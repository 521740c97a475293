import { BpfError } from '../errors.ts';
import type { LoopBudget } from '../interpreter/environment.ts';
import { type JitOptions, PER_CPU } from '../jit/index.ts';
import type { Kernel, NewMap, StreamName, Verification } from '../kernel.ts';
import type { KconfigValue } from '../object/externs.ts';
import type { BpfObject, LinkTarget, ProgramSpec } from '../object/object.ts';
import { showAs } from '../shown.ts';
import type { Observation } from '../verifier/input.ts';
import type { Arena } from './arena.ts';
import { embeddedBtf } from './btf.ts';
import { clockOrigin } from './clock.ts';
import { Cpu } from './cpu.ts';
import { WorkerCpus } from './cpus/cpus.ts';
import type { CpuHost } from './cpus/host.ts';
import type { CpuSettings } from './cpus/messages.ts';
import { Deferrals } from './deferrals.ts';
import type { Deferred } from './deferred.ts';
import { type Kfunc, kfuncsById } from './helpers/kfunc-table.ts';
import { Iterations } from './iterators/iterations.ts';
import { dropProgramRecord } from './iterators/records.ts';
import { Judge, mapsOf } from './judge.ts';
import { KernelMemory } from './kernel-memory.ts';
import type { KernelOffset } from './layout.ts';
import { EmbeddedLoad } from './load.ts';
import { type LoopSettings, loopBudget } from './loop-budget.ts';
import { attributesOf } from './map-info.ts';
import { ArenaMap } from './maps/arena.ts';
import { type MapAttributes, newAttributes } from './maps/attributes.ts';
import type { EmbeddedMap } from './maps/map.ts';
import { ProgArrayMap } from './maps/prog-array.ts';
import { checkMap, createMap } from './maps/types.ts';
import { ObjectTypes } from './objects/types.ts';
import { checkOptions, type EmbeddedOptions, KCONFIG } from './options.ts';
import type { EmbeddedProgram } from './program.ts';

/**
 * The embedded kernel: kernel memory, maps, CPUs, and what programs can look up by name. Loading an object is a chapter
 * of its own (load.ts), as is running a program (cpu.ts).
 */

export class EmbeddedKernel implements Kernel<EmbeddedLoad>, LinkTarget, CpuHost {
  readonly name = 'embedded';
  readonly btf = embeddedBtf();
  readonly memory: KernelMemory;
  /** CPUs: 0 is the calling thread. */
  readonly cpus: number;
  /** CPU 0, the calling thread. */
  readonly cpu: Cpu;
  /** The other CPUs. */
  readonly workers: WorkerCpus;
  readonly faults: 'off' | 'report';
  readonly instructionBudget: number;
  readonly logLevel: number;
  readonly arenaGlobals: 'start' | 'end';
  readonly checked: boolean;
  readonly engine: 'jit' | 'interpreter';
  readonly compile: 'sync' | 'async';
  readonly jitOptions: JitOptions;
  readonly loopBudget: LoopBudget;
  /** In kernel memory: the word that atomics at misaligned addresses lock. */
  readonly atomicLock: KernelOffset;
  /** In kernel memory: how many tail calls the run of each CPU has made, {@link PER_CPU} bytes apart. */
  readonly tailCalls: KernelOffset;
  /** In kernel memory: numbers the starts of timers. */
  readonly starts: KernelOffset;
  /** For tests of the verifier: looks at verifications from here on. */
  observation: Observation | undefined;
  /** What bpf_get_current_pid_tgid gives; the process's own id where there is one. */
  readonly processId: number = (globalThis as { process?: { pid?: number } }).process?.pid ?? 1;
  readonly #options: EmbeddedOptions;
  readonly #maps = new Map<number, EmbeddedMap>();
  readonly #byHeader = new Map<KernelOffset, EmbeddedMap>();
  readonly #loads = new Set<EmbeddedLoad>();
  /** The map that {@link mapWithValueAt} found last: accesses come in runs. */
  #last: EmbeddedMap | undefined;
  #nextMapId = 1;
  /** Types that programs allocate. */
  readonly objectTypes: ObjectTypes;
  readonly #deferrals = new Deferrals(this);
  readonly iterations = new Iterations(this);
  /** Programs that tail calls can go to: a CPU has to know them all. */
  readonly tailTargets = new Set<EmbeddedProgram>();
  readonly #programs = new Map<number, EmbeddedProgram>();
  #nextProgramId = 1;
  #closed = false;

  /** Throws EINVAL for an option that is none. */
  constructor(options: EmbeddedOptions = {}) {
    checkOptions(options);
    this.#options = options;
    this.cpus = options.cpus ?? 1;
    this.faults = options.faults ?? 'off';
    this.arenaGlobals = options.arenaGlobals ?? 'end';
    this.checked = options.checked ?? false;
    this.engine = this.checked ? 'interpreter' : (options.engine ?? 'jit');
    this.compile = options.compile ?? (hasDocument() ? 'async' : 'sync');
    this.jitOptions = options.jitOptions ?? {};
    const mayGoto = options.mayGoto ?? { milliseconds: 250 };
    this.loopBudget = loopBudget(mayGoto);
    this.logLevel = options.logLevel ?? 0;
    this.instructionBudget = options.instructionBudget ?? 2 ** 30;
    this.memory = KernelMemory.open();
    this.atomicLock = this.memory.allocate(4);
    this.tailCalls = this.memory.allocate(PER_CPU * this.cpus);
    this.starts = this.memory.allocate(4);
    this.objectTypes = new ObjectTypes(this.memory, this.btf);
    this.cpu = new Cpu(this, 0);
    const settings = (cpu: number) => ({ ...this.#settings(mayGoto), cpu });
    this.workers = new WorkerCpus(
      this.cpus,
      settings,
      {
        printed: (line) => this.trace(line),
        later: (deferred) => this.defer(deferred),
        streamed: ({ program, stream, text }) => this.stream(program, stream, text),
        died: (cpu) => {
          if (!this.#closed) this.memory.grace.died(cpu);
        },
      },
      options.worker,
    );
  }

  kconfig(name: string): KconfigValue | undefined {
    return this.#options.kconfig?.[name] ?? KCONFIG[name];
  }

  /** Creates a map, as BPF_MAP_CREATE does. Throws EINVAL, E2BIG, ERANGE, EOPNOTSUPP, ENOMEM. */
  createMap(settings: NewMap & Pick<MapAttributes, 'fields'>): EmbeddedMap {
    this.#checkOpen();
    const attributes = newAttributes(settings);
    // The maps inside must be such as can be made.
    const { inner } = attributes;
    if (inner !== undefined) this.closeMap(this.createMap({ ...inner, maxEntries: inner.maxEntries || 1 }));
    const map = createMap(this, this.#nextMapId, attributes);
    this.#nextMapId++;
    this.#maps.set(map.id, map);
    this.#byHeader.set(map.header, map);
    return map;
  }

  #settings(mayGoto: LoopSettings): Omit<CpuSettings, 'cpu'> {
    const { cpus, faults, instructionBudget, processId } = this;
    const { memory } = this.memory;
    const shared = { memory, tailCalls: this.tailCalls, starts: this.starts, clockOrigin: clockOrigin() };
    return { ...shared, cpus, faults, instructionBudget, mayGoto, processId };
  }

  /**
   * An object lets its maps go: for user space they are closed, and their memory is given back when nothing holds them any more and
   * what runs now has ended.
   * @param runs of the object's programs on other CPUs, those that wait for their turn too.
   */
  closeMaps(maps: readonly EmbeddedMap[], runs: readonly Promise<void>[] = []): void {
    for (const map of maps) retire(map);
    const letGo = () => {
      for (const map of maps) {
        map.holders--;
        this.closeMap(map);
      }
    };
    if (runs.length === 0) letGo();
    else void Promise.all(runs).then(letGo);
  }

  /** Closes a map for user space, and gives its memory back when nothing holds it any more and what runs now has ended. */
  closeMap(map: EmbeddedMap): void {
    retire(map);
    if (map.holders > 0) return;
    const { quiet } = this;
    if (quiet === undefined) this.#releaseMap(map);
    else void quiet.then(() => map.holders === 0 && this.#releaseMap(map));
  }

  /** Resolves when whatever runs now has ended: no program has what it found before. Undefined when nothing runs. */
  get quiet(): Promise<unknown> | undefined {
    const { running } = this.workers;
    // What runs on this thread has ended before a promise is looked at.
    if (this.cpu.program !== undefined) running.push(Promise.resolve());
    return running.length === 0 ? undefined : Promise.all(running);
  }

  /** Runs an action when whatever runs now has ended, unless the kernel is closed by then. */
  whenQuiet(action: () => void): void {
    const { quiet } = this;
    if (quiet === undefined) action();
    else void quiet.then(() => this.#closed || action());
  }

  #releaseMap(map: EmbeddedMap): void {
    if (!this.#maps.delete(map.id)) return;
    this.#byHeader.delete(map.header);
    if (this.#last === map) this.#last = undefined;
    map.release();
  }

  /** Something else than user space lets go of a map. */
  closeHeld(map: EmbeddedMap): void {
    if (map.closed) this.closeMap(map);
  }

  /** The map with the least id from `id` on. */
  mapFrom(id: number): EmbeddedMap | undefined {
    for (const [each, map] of this.#maps) if (each >= id) return map;
    return undefined;
  }

  /** Likewise the program. */
  programFrom(id: number): EmbeddedProgram | undefined {
    for (const [each, program] of this.#programs) if (each >= id) return program;
    return undefined;
  }

  mapById(id: number): EmbeddedMap | undefined {
    return this.#maps.get(id);
  }

  /** The id of the map that is this arena; 0 when it is closed. */
  mapIdOf(arena: Arena): number {
    for (const map of this.#maps.values()) if (map instanceof ArenaMap && map.arena === arena) return map.id;
    return 0;
  }

  /** Gives a program its number, from 1. */
  addProgram(program: EmbeddedProgram): number {
    const id = this.#nextProgramId++;
    this.#programs.set(id, program);
    return id;
  }

  /** A program is closed: tail calls lead there no more. */
  removeProgram(program: EmbeddedProgram): void {
    if (!this.#programs.delete(program.id)) return;
    this.iterations.close(program);
    dropProgramRecord(this, program);
    this.tailTargets.delete(program);
    for (const map of this.#maps.values()) if (map instanceof ProgArrayMap) map.drop(program);
    this.cpu.tailCalls.expel(program.id);
  }

  defer(deferred: Deferred): void {
    this.#deferrals.add(deferred);
  }

  programById(id: number): EmbeddedProgram | undefined {
    return this.#programs.get(id);
  }

  /** Makes a program one that tail calls can go to, on all CPUs. */
  tailCaller(id: number): EmbeddedProgram | undefined {
    const program = this.#programs.get(id);
    if (program === undefined) return undefined;
    this.cpu.tailCalls.admit(program);
    this.tailTargets.add(program);
    return program;
  }

  /** The map whose header is at an offset; with `within`, also when the offset lies inside the header. */
  mapAt(offset: KernelOffset, within = false): EmbeddedMap | undefined {
    const start = within ? offset - (offset % 4096) : offset;
    return this.#byHeader.get(start as KernelOffset);
  }

  /** The map that has an element at an offset of kernel memory. */
  mapWithValueAt(offset: number): EmbeddedMap | undefined {
    const holds = (map: EmbeddedMap | undefined): boolean =>
      map?.region !== undefined && offset >= map.region.start && offset < map.region.end;
    if (!holds(this.#last)) {
      this.#last = undefined;
      for (const map of this.#maps.values()) if (holds(map)) this.#last = map;
    }
    return this.#last;
  }

  /** The kfunc with this BTF id. */
  kfunc(id: number): Kfunc | undefined {
    kfuncs ??= kfuncsById(this.btf);
    return kfuncs.get(id);
  }

  stream(program: number, stream: StreamName, text: string): number {
    return this.#programs.get(program)?.streams.write(stream, text) ?? 0;
  }

  /** Where the listener throws while a program runs, that one goes on, and the error leaves with its end: what it holds it gives back. */
  trace(line: string): void {
    try {
      this.#options.onTrace?.(line);
    } catch (error) {
      if (this.cpu.program === undefined) throw error;
      this.cpu.failure ??= { error };
    }
  }

  async load(object: BpfObject): Promise<EmbeddedLoad> {
    this.#checkOpen();
    const load = EmbeddedLoad.start(this, object);
    this.#loads.add(load);
    if (this.compile === 'sync') return load;
    try {
      await Promise.all(Object.values(load.programs).map((program) => program.compiled?.compile()));
      this.#checkOpen();
      return load;
    } catch (error) {
      load.close();
      throw error;
    }
  }

  async verify(object: BpfObject, program: ProgramSpec): Promise<Verification> {
    this.#checkOpen();
    for (const spec of mapsOf(object, object.kconfig(this)))
      if (spec.autocreate) checkMap(attributesOf(spec, undefined, this.cpus, this.objectTypes));
    return new Judge(object, this).judge(program);
  }

  /** Called by a load that closed itself. */
  forget(load: EmbeddedLoad): void {
    this.#loads.delete(load);
  }

  /**
   * Closes what is still loaded and stops the worker CPUs. Memory that one of them is using just now is given back when it has
   * stopped.
   */
  close(): void {
    if (this.#closed) return;
    // A program on this thread may be what closes it, by what it prints.
    const here = this.cpu.program === undefined ? undefined : Promise.resolve(true);
    const stopping = this.workers.close() ?? here;
    for (const load of [...this.#loads]) load.close();
    this.#closed = true;
    this.#deferrals.close();
    if (stopping === undefined) {
      for (const map of [...this.#maps.values()]) this.#releaseMap(map);
      this.memory.close();
      return;
    }
    const maps = [...this.#maps.values()];
    for (const map of maps) retire(map);
    // What the worker was stopped in the middle of, nobody finishes: locks may be taken, lists in parts.
    this.#maps.clear();
    void stopping.then((certain) => {
      for (const map of maps) if (map instanceof ArenaMap) map.arena.abandon(certain);
      this.memory.abandon(certain);
    });
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new BpfError('EBADF', 'the kernel is closed');
  }
}

/** Closes a map for user space; programs that still run may use it. */
function retire(map: EmbeddedMap): void {
  map.closed = true;
  if (map instanceof ArenaMap) map.arena.retire();
}

/** Whether this is the main thread of a browser: workers have no document. */
function hasDocument(): boolean {
  return (globalThis as { document?: unknown }).document !== undefined;
}

/** The same for all kernels: their types are. */
let kfuncs: Map<number, Kfunc> | undefined;

showAs(EmbeddedKernel, ({ name, cpus, engine, faults }) => ({ name, cpus, engine, faults }));
