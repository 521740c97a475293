import type { RawRunOptions } from '../../bytes.ts';
import type { FaultReport, RunResult, StreamName } from '../../kernel.ts';
import type { SharedArena } from '../arena.ts';
import type { ContextUser } from '../contexts/context.ts';
import type { Deferred } from '../deferred.ts';
import type { CallImport } from '../instance.ts';
import type { KernelOffset } from '../layout.ts';
import type { LoopSettings } from '../loop-budget.ts';

/**
 * What the thread of CPU 0 and a worker CPU tell each other. A worker is asked one thing at a time, and gives one answer to each,
 * so nothing needs a number. It touches shared memory only between question and answer: one that owes no answer can be stopped,
 * or its memory given to others, at any time.
 */

/** What a worker has to know of the kernel. */
export interface CpuSettings {
  readonly cpu: number;
  readonly cpus: number;
  /** Memory 1. */
  readonly memory: WebAssembly.Memory;
  /** In it: the number of starts of timers. */
  readonly starts: KernelOffset;
  /** In it: counters of tail calls. */
  readonly tailCalls: KernelOffset;
  readonly faults: 'off' | 'report';
  readonly instructionBudget: number;
  readonly mayGoto: LoopSettings;
  readonly processId: number;
  /** As setClockOrigin takes it. */
  readonly clockOrigin: number;
}

/** A compiled program. */
export interface ProgramParts extends ContextUser {
  /** The kernel's number for it. */
  readonly id: number;
  readonly module: WebAssembly.Module;
  readonly calls: readonly CallImport[];
  /** By the id of its map. */
  readonly arena: { readonly id: number; readonly shared: SharedArena } | undefined;
}

/** A fault on its way: who has the sources completes it. */
export interface SentFault extends FaultReport {
  /** The kernel's number for the program. */
  readonly owner: number | undefined;
}

export type Question =
  | { readonly kind: 'start'; readonly settings: CpuSettings }
  /** @property key by which it is run and forgotten from here on. */
  | { readonly kind: 'program'; readonly key: number; readonly parts: ProgramParts }
  | { readonly kind: 'run'; readonly key: number; readonly options: RawRunOptions };

/** What needs no answer. */
export interface Forget {
  readonly kind: 'forget';
  readonly key: number;
}

/** An error on its way through a message, which would make a plain Error of it. */
export interface SentError {
  /** Of a BpfError. */
  readonly code: string | undefined;
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
}

export type Answer =
  | { readonly kind: 'done'; readonly result?: RunResult }
  | { readonly kind: 'failed'; readonly error: SentError };

/** What shall run later, on CPU 0. */
export interface Later {
  readonly kind: 'later';
  readonly deferred: Deferred;
}

/** What a program writes to a stream of its own. */
export interface Streamed {
  readonly kind: 'streamed';
  readonly program: number;
  readonly stream: StreamName;
  readonly text: string;
}

/** What a program prints, on its way before the answer. */
export interface Printed {
  readonly kind: 'printed';
  readonly line: string;
}
