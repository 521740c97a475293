import type { RawRunOptions } from '../../bytes.ts';
import { BpfError } from '../../errors.ts';
import type { RunResult } from '../../kernel.ts';
import type { EmbeddedProgram } from '../program.ts';
import type { CpuSettings } from './messages.ts';
import { type CpuEvents, RemoteCpu } from './remote-cpu.ts';

/** The worker CPUs of a kernel: 1 and up. None has a thread before something shall run there. */
export class WorkerCpus {
  readonly #cpus: readonly RemoteCpu[];

  /** @param cpus of the kernel, CPU 0 among them. @param script of a worker, where it is not beside this package's. */
  constructor(
    cpus: number,
    settings: (cpu: number) => CpuSettings,
    events: CpuEvents,
    script?: string | URL,
  ) {
    this.#cpus = Array.from(
      { length: cpus - 1 },
      (_, i) => new RemoteCpu(i + 1, () => settings(i + 1), events, script),
    );
  }

  /** A CPU other than 0. Throws EINVAL for one that there is not. */
  at(cpu: number): RemoteCpu {
    const found = this.#cpus[cpu - 1];
    if (found !== undefined) return found;
    throw new BpfError(
      'EINVAL',
      `the embedded kernel has ${describe(this.#cpus.length + 1)}; there is no CPU ${cpu}`,
    );
  }

  /** Runs a program on one of them. */
  async run(program: EmbeddedProgram, cpu: number, options: RawRunOptions): Promise<RunResult> {
    const turn = await this.at(cpu).turn(program);
    return turn.run(options);
  }

  /**
   * Runs a program on all CPUs at once: the others are made ready, then told to start, then `here` runs it on CPU 0.
   * @returns the results by CPU. Rejects, when all have ended, with the first error.
   */
  async runOnAll(
    program: EmbeddedProgram,
    options: RawRunOptions,
    here: () => RunResult,
  ): Promise<RunResult[]> {
    const ready = await Promise.allSettled(this.#cpus.map((cpu) => cpu.turn(program)));
    const turns = ready.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const failed = ready.find((each) => each.status === 'rejected');
    if (failed !== undefined) {
      for (const turn of turns) turn.release();
      throw failed.reason;
    }
    const others = turns.map((turn) => turn.run(options));
    const first = (async () => here())();
    return all([first, ...others]);
  }

  /** What they do now: each resolves when that is done. */
  get running(): Promise<unknown>[] {
    return this.#cpus.flatMap((cpu) => cpu.answered ?? []);
  }

  /** Of programs that are unloaded. */
  forget(key: number): void {
    for (const cpu of this.#cpus) cpu.forget(key);
  }

  /**
   * Stops all threads. @returns undefined when none left anything unfinished, and none touches shared memory from here on; else a
   * promise of whether the latter is certain.
   */
  close(): Promise<boolean> | undefined {
    const isClean = this.#cpus.every((cpu) => cpu.isClean);
    const closing = Promise.all(this.#cpus.map((cpu) => cpu.close()));
    return isClean ? undefined : closing.then((certain) => certain.every(Boolean));
  }
}

/** Waits for all of them. Rejects with the first error then. */
async function all<Value>(promises: readonly Promise<Value>[]): Promise<Value[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
}

const describe = (cpus: number) => (cpus === 1 ? 'one CPU, 0' : `CPUs 0 to ${cpus - 1}`);
