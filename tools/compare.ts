import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import {
  assembleObject,
  BpfError,
  embedded,
  embeddedFeatures,
  FormatError,
  type KconfigValue,
  type Kernel,
  type LoadedObject,
  MAP_TYPES,
  type OpenedObject,
  open,
  type Plain,
  VerifierError,
} from '../src/index.ts';
import { type LinuxKernel, linux, linuxUnavailable } from '../src/linux/index.ts';
import { compileBpf, noClang } from '../test/clang.ts';
import { argumentsOf, readFile } from './arguments.ts';

/**
 * `npm run compare`: loads objects into both kernels, runs their programs in the same order, and compares
 * what each gives: verdict, return value, globals, and the arena page by page. The arena lies at the same address in
 * both, so that pointers are equal, too. A difference is printed and fails, unless KNOWN says why it is right.
 */

const USAGE = `usage: npm run compare [-- OBJECT...]
  OBJECT  objects or assembly text; those of programs/ and of the tests by default`;

const PROGRAMS = new URL('../programs/', import.meta.url).pathname;
/** Objects of the tests, as assembly text. */
const TEST_DATA = new URL('../test/testdata/', import.meta.url).pathname;
const PAGE_SIZE = 4096;
/** Objects, assembly text, and where clang is installed the tests' C. */
const OBJECTS = noClang ? /\.(bpf\.o|bpfasm)$/ : /\.(bpf\.o|bpfasm)$|testdata\/.*\.bpf\.c$/;
/** Where arenas lie that do not say themselves. */
const ARENA_ADDRESS = 5n << 44n;
/** Times a program is run that answers -EAGAIN, because its loop budget ended: Linux gives time, we a count. */
const MAX_RUNS = 1_000;
const EAGAIN = -11;
/** Zeroes that each program gets as its context; more than any of them reads. */
const CONTEXT_BYTES = 256;
/** Pages that are compared of an arena; those that our kernel has present, the first so many. */
const MAX_PAGES = 65_536;

/** Differences that are right, as object:what, and why. */
const KNOWN: Readonly<Record<string, string>> = {};

/** What one program did. */
interface Outcome {
  retval: number | string;
  /** The context afterwards, in hex. */
  ctx: string;
  globals: Record<string, Plain>;
}

interface Side {
  kernel: Kernel & Disposable;
  loaded: LoadedObject | undefined;
  /** Why it was not loaded. */
  refusal: string | undefined;
}

let differences = 0;
let compared = 0;

function report(where: string, what: string, ours: unknown, theirs: unknown): void {
  const known = KNOWN[`${where.replace(/_asm$/, '')}:${what}`];
  if (known !== undefined) return;
  differences++;
  console.log(`DIFFERS  ${where}: ${what}: embedded ${show(ours)}, linux ${show(theirs)}`);
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part)) ?? 'nothing';
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

async function openAny(path: string): Promise<OpenedObject> {
  const bytes = readFile(USAGE, path);
  const text = () => new TextDecoder().decode(bytes);
  if (path.endsWith('.bpfasm')) return open(assembleObject(text(), basename(path)));
  if (path.endsWith('.c')) return open(compileBpf(text()), { name: 'compiled' });
  return open(path);
}

/** The kernel configuration that an object asks for, as the referee has it: the embedded kernel's own would differ. */
async function configuration(path: string, referee: LinuxKernel): Promise<Record<string, KconfigValue>> {
  const { externs } = await openAny(path);
  const values = externs.map(({ name }) => [name, referee.kconfig(name)] as const);
  return Object.fromEntries(
    values.filter((entry): entry is [string, KconfigValue] => entry[1] !== undefined),
  );
}

async function start(path: string, kernel: Kernel & Disposable): Promise<Side> {
  try {
    const object = await openAny(path);
    for (const map of Object.values(object.maps))
      if (map.type === MAP_TYPES.arena) map.mapExtra ||= ARENA_ADDRESS;
    const { programTypes } = embeddedFeatures();
    for (const program of Object.values(object.programs))
      program.autoload &&= programTypes.includes(program.type);
    return { kernel, loaded: await object.load(kernel), refusal: undefined };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return { kernel, loaded: undefined, refusal: `${error.code}: ${error.message}` };
  }
}

function run(loaded: LoadedObject, program: string): Outcome {
  let retval: number | string = EAGAIN;
  let ctx = '';
  try {
    for (let i = 0; i < MAX_RUNS && retval === EAGAIN; i++) {
      // CPU 0 on both: programs have data of their own for each CPU.
      const result = loaded.programs[program].run({ ctx: new Uint8Array(CONTEXT_BYTES), cpu: 0 });
      retval = result.retval | 0;
      ctx = Buffer.from(result.ctxOut ?? []).toString('hex');
    }
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    retval = error.code;
  }
  return { retval, ctx, globals: loaded.readGlobals() };
}

