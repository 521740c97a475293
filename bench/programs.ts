import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { clangVersion } from '../programs/build.ts';
import type { JitOptions } from '../src/jit/index.ts';
import { chart } from './programs/chart.ts';
import { ENGINES, type EngineSpec, unavailable } from './programs/engines.ts';
import { measure } from './programs/measure.ts';
import { means, type Result, resultOf, tables, WITHOUT } from './programs/report.ts';
import { WORKLOADS, type Workload } from './programs/workloads.ts';

/**
 * The benchmark: the programs of programs/bench on the embedded kernel and in Linux, the same object on each, and the
 * same C as native code. `npm run bench -- programs --help` says what can be chosen; docs/benchmarks.md what is found.
 */

interface Options {
  only?: string[];
  engines: string[];
  without: string[];
  rounds: number;
  warmUp: number;
  forks: number;
  cpu?: number;
  nodeFlags: string;
  svg?: string;
  json?: boolean;
}

const DEFAULT_ENGINES = ['jit', 'interpreter', 'linux', 'native', 'novec'];

const list = (text: string) => text.split(',').filter((each) => each !== '');

function number(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`a whole number from ${least} on`);
    return value;
  };
}

const command = new Command('npm run bench -- programs')
  .description('Times BPF programs on the embedded kernel, in Linux, and as native code.')
  .option('--only <names>', 'workloads, with commas between; default: all', list)
  .option(
    '--engines <labels>',
    ENGINES.map(({ label, words }) => `${label}: ${words}`).join('; '),
    list,
    DEFAULT_ENGINES,
  )
  .option('--without <names>', "also the JIT without these: names of jitOptions, as 'store-checks'", list, [])
  .option('--rounds <n>', 'interleaved rounds; in each an engine runs four times', number(1), 21)
  .option('--warm-up <ms>', 'how long each engine runs before that', number(0), 500)
  .option('--forks <n>', 'how often to start over with new processes', number(1), 1)
  .option('--cpu <n>', 'keep all engines on this CPU', number(0))
  .option('--node-flags <flags>', "for our kernel's process, as '--no-liftoff'", '')
  .option('--svg <file>', 'write a chart')
  .option('--json', 'print one JSON value')
  .addHelpText('after', `\nWorkloads: ${WORKLOADS.map(({ name }) => name).join(', ')}`);

/** What a name stands for, or an error that names those there are. */
function chosen<T>(what: string, names: readonly string[], all: ReadonlyMap<string, T>): T[] {
  return names.map((name) => {
    const found = all.get(name);
    if (found === undefined)
      return command.error(`no ${what} '${name}'; there are ${[...all.keys()].join(', ')}`);
    return found;
  });
}

/** What {@link JitOptions} can switch off. */
const JIT_PARTS = [
  'storeChecks',
  'straddleChecks',
  'grouping',
  'versions',
  'runs',
  'choices',
  'promotion',
  'inlining',
  'intrinsics',
  'ranges',
  'narrowing',
  'plainAtomics',
] as const satisfies readonly (keyof JitOptions)[];

function enginesOf({ engines, without }: Options): EngineSpec[] {
  const all = new Map<string, EngineSpec>(ENGINES.map((spec) => [spec.label, spec]));
  const wanted = chosen('engine', engines, all);
  const possible = wanted.filter((spec) => {
    const reason = unavailable(spec);
    if (reason !== undefined) console.error(`not run: ${spec.words}: ${reason}`);
    return reason === undefined;
  });
  const parts = new Map(
    JIT_PARTS.map((part) => [part.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), part]),
  );
  chosen('part of the JIT', without, parts);
  const reduced = without.map((name): EngineSpec => {
    const option = parts.get(name) as string;
    return {
      label: `${WITHOUT}${name}`,
      words: `embedded JIT without ${name}`,
      kernel: { name: 'embedded', options: { engine: 'jit', jitOptions: { [option]: false } } },
    };
  });
  return [...possible, ...reduced];
}

function machine(): string {
  const native = clangVersion()?.replace(/^.*version (\S+).*$/, 'clang $1') ?? 'no clang';
  return `${cpus()[0].model.trim()}, Linux ${release()}, Node ${process.versions.node}, V8 ${process.versions.v8}, ${native}`;
}

async function main(options: Options): Promise<void> {
  const workloads = new Map<string, Workload>(WORKLOADS.map((workload) => [workload.name, workload]));
  const names = options.only ?? [...workloads.keys()];
  const engines = enginesOf(options);
  const directory = mkdtempSync(join(tmpdir(), 'bpf-bench-'));
  const effort = { ...options, nodeFlags: options.nodeFlags.split(' ').filter(Boolean), directory };
  const results: Result[] = [];
  try {
    for (const workload of chosen('workload', names, workloads)) {
      if (process.stderr.isTTY)
        process.stderr.write(`\r\x1b[K${names.indexOf(workload.name) + 1}/${names.length} ${workload.name}`);
      const specs = engines.filter(({ native }) => native === undefined || workload.native);
      try {
        results.push(resultOf(workload, await measure(workload, specs, effort)));
      } catch (error) {
        console.error(`not measured: ${(error as Error).message}`);
        process.exitCode = 1;
      }
    }
  } finally {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    rmSync(directory, { recursive: true });
  }
  if (options.svg !== undefined)
    writeFileSync(options.svg, chart(results, 'Time of the same object, relative to Linux'));
  if (options.json)
    console.log(JSON.stringify({ machine: machine(), options, results, means: means(results) }, null, 1));
  else console.log(`${machine()}\n\n${tables(results)}`);
}

await main(command.parse().opts<Options>());
