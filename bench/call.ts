import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clangVersion, compileNative } from '../programs/build.ts';
import { embedded, type LoadedProgram, open } from '../src/index.ts';
import { type LinuxProgram, linux, linuxUnavailable } from '../src/linux/index.ts';
import { argumentsOf, wholeNumber } from '../tools/arguments.ts';
import { summarize } from './programs/statistics.ts';
import { table } from './programs/table.ts';

/**
 * What calling a small program from JavaScript costs, with a context of 64 bytes: nanoseconds, medians and quartiles of
 * interleaved rounds. The first round warms up. `--calls` is how many the fast ways make in all.
 */

const USAGE = `usage: npm run bench -- call [--calls N] [--rounds N]
  --calls N   calls a round (10000000)
  --rounds N  rounds (20)`;
const { values } = argumentsOf(USAGE, {
  calls: { type: 'string', default: '10000000' },
  rounds: { type: 'string', default: '20' },
  json: { type: 'boolean' },
});
const CALLS = wholeNumber(USAGE, 'calls', values.calls, 1);
const ROUNDS = wholeNumber(USAGE, 'rounds', values.rounds, 1);
const CONTEXT_BYTES = 64;
/** Byte offsets in struct request of programs/bench/call.bpf.c. */
const KIND = 8;
const DEADLINE = 40;
const NOW = 48;
const DECISION = 56;

interface Way {
  readonly words: string;
  readonly calls: number;
  /** Makes that many calls. @returns nanoseconds of one. */
  run(calls: number): number;
}

function context(): Uint8Array {
  const bytes = new Uint8Array(CONTEXT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(KIND, 1, true);
  view.setUint32(DEADLINE, 5_000, true);
  view.setUint32(NOW, 1_000, true);
  return bytes;
}

/** One call after another. */
function oneByOne(program: LoadedProgram): Way['run'] {
  const options = { ctx: context() };
  return (calls) => {
    const start = performance.now();
    let sum = 0;
    for (let call = 0; call < calls; call++) sum += program.run(options).retval;
    const took = performance.now() - start;
    if (sum !== calls) throw new Error(`${sum} of ${calls} calls returned 1`);
    return (took * 1e6) / calls;
  };
}

/** Prepared once: the context stays where the program reads it. */
function prepared(program: LoadedProgram): Way['run'] {
  const call = program.prepare({ ctx: context() });
  return (calls) => {
    const start = performance.now();
    let sum = 0;
    for (let i = 0; i < calls; i++) sum += call.run();
    const took = performance.now() - start;
    if (sum !== calls) throw new Error(`${sum} of ${calls} calls returned 1`);
    return (took * 1e6) / calls;
  };
}

/** Prepared, with a new context each time: 64 bytes are written, and the 8 that the program wrote are read. */
function preparedAndFilled(program: LoadedProgram): Way['run'] {
  const call = program.prepare({ ctx: { size: CONTEXT_BYTES } });
  const request = context();
  const { buffer, byteOffset } = call.ctx;
  const view = new DataView(buffer, byteOffset, CONTEXT_BYTES);
  return (calls) => {
    const start = performance.now();
    let sum = 0;
    for (let i = 0; i < calls; i++) {
      call.ctx.set(request);
      sum += call.run();
      sum += view.getUint32(DECISION, true);
    }
    const took = performance.now() - start;
    if (sum !== calls * 4001) throw new Error(`${calls} calls came to ${sum}`);
    return (took * 1e6) / calls;
  };
}

/** All in one: the result is the last one's. */
function repeated(program: LoadedProgram): Way['run'] {
  const ctx = context();
  return (repeat) => {
    const { retval, durationNs } = program.run({ ctx, repeat });
    if (retval !== 1) throw new Error(`it returned ${retval}`);
    return durationNs;
  };
}

/** From C: what is left when nothing of ours is in between. */
function fromC(program: LinuxProgram, directory: string): Way['run'] {
  const executable = join(directory, 'test-run');
  compileNative('../bench/test-run.c', executable);
  return (calls) => {
    const { stdout, stderr } = spawnSync(executable, [String(calls), String(CONTEXT_BYTES)], {
      stdio: ['ignore', 'pipe', 'pipe', program.fdNumber],
      encoding: 'utf8',
    });
    if (stderr !== '') throw new Error(stderr);
    return Number(stdout);
  };
}

const object = await open(new URL('../programs/bench/call.bpf.o', import.meta.url).pathname);
const { decide } = (await object.load(embedded({ engine: 'jit' }))).programs;
/** What a process pays that does nothing else: later V8 has seen other kinds of calls in the same code. */
const callAlone = prepared(decide);
const alone = Array.from({ length: ROUNDS + 1 }, () => callAlone(Math.ceil(CALLS / ROUNDS))).slice(1);
const interpreted = (await object.load(embedded({ engine: 'interpreter' }))).programs.decide;
const many = Math.ceil(CALLS / ROUNDS);
/** Slow ones need fewer. */
const few = Math.ceil(many / 20);
const ways: Way[] = [
  { words: 'embedded JIT, prepared', calls: many, run: prepared(decide) },
  { words: 'embedded JIT, prepared, context written and read', calls: many, run: preparedAndFilled(decide) },
  { words: 'embedded JIT, run({ ctx })', calls: many, run: oneByOne(decide) },
  { words: 'embedded JIT, run({ ctx, repeat })', calls: many, run: repeated(decide) },
  { words: 'embedded interpreter, run({ ctx })', calls: few, run: oneByOne(interpreted) },
];
const directory = mkdtempSync(join(tmpdir(), 'bpf-bench-'));
const reason = linuxUnavailable();
if (reason === undefined) {
  const program = (await object.load(linux())).programs.decide;
  ways.push({ words: 'Linux, prepared', calls: few, run: prepared(program) });
  ways.push({ words: 'Linux, run({ ctx })', calls: few, run: oneByOne(program) });
  if (clangVersion() === null) console.error('not run: Linux, from C: there is no clang-22');
  else ways.push({ words: 'Linux, from C', calls: few, run: fromC(program as LinuxProgram, directory) });
} else console.error(`not run: Linux: ${reason}`);

const times = new Map<Way, number[]>();
for (let round = 0; round <= ROUNDS; round++) {
  for (const way of ways) {
    const time = way.run(way.calls);
    if (round === 0) times.set(way, []);
    else times.get(way)?.push(time);
  }
}
rmSync(directory, { recursive: true });
const row = (words: string, each: readonly number[]) => {
  const { median, low, high } = summarize(each);
  return [words, median.toFixed(0), `${low.toFixed(0)}–${high.toFixed(0)}`];
};
const rows = [...times].map(([{ words }, each]) => row(words, each));
console.log(
  table(
    ['a call', 'ns', 'quartiles'],
    [row('embedded JIT, prepared, nothing else in the process', alone), ...rows],
  ),
);
process.exit();
