import { availableParallelism } from 'node:os';
import { embedded, type LoadedProgram, open } from '../src/index.ts';
import { argumentsOf, wholeNumber } from '../tools/arguments.ts';
import { type Summary, summarize } from './programs/statistics.ts';
import { table } from './programs/table.ts';

/**
 * What a second CPU brings: how many rounds of a program two CPUs of the embedded kernel do in the time in which one does its
 * own, by work that has nothing in common, look-ups in one arena table that nobody changes, and work under locks in one table
 * (programs/contract/stress.bpf.c). Rounds of measurement are interleaved; the first warms up.
 */

const USAGE = `usage: npm run bench -- scaling [--cpus N] [--rounds N] [--json]
  --cpus N    CPUs of the kernel (2)
  --rounds N  rounds (11)`;
const { values } = argumentsOf(USAGE, {
  cpus: { type: 'string', default: '2' },
  rounds: { type: 'string', default: '11' },
  json: { type: 'boolean' },
});
const CPUS = wholeNumber(USAGE, 'cpus', values.cpus, 1);
const ROUNDS = wholeNumber(USAGE, 'rounds', values.rounds, 1);

/** Of the program, and what it has to reach with two CPUs. */
const WORKLOADS = [
  { name: 'independent', words: 'registers only', calls: 30_000_000n, wanted: 1.8 },
  { name: 'lookups', words: 'look-ups in one arena table', calls: 3_000_000n, wanted: 1.6 },
  {
    name: 'stress',
    words: 'all of one arena table, one hash map, one allocator',
    calls: 20_000n,
    wanted: undefined,
  },
] as const;

const work = (rounds: bigint) => new Uint8Array(BigUint64Array.of(1n, rounds).buffer);

/** Milliseconds on the clock, and of all processors for this process. */
async function timed(run: () => Promise<unknown>): Promise<{ clock: number; processors: number }> {
  const start = performance.now();
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return { clock: performance.now() - start, processors: (user + system) / 1000 };
}

interface Scaling {
  /** How many times the work of one CPU alone all of them did, in the same time. */
  readonly ratio: Summary;
  /** What that would be if nobody else used the machine's cores: by the processor time that the work took. */
  readonly undisturbed: Summary;
}

async function measure(program: LoadedProgram, calls: bigint): Promise<Scaling> {
  const ctx = work(calls);
  const ratios: number[] = [];
  const undisturbed: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const alone = await timed(() => program.runOn(CPUS - 1, { ctx }));
    const together = await timed(() => program.runOnAll({ ctx }));
    if (round === 0) continue;
    ratios.push((CPUS * alone.clock) / together.clock);
    undisturbed.push((CPUS * CPUS * alone.processors) / together.processors);
  }
  return { ratio: summarize(ratios), undisturbed: summarize(undisturbed) };
}

using kernel = embedded({ cpus: CPUS, mayGoto: { milliseconds: 60_000 } });
using loaded = await (await open(`${import.meta.dirname}/../programs/contract/stress.bpf.o`)).load(kernel);
loaded.programs.fill.run();
const results = [];
for (const { name, words, calls, wanted } of WORKLOADS)
  results.push({ name, words, wanted, ...(await measure(loaded.programs[name], calls)) });
if (values.json) console.log(JSON.stringify({ cpus: CPUS, cores: availableParallelism(), results }));
else {
  console.log(
    `${CPUS} CPUs against one, on ${availableParallelism()} cores; medians and quartiles of ${ROUNDS} rounds`,
  );
  const rows = results.map(({ words, ratio, undisturbed, wanted }) => [
    words,
    times(ratio),
    times(undisturbed),
    wanted === undefined ? '' : `${wanted}×`,
  ]);
  console.log(table(['work', 'ratio', 'by processor time', 'wanted'], rows));
}

function times({ median, low, high }: Summary): string {
  return `${median.toFixed(2)}× (${low.toFixed(2)} to ${high.toFixed(2)})`;
}
