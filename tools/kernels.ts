import { basename } from 'node:path';
import {
  BpfError,
  embedded,
  type Kernel,
  type LoadedObject,
  MAP_TYPES,
  open,
  type ProgramSpec,
  type RunOptions,
} from '../src/index.ts';
import { linux, linuxUnavailable } from '../src/linux/index.ts';
import { argumentsOf, misunderstood, readFile } from './arguments.ts';
import { compile, missing, sourcesWith, unpack } from './selftests/sources.ts';

/**
 * `npm run compare:kernels`: every program of given objects that the embedded kernel can run, loaded and run alone on each
 * kernel: what one gives and the other does not, is shown. Objects of strangers read clocks, random numbers, pointers and
 * bytes that nobody wrote, so a difference is to be looked at, and no failure.
 */

const USAGE = `usage: npm run compare:kernels -- OBJECT... | --selftests [PREFIX...]
  OBJECT       objects
  --selftests  the Linux kernel's own, whose names begin so; all by default`;

/** Linux has no test run for these. */
const NO_TEST_RUN: readonly string[] = ['tracepoint', 'perf_event'];
const ARENA_ADDRESS = 5n << 44n;
/** TCP in IPv4 in Ethernet, with 44 bytes behind. */
const PACKET = new Uint8Array(98);
PACKET.set([
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0, 0x45, 0, 0, 84, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1,
]);
PACKET.set([10, 0, 0, 2, 0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1], 30);

const { values, positionals } = argumentsOf(USAGE, { selftests: { type: 'boolean' } }, true);
if (!values.selftests && positionals.length === 0) misunderstood(USAGE, 'nothing to compare');
const problem = linuxUnavailable() ?? (values.selftests ? missing() : undefined);
if (problem !== undefined) {
  console.error(`compare:kernels: ${problem}`);
  process.exit(2);
}

function* objects(): Generator<string> {
  if (!values.selftests) {
    yield* positionals;
    return;
  }
  unpack();
  for (const source of sourcesWith(positionals)) {
    const path = compile(source);
    if (path !== undefined) yield path;
  }
}

function optionsFor(type: string): RunOptions {
  if (/^(xdp|sched_|socket_filter|cgroup_skb)/.test(type)) return { data: PACKET };
  return type === 'syscall' ? { ctx: new Uint8Array(256), cpu: 0 } : { ctx: new Uint8Array(96) };
}

const show = (value: unknown) =>
  JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part)) ?? 'nothing';

/** The object with this program alone. */
async function loadAlone(
  bytes: Uint8Array,
  name: string,
  program: string,
  kernel: Kernel,
): Promise<LoadedObject> {
  const object = await open(bytes, { name });
  for (const each of Object.values(object.programs)) each.autoload = each.name === program;
  for (const map of Object.values(object.maps))
    if (map.type === MAP_TYPES.arena) map.mapExtra ||= ARENA_ADDRESS;
  return object.load(kernel);
}

/** What a run gives, and the globals afterwards. */
function resultOf(loaded: LoadedObject, { name, type }: ProgramSpec): Record<string, string> {
  const results: Record<string, string> = {};
  try {
    const { retval, dataOut } = loaded.programs[name].run(optionsFor(type));
    results.retval = String(retval | 0);
    results.packet = dataOut === undefined ? 'none' : Buffer.from(dataOut).toString('hex');
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    results.retval = error.code;
  }
  for (const [global, value] of Object.entries(loaded.readGlobals())) results[global] = show(value);
  return results;
}

const totals = { compared: 0, same: 0, notRun: 0 };

async function compare(bytes: Uint8Array, name: string, program: ProgramSpec): Promise<void> {
  using ours = embedded({ arenaGlobals: 'start' });
  using theirs = linux();
  const kernels: readonly Kernel[] = [ours, theirs];
  const results: Record<string, string>[] = [];
  for (const kernel of kernels) {
    try {
      using loaded = await loadAlone(bytes, name, program.name, kernel);
      results.push(resultOf(loaded, program));
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      // What neither takes, or is only judged here, says nothing.
      if (kernel === ours && error.code === 'EOPNOTSUPP') break;
      results.push({ load: error.code });
    }
  }
  const [a, b] = results;
  if (b === undefined) {
    totals.notRun++;
    return;
  }
  totals.compared++;
  const differ = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => a[key] !== b[key]);
  if (differ.length === 0) totals.same++;
  for (const key of differ.slice(0, 3)) {
    const [left, right] = [a, b].map((side) => (side[key] ?? 'nothing').slice(0, 100));
    console.log(`${name} ${program.name}: ${key}: embedded ${left}, linux ${right}`);
  }
}

for (const path of objects()) {
  const bytes = readFile(USAGE, path);
  const name = basename(path).replace(/(\.bpf)?\.o$/, '');
  try {
    const { programs } = await open(bytes, { name });
    for (const program of Object.values(programs))
      if (!NO_TEST_RUN.includes(program.type)) await compare(bytes, name, program);
  } catch (error) {
    if (!(error instanceof BpfError)) throw new Error(name, { cause: error });
    console.log(`${name}: not opened: ${error.message}`);
  }
}
const { compared, same, notRun } = totals;
console.log(`${compared} programs on both kernels, ${same} the same, ${notRun} not run here`);
