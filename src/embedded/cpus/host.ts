import type { ArenaFault, LoopBudget } from '../../interpreter/environment.ts';
import type { Code } from '../../interpreter/machine.ts';
import type { FaultReport, StreamName } from '../../kernel.ts';
import type { Arena } from '../arena.ts';
import type { ObjectArguments } from '../call-outs.ts';
import type { ContextUser } from '../contexts/context.ts';
import type { Cpu } from '../cpu.ts';
import type { Deferred } from '../deferred.ts';
import type { Kfunc } from '../helpers/kfunc-table.ts';
import type { Entry } from '../instance.ts';
import type { KernelOffset } from '../layout.ts';
import type { MapHost } from '../maps/host.ts';
import type { EmbeddedMap } from '../maps/map.ts';

/**
 * What a CPU and the helpers that run on it use of their kernel and of a program. On the calling thread that is the kernel
 * itself; a worker has objects of its own, which look at the same memory (worker-host.ts).
 */

export interface CpuHost extends MapHost {
  readonly faults: 'off' | 'report';
  /** Instructions after which the interpreter stops a run. */
  readonly instructionBudget: number;
  readonly engine: 'jit' | 'interpreter';
  readonly loopBudget: LoopBudget;
  /** In kernel memory: counters of tail calls, one a CPU. */
  readonly tailCalls: KernelOffset;
  /** In kernel memory: the word that numbers the starts of timers. */
  readonly starts: KernelOffset;
  /** Has a timer or work queue run on CPU 0 when its time has come. */
  defer(deferred: Deferred): void;
  /** The program with this number. */
  programById(id: number): RunningProgram | undefined;
  /** What bpf_get_current_pid_tgid gives. */
  readonly processId: number;
  /** The map whose header is at an offset; with `within`, also when the offset lies inside the header. */
  mapAt(offset: KernelOffset, within?: boolean): EmbeddedMap | undefined;
  /** The map that has an element at an offset of kernel memory: for the checked mode. */
  mapWithValueAt(offset: number): EmbeddedMap | undefined;
  /** The kfunc with this BTF id. */
  kfunc(id: number): Kfunc | undefined;
  /** Adds to a stream of a program. @returns 0, or −ENOSPC when nobody reads it. */
  stream(program: number, stream: StreamName, text: string): number;
  /** Takes a line that a program prints, without its newline. */
  trace(line: string): void;
}

/** A program, as far as a CPU that runs it is concerned. */
export interface RunningProgram extends ContextUser {
  /** The kernel's number for it. */
  readonly id: number;
  readonly arena: Arena | undefined;
  /** What the JIT made; undefined where the interpreter runs it. */
  readonly compiled: { entry(cpu: Cpu): Entry } | undefined;
  /** Decoded for the interpreter. */
  readonly code: Code;
  /** What the kfunc in a slot is told that stands in no register; only where the interpreter is. */
  objectAt?(insn: number): ObjectArguments;
  /** A fault in words. */
  explain(fault: ArenaFault & { count: number }): FaultReport;
}
