import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { clangVersion, compileNative, PROGRAMS } from '../../programs/build.ts';
import { linuxUnavailable } from '../../src/linux/index.ts';
import type { Answer, KernelChoice, Load } from './kernel-process.ts';
import type { Workload } from './workloads.ts';

/**
 * What runs a workload: a kernel of ours in a process of its own, or native code, which is one anyway. All answer the same
 * way, so rounds can be interleaved. A process serves one workload: what V8 compiled, learnt about types and keeps in its
 * heap for one would otherwise depend on those before it.
 */

export interface EngineSpec {
  readonly label: string;
  /** For people. */
  readonly words: string;
  readonly kernel?: KernelChoice;
  /** Compiler flags. */
  readonly native?: readonly string[];
}

export const ENGINES = [
  { label: 'jit', words: 'embedded JIT', kernel: { name: 'embedded', options: { engine: 'jit' } } },
  {
    label: 'cpus',
    words: 'embedded JIT in a kernel of two CPUs, of which one runs',
    kernel: { name: 'embedded', options: { engine: 'jit', cpus: 2 } },
  },
  {
    label: 'report',
    words: 'embedded JIT, faults reported',
    kernel: { name: 'embedded', options: { engine: 'jit', faults: 'report' } },
  },
  {
    label: 'interpreter',
    words: 'embedded interpreter',
    kernel: { name: 'embedded', options: { engine: 'interpreter' } },
  },
  { label: 'linux', words: 'Linux', kernel: { name: 'linux' } },
  { label: 'native', words: 'native, -O2', native: [] },
  {
    label: 'novec',
    words: 'native, -O2 without vectorising and unrolling',
    native: ['-fno-vectorize', '-fno-slp-vectorize', '-fno-unroll-loops'],
  },
] as const satisfies readonly EngineSpec[];

/** Why an engine cannot be measured on this machine; undefined when it can. */
export function unavailable({ kernel, native }: EngineSpec): string | undefined {
  if (kernel?.name === 'linux') return linuxUnavailable();
  return native !== undefined && clangVersion() === null ? 'there is no clang-22' : undefined;
}

/** An engine with a workload set up in it. */
export interface Engine {
  /** Runs a program that takes no context. Rejects when it does not return 0. @returns its checksum and nanoseconds. */
  run(program: string): Promise<Answer>;
  /** Empties a ring buffer. */
  drain(map: string): Promise<unknown>;
  close(): void;
}

export interface StartOptions {
  readonly nodeFlags: readonly string[];
  /** Keeps the engine on this CPU, with taskset. */
  readonly cpu?: number;
  /** Where native code is built. */
  readonly directory: string;
}

/** Starts an engine for a workload, and runs its setup. */
export async function start(spec: EngineSpec, workload: Workload, options: StartOptions): Promise<Engine> {
  const engine = await (spec.native === undefined
    ? startKernel(spec.kernel as KernelChoice, workload, options)
    : startNative(spec, workload, options));
  for (const program of workload.setup) await engine.run(program);
  return engine;
}

async function startKernel(
  kernel: KernelChoice,
  { object }: Workload,
  { nodeFlags, cpu }: StartOptions,
): Promise<Engine> {
  const module = join(import.meta.dirname, 'kernel-process.ts');
  const child =
    cpu === undefined
      ? fork(module, { execArgv: [...nodeFlags] })
      : spawn('taskset', ['-c', String(cpu), process.execPath, ...nodeFlags, module], {
          stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
        });
  const ask = asker(child);
  await ask({ kernel, path: join(PROGRAMS, 'bench', `${object}.bpf.o`) } satisfies Load);
  return {
    run: (program) => ask({ program }),
    drain: (map) => ask({ drain: map }),
    close: () => child.disconnect(),
  };
}

/** Sends one question at a time, and gives its answer; an answer may be an error. */
function asker(child: ChildProcess): (question: object) => Promise<Answer> {
  const ended = once(child, 'exit').then(([code]) => ({ error: `the engine's process ended with ${code}` }));
  return async (question) => {
    const answered = once(child, 'message').then(([message]) => message as Answer | { error: string });
    child.send(question);
    const answer = await Promise.race([answered, ended]);
    if ('error' in answer) throw new Error(answer.error);
    return answer;
  };
}

const built = new Set<string>();

async function startNative(
  { label, native = [] }: EngineSpec,
  { object }: Workload,
  { cpu, directory }: StartOptions,
): Promise<Engine> {
  const executable = join(directory, `${object}-${label}`);
  if (!built.has(executable)) compileNative(`bench/${object}.bpf.c`, executable, native);
  built.add(executable);
  const command = cpu === undefined ? [executable] : ['taskset', '-c', String(cpu), executable];
  const child = spawn(command[0], command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run(program) {
      child.stdin.write(`${program}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`native ${object} has no ${program}, or died`);
      const [retval, checksum, nanoseconds] = value.split(' ');
      if (retval !== '0') throw new Error(`native ${program} returned ${retval}`);
      return { checksum, nanoseconds: Number(nanoseconds) };
    },
    drain: (map) => Promise.reject(new Error(`native code has no ring buffer ${map}`)),
    close: () => child.stdin.end(),
  };
}
