import type { LoopBudget } from '../../interpreter/environment.ts';
import type { StreamName } from '../../kernel.ts';
import type { SharedArena } from '../arena.ts';
import { embeddedBtf } from '../btf.ts';
import type { Deferred } from '../deferred.ts';
import { type Kfunc, kfuncsById } from '../helpers/kfunc-table.ts';
import { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { loopBudget } from '../loop-budget.ts';
import { mapIdAt } from '../maps/attributes.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import { attachMap } from '../maps/types.ts';
import type { CpuHost } from './host.ts';
import type { CpuSettings } from './messages.ts';

/**
 * The kernel as a worker CPU has it: objects of its own over the same memory. A worker that runs a program hears nothing, so
 * maps are found from what stands in kernel memory alone: an object is made for a header when a program first comes with it.
 */
export class WorkerHost implements CpuHost {
  readonly memory: KernelMemory;
  readonly cpus: number;
  readonly faults: 'off' | 'report';
  readonly instructionBudget: number;
  readonly loopBudget: LoopBudget;
  readonly engine = 'jit';
  readonly tailCalls: KernelOffset;
  readonly starts: KernelOffset;
  readonly processId: number;
  readonly trace: (line: string) => void;
  readonly defer: (deferred: Deferred) => void;
  readonly #streamed: (program: number, stream: StreamName, text: string) => void;
  readonly #maps = new Map<KernelOffset, EmbeddedMap>();
  readonly #arenas = new Map<number, SharedArena>();
  #kfuncs: Map<number, Kfunc> | undefined;

  constructor(
    settings: CpuSettings,
    trace: (line: string) => void,
    defer: (deferred: Deferred) => void,
    streamed: (program: number, stream: StreamName, text: string) => void,
  ) {
    this.memory = KernelMemory.attach(settings.memory);
    this.cpus = settings.cpus;
    this.tailCalls = settings.tailCalls;
    this.starts = settings.starts;
    this.faults = settings.faults;
    this.instructionBudget = settings.instructionBudget;
    this.loopBudget = loopBudget(settings.mayGoto);
    this.processId = settings.processId;
    this.trace = trace;
    this.defer = defer;
    this.#streamed = streamed;
  }

  mapAt(header: KernelOffset): EmbeddedMap | undefined {
    const id = mapIdAt(this.memory, header);
    let map = this.#maps.get(header);
    // Ids are never used again, headers are.
    if (map?.id === id) return map;
    if (id === 0) return undefined;
    map = attachMap(this, header);
    this.#maps.set(header, map);
    return map;
  }

  /** The checked mode is the interpreter's, which no worker has. */
  mapWithValueAt(): undefined {
    return undefined;
  }

  /** Programs are found by number in the interpreter only, too. */
  programById(): undefined {
    return undefined;
  }

  /** How much is there already is not known here. */
  stream(program: number, stream: StreamName, text: string): number {
    this.#streamed(program, stream, text);
    return 0;
  }

  arenaOf(id: number): SharedArena | undefined {
    return this.#arenas.get(id);
  }

  /** A program with this arena has come. */
  addArena(id: number, arena: SharedArena): void {
    this.#arenas.set(id, arena);
  }

  /** No program is left that has this arena. */
  removeArena(id: number): void {
    this.#arenas.delete(id);
    for (const [header, map] of this.#maps) if (map.id === id) this.#maps.delete(header);
  }

  kfunc(id: number): Kfunc | undefined {
    this.#kfuncs ??= kfuncsById(embeddedBtf());
    return this.#kfuncs.get(id);
  }
}
