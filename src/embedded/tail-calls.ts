import { BpfError } from '../errors.ts';
import type { ArenaWindow } from '../interpreter/environment.ts';
import { run } from '../interpreter/interpreter.ts';
import { Machine } from '../interpreter/machine.ts';
import { PER_CPU } from '../jit/index.ts';
import type { Cpu } from './cpu.ts';
import type { RunningProgram } from './cpus/host.ts';
import { resultOf } from './helpers/exceptions.ts';
import type { EmbeddedMap } from './maps/map.ts';
import { MAX_TAIL_CALLS, ProgArrayMap } from './maps/prog-array.ts';

/**
 * Where the tail calls of a CPU go. Compiled programs jump through a table of programs themselves (src/jit/emit/call.ts); for an
 * interpreted one the other program runs in its place here. Both count in a word of kernel memory.
 */
export class TailCalls {
  /** What compiled programs jump to, by program number. */
  readonly programs = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
  readonly #cpu: Cpu;
  /** In kernel memory: how many this CPU's run has made. */
  readonly #counter: number;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    this.#counter = cpu.kernel.tailCalls + PER_CPU * cpu.id;
  }

  /** Makes a program one that can be gone to. Throws EOPNOTSUPP for one that is too large to be compiled. */
  admit({ id, name, compiled }: RunningProgram): void {
    if (compiled === undefined) {
      if (this.#cpu.kernel.engine === 'interpreter') return;
      throw new BpfError('EOPNOTSUPP', `program '${name}' is too large for tail calls to go there`);
    }
    if (this.programs.length <= id) this.programs.grow(2 * id - this.programs.length + 1);
    this.programs.set(id, compiled.entry(this.#cpu).run64);
  }

  /** Undoes {@link admit}. */
  expel(id: number): void {
    if (id < this.programs.length) this.programs.set(id, null);
  }

  /** A run of the interpreter begins. */
  reset(): void {
    this.#cpu.kernelMemory.setUint32(this.#counter, 0, true);
  }

  /**
   * bpf_tail_call on the interpreter: the program in a slot runs to its end. @param framePointer of who calls.
   * @param budget instructions that are left. @returns its r0, or undefined where there is none to go to.
   */
  run(
    ctx: { low: number; high: number },
    map: EmbeddedMap,
    index: number,
    framePointer: number,
    budget: number,
  ): bigint | undefined {
    const cpu = this.#cpu;
    const count = cpu.kernelMemory.getUint32(this.#counter, true);
    if (!(map instanceof ProgArrayMap) || count >= MAX_TAIL_CALLS) return undefined;
    const program = cpu.kernel.programById(map.programAt(index));
    if (program === undefined) return undefined;
    cpu.kernelMemory.setUint32(this.#counter, count + 1, true);
    const { arena, interpreted } = cpu;
    cpu.arena = program.arena && windowOf(program.arena);
    cpu.interpreted = program;
    try {
      // An exception ends that program, not the functions that called the one in whose place it runs.
      return resultOf(() => run(new Machine(program.code, cpu, ctx, framePointer), budget));
    } finally {
      cpu.arena = arena;
      cpu.interpreted = interpreted;
    }
  }
}

const windows = new WeakMap<object, ArenaWindow>();

/** The arena as the interpreter sees it; made once an arena. */
export function windowOf(arena: NonNullable<RunningProgram['arena']>): ArenaWindow {
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
