import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { assembleObject, embedded, type Kernel, OpenedObject } from '../src/index.ts';
import { linux, linuxUnavailable } from '../src/linux/index.ts';
import { argumentsOf } from '../tools/arguments.ts';

/**
 * How long verification takes, here and in Linux, on the programs of `programs/`: both verifiers' own times, from their logs,
 * in interleaved rounds after a warm-up; medians, and the ratio of each round. Then one program that takes 500,000
 * processed instructions, with the memory that it took.
 */

const PROGRAMS = new URL('../programs/', import.meta.url);
const WARM_UP_MS = 1_500;
const ROUNDS = 15;
/** BPF_LOG_STATS: the log ends with what verification took. */
const LOG_STATS = 4;

/** A loop of 62,500 rounds whose counter is known throughout, 8 instructions each. */
const LARGE = `
.license "GPL"
.section syscall
.func large : s32 (void *ctx)
        r6 = 0
        r7 = 0
l:      r6 += 1
        r7 += r6
        r7 &= 0xff
        r1 = r7
        r1 <<= 3
        r1 += r7
        if r1 == 5000 goto out
        if r6 != 62500 goto l
out:    r0 = 0
        exit
`;

interface Timed {
  readonly microseconds: number;
  readonly insns: number;
}

async function timed(kernel: Kernel, bytes: Uint8Array, program: string): Promise<Timed> {
  const { log } = await new OpenedObject(bytes, 'bench').verify(program, kernel);
  return {
    microseconds: Number(/^verification time (\d+)/m.exec(log)?.[1]),
    insns: Number(/^processed (\d+)/m.exec(log)?.[1]),
  };
}

/**
 * Linux is asked by a process of its own: its log buffers would make this one's heap shrink, and the verifier here pay
 * for it.
 */
class Referee {
  readonly #child: ChildProcess = fork(import.meta.filename, ['--referee'], { serialization: 'advanced' });

  async timed(bytes: Uint8Array, program: string): Promise<Timed> {
    this.#child.send({ bytes: Uint8Array.from(bytes), program });
    const [answer] = await once(this.#child, 'message');
    return answer as Timed;
  }

  [Symbol.dispose](): void {
    this.#child.disconnect();
  }
}

function answerAsReferee(): void {
  const kernel = linux({ logLevel: LOG_STATS, onWarning: () => undefined });
  process.on('message', async ({ bytes, program }: { bytes: Uint8Array; program: string }) => {
    process.send?.(await timed(kernel, bytes, program));
  });
}

interface Row {
  readonly insns: number;
  readonly 'here µs': number;
  readonly 'Linux µs': number | string;
  readonly ratio: string;
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];
const ratios: number[] = [];

async function compare(
  bytes: Uint8Array,
  program: string,
  here: Kernel,
  referee: Referee | undefined,
): Promise<Row> {
  const start = performance.now();
  do await timed(here, bytes, program);
  while (performance.now() - start < WARM_UP_MS);
  const ours: number[] = [];
  const theirs: number[] = [];
  let insns = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const ran = await timed(here, bytes, program);
    ours.push(ran.microseconds);
    insns = ran.insns;
    if (referee) theirs.push((await referee.timed(bytes, program)).microseconds);
  }
  if (referee === undefined) return { insns, 'here µs': median(ours), 'Linux µs': '-', ratio: '-' };
  // A microsecond is what Linux tells.
  const each = ours.map((time, round) => time / Math.max(1, theirs[round])).sort((a, b) => a - b);
  ratios.push(median(each));
  const spread = `${each[1].toFixed(2)} to ${each[ROUNDS - 2].toFixed(2)}`;
  return {
    insns,
    'here µs': median(ours),
    'Linux µs': median(theirs),
    ratio: `${median(each).toFixed(2)} (${spread})`,
  };
}

async function comparePrograms(here: Kernel, referee: Referee | undefined): Promise<void> {
  const table: Record<string, Row> = {};
  for (const file of readdirSync(PROGRAMS).filter((name) => name.endsWith('.bpf.o'))) {
    const bytes = readFileSync(new URL(file, PROGRAMS));
    // Programs that are there to be refused are left out of a load.
    const programs = Object.values(new OpenedObject(bytes, file).programs);
    for (const { name } of programs.filter(({ autoload }) => autoload)) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${file} ${name}`);
      table[`${file.replace('.bpf.o', '')} ${name}`] = await compare(bytes, name, here, referee);
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  console.table(table);
  if (ratios.length === 0) return;
  const mean = Math.exp(ratios.reduce((sum, each) => sum + Math.log(each), 0) / ratios.length);
  console.log(`here / Linux: geometric mean ${mean.toFixed(2)}, largest ${Math.max(...ratios).toFixed(2)}`);
}

async function timeLarge(here: Kernel, referee: Referee | undefined): Promise<void> {
  const bytes = assembleObject(LARGE, 'large');
  const before = process.memoryUsage().rss;
  const start = performance.now();
  const { insns } = await timed(here, bytes, 'large');
  const seconds = ((performance.now() - start) / 1e3).toFixed(2);
  const grown = Math.round((process.memoryUsage().rss - before) / 2 ** 20);
  const peak = Math.round(process.resourceUsage().maxRSS / 2 ** 10);
  const theirs = referee && (await referee.timed(bytes, 'large')).microseconds / 1e6;
  const beside = theirs === undefined ? '' : `, Linux ${theirs.toFixed(2)} s`;
  console.log(
    `${insns} instructions processed in ${seconds} s${beside}; ${grown} MiB more resident, ${peak} MiB at the most`,
  );
}

async function main(): Promise<void> {
  const missing = linuxUnavailable();
  if (missing !== undefined) console.log(`without Linux: ${missing}`);
  using here = embedded({ logLevel: LOG_STATS });
  using referee = missing === undefined ? new Referee() : undefined;
  await comparePrograms(here, referee);
  await timeLarge(here, referee);
}

// The benchmark starts itself again as what answers for Linux.
const { values } = argumentsOf('usage: npm run bench -- verifier', {
  json: { type: 'boolean' },
  referee: { type: 'boolean' },
});
if (values.referee) answerAsReferee();
else await main();
