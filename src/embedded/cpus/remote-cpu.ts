import type { RawRunOptions } from '../../bytes.ts';
import { BpfError, ERRNO, type ErrnoName } from '../../errors.ts';
import type { RunResult } from '../../kernel.ts';
import type { Deferred } from '../deferred.ts';
import type { EmbeddedProgram } from '../program.ts';
import type { Answer, CpuSettings, Later, Printed, Question, SentError, Streamed } from './messages.ts';
import { startThread, type Thread } from './platform.ts';

/**
 * A worker CPU as the thread of CPU 0 sees it. Its thread is started when it is first needed, and again when it died. Whoever
 * wants to run something waits for a turn, so that runs on one CPU never overlap.
 */

/** A turn on a CPU, which has the program and does nothing until told. Use it or release it, once. */
export interface Turn {
  run(options: RawRunOptions): Promise<RunResult>;
  release(): void;
}

/** What a CPU tells without being asked. */
export interface CpuEvents {
  /** A line that a program prints, without its newline. */
  printed(line: string): void;
  /** Something shall run later, on CPU 0. */
  later(deferred: Deferred): void;
  /** A program writes to a stream. */
  streamed(message: Streamed): void;
  /** The thread of a CPU is surely gone, in the middle of something or not. */
  died(cpu: number): void;
}

/** What the CPU was asked and has not answered. */
interface Pending {
  readonly doing: string;
  readonly promise: Promise<RunResult | undefined>;
  resolve(result: RunResult | undefined): void;
  reject(error: Error): void;
}

export class RemoteCpu {
  readonly id: number;
  readonly #settings: () => CpuSettings;
  readonly #events: CpuEvents;
  readonly #script: string | URL | undefined;
  /** Keys of the programs that the thread has. */
  readonly #known = new Set<number>();
  #thread: Thread | undefined;
  #pending: Pending | undefined;
  /** When the turns given out so far are over. */
  #free: Promise<void> = Promise.resolve();
  #closed = false;
  /** It died in the middle of something: what it changed may be changed in part. */
  #damaged = false;
  /** Nothing of the threads that died runs any more. */
  #certain = true;

  constructor(id: number, settings: () => CpuSettings, events: CpuEvents, script?: string | URL) {
    this.id = id;
    this.#settings = settings;
    this.#events = events;
    this.#script = script;
  }

  /** Nothing that it did was left unfinished, and it does nothing now. */
  get isClean(): boolean {
    return this.#pending === undefined && !this.#damaged;
  }

  /** Resolves when it has done what it does now; undefined when it does nothing. */
  get answered(): Promise<unknown> | undefined {
    return this.#pending?.promise.catch(() => {});
  }

  /** Waits for a turn, and makes the CPU ready for the program. Rejects with what keeps it from that. */
  async turn(program: EmbeddedProgram): Promise<Turn> {
    const free = this.#free;
    const { promise, resolve: release } = Promise.withResolvers<void>();
    this.#free = promise;
    await free;
    try {
      program.requireRunnable();
      await this.#prepare(program);
    } catch (error) {
      release();
      throw error;
    }
    const run = async (options: RawRunOptions): Promise<RunResult> => {
      try {
        const doing = `ran program '${program.name}'`;
        const question = { kind: 'run', key: program.id, options } as const;
        return (await this.#ask(question, doing)) as RunResult;
      } finally {
        release();
      }
    };
    return { run, release };
  }

  /** The thread needs this program no more. */
  forget(key: number): void {
    if (this.#known.delete(key)) this.#thread?.post({ kind: 'forget', key });
  }

  /**
   * Stops the thread for good; what it owes an answer for is rejected.
   * @returns whether it is certain that nothing of it runs any more.
   */
  async close(): Promise<boolean> {
    this.#closed = true;
    const thread = this.#thread;
    this.#lose(new BpfError('EBADF', `CPU ${this.id} ${this.#pending?.doing}: the kernel is closed`));
    const stopped = thread === undefined || (await thread.stop());
    return stopped && this.#certain;
  }

  /** For tests: the thread ends as if it had failed. */
  async kill(): Promise<void> {
    const thread = this.#thread;
    const certain = await thread?.stop();
    if (thread !== undefined) this.#died(thread, 'it was killed', certain === true);
  }

  async #prepare(program: EmbeddedProgram): Promise<void> {
    if (this.#closed) throw new BpfError('EBADF', 'the kernel is closed');
    if (this.#thread === undefined) {
      const thread = startThread(
        `bpf-arena CPU ${this.id}`,
        {
          message: (message) => this.#receive(message as Answer | Printed | Later | Streamed),
          died: (reason, certain) => this.#died(thread, reason, certain),
        },
        this.#script,
      );
      this.#thread = thread;
      await this.#ask({ kind: 'start', settings: this.#settings() }, 'started');
    }
    for (const { id: key, name, parts } of [program, ...program.tailTargets]) {
      if (this.#known.has(key)) continue;
      await this.#ask({ kind: 'program', key, parts }, `took program '${name}'`);
      this.#known.add(key);
    }
  }

  #ask(question: Question, doing: string): Promise<RunResult | undefined> {
    const thread = this.#thread;
    if (thread === undefined) throw new BpfError('EIO', `CPU ${this.id} is gone`);
    const { promise, resolve, reject } = Promise.withResolvers<RunResult | undefined>();
    this.#pending = { doing, promise, resolve, reject };
    thread.keepAlive(true);
    thread.post(question);
    return promise;
  }

  #receive(message: Answer | Printed | Later | Streamed): void {
    if (message.kind === 'printed') {
      this.#events.printed(message.line);
      return;
    }
    if (message.kind === 'streamed') {
      this.#events.streamed(message);
      return;
    }
    if (message.kind === 'later') {
      this.#events.later(message.deferred);
      return;
    }
    const pending = this.#pending;
    this.#pending = undefined;
    this.#thread?.keepAlive(false);
    if (message.kind === 'done') pending?.resolve(message.result);
    else pending?.reject(received(message.error));
  }

  #died(thread: Thread, reason: string, certain: boolean): void {
    if (this.#thread !== thread) return;
    if (this.#pending !== undefined) this.#damaged = true;
    if (certain) this.#events.died(this.id);
    else this.#certain = false;
    const doing = this.#pending === undefined ? 'was idle' : this.#pending.doing;
    this.#lose(
      new BpfError('EIO', `CPU ${this.id} died while it ${doing}: ${reason}; it starts again when needed`),
    );
  }

  #lose(error: Error): void {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#thread = undefined;
    this.#known.clear();
    pending?.reject(error);
  }
}

function received({ code, name, message, stack }: SentError): Error {
  const error =
    code !== undefined && code in ERRNO ? new BpfError(code as ErrnoName, message) : new Error(message);
  if (!(error instanceof BpfError)) error.name = name;
  error.stack = stack;
  return error;
}