/** The bytes of a page; reading faults an absent one in. */
function page(loaded: LoadedObject, index: number): Uint8Array | undefined {
  const { arena } = loaded;
  if (arena === undefined) return undefined;
  const address = arena.userVmStart + BigInt(index * PAGE_SIZE);
  const offset = arena.offsetOf(address);
  arena.memory.touch(offset, PAGE_SIZE, false);
  return Uint8Array.from({ length: PAGE_SIZE }, (_, i) => arena.memory.view.getUint8(offset + i));
}

function compareArenas(name: string, ours: LoadedObject, theirs: LoadedObject): number {
  const { arena } = ours;
  if (arena === undefined) return 0;
  let pages = 0;
  for (let index = 0; index < arena.maxEntries && pages < MAX_PAGES; index++) {
    if (arena.pageState(index) !== 'present') continue;
    pages++;
    const [a, b] = [page(ours, index), page(theirs, index)];
    const at = a?.findIndex((byte, i) => byte !== b?.[i]) ?? -1;
    if (at >= 0) report(name, `arena page ${index}, byte ${at}`, a?.[at], b?.[at]);
  }
  return pages;
}

/** The verdict on each program alone, also on those that are not loaded with the others. @returns how many. */
async function compareVerdicts(name: string, path: string, ours: Kernel, theirs: Kernel): Promise<number> {
  const { programs } = await openAny(path);
  for (const program of Object.keys(programs)) {
    const [a, b] = [await verdictOf(path, program, ours), await verdictOf(path, program, theirs)];
    if (a !== b) report(name, `verdict on ${program}`, a, b);
  }
  return Object.keys(programs).length;
}

async function verdictOf(path: string, program: string, kernel: Kernel): Promise<string> {
  try {
    await (await openAny(path)).verify(program, kernel);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return error instanceof VerifierError ? `${error.code}: ${error.problem}` : error.message;
  }
}

async function compare(path: string): Promise<void> {
  const name = basename(path).replace(/(\.bpf)?\.o$/, '');
  using referee = linux();
  using kernel = embedded({ arenaGlobals: 'start', kconfig: await configuration(path, referee) });
  const judged = await compareVerdicts(name, path, kernel, referee);
  const [ours, theirs] = [await start(path, kernel), await start(path, referee)];
  if (ours.loaded === undefined || theirs.loaded === undefined) {
    const [a, b] = [ours.refusal?.split(':')[0] ?? 'loaded', theirs.refusal?.split(':')[0] ?? 'loaded'];
    if (a !== b) report(name, 'verdict', ours.refusal ?? 'loaded', theirs.refusal ?? 'loaded');
    console.log(`${a === b ? 'same   ' : 'DIFFERS'}  ${name}: refused with ${a}`);
    return;
  }
  const before = differences;
  const programs = Object.values(ours.loaded.object.programs).filter(({ autoload }) => autoload);
  for (const program of programs) {
    const [a, b] = [run(ours.loaded, program.name), run(theirs.loaded, program.name)];
    compared++;
    if (a.retval !== b.retval) report(name, `retval of ${program.name}`, a.retval, b.retval);
    if (a.ctx !== b.ctx) report(name, `context after ${program.name}`, a.ctx, b.ctx);
    for (const global of new Set([...Object.keys(a.globals), ...Object.keys(b.globals)])) {
      const [left, right] = [a.globals[global], b.globals[global]];
      if (show(left) !== show(right)) report(name, global, left, right);
    }
  }
  const pages = compareArenas(name, ours.loaded, theirs.loaded);
  const verdict = differences === before ? 'same   ' : 'DIFFERS';
  console.log(
    `${verdict}  ${name}: ${judged} verdicts, ${programs.length} programs run, ${pages} arena pages`,
  );
  ours.loaded.close();
  theirs.loaded.close();
}

const { positionals } = argumentsOf(USAGE, {}, true);
const reason = linuxUnavailable();
if (reason !== undefined) {
  console.error(`compare: nothing was compared: ${reason}`);
  process.exitCode = 1;
} else {
  const found = [PROGRAMS, TEST_DATA].flatMap((folder) => readdirSync(folder).map((file) => folder + file));
  const paths = positionals.length > 0 ? positionals : found.filter((file) => OBJECTS.test(file));
  if (noClang) console.log(`not compared: C sources of the tests (${noClang})`);
  for (const path of paths) {
    try {
      await compare(path);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      console.log(`not opened: ${path}: ${error.message}`);
      process.exitCode = 1;
    }
  }
  console.log(`${paths.length} objects, ${compared} programs run, ${differences} differences`);
  if (differences > 0) process.exitCode = 1;
}
