/**
 * Compiles the BPF programs in this folder: `npm run programs`. Each X.bpf.c gives X.bpf.o
 * and, with casts as inline assembly, X_asm.bpf.o; the same file compiled for this machine gives the native X. Benchmarks,
 * in bench/, have no second form: it is for compilers that are not measured. The bytes depend on source, headers and
 * compiler alone: clang runs in this folder with relative paths and without the environment's include paths, and DWARF is
 * stripped while BTF stays.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const USAGE = `usage: npm run programs -- [--check] [--native DIR]
  --check       compiles into memory, and fails where a committed object is another
  --native DIR  compiles for this machine, into DIR`;

/** This folder: where the sources and the committed objects are. */
export const PROGRAMS = dirname(fileURLToPath(import.meta.url));

const CLANG = process.env.CLANG ?? 'clang-22';
const LLVM_STRIP = process.env.LLVM_STRIP ?? 'llvm-strip-22';

/** No system header is in reach of a BPF program: include/ has to be enough. */
const BPF_FLAGS = '-target bpf -mcpu=v4 -g -fdebug-compilation-dir=. -fno-ident -nostdlibinc'.split(' ');
const COMMON_FLAGS = '-O2 -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Werror -I../include'.split(' ');
const NATIVE_FLAGS = ['-D_GNU_SOURCE', '-pthread'];

/** An object of a source: what its file name adds, and what the compiler is told. */
interface Form {
  readonly suffix: string;
  readonly flags: readonly string[];
}
const COMPILER_CASTS: Form = { suffix: '', flags: [] };
const ASM_CASTS: Form = { suffix: '_asm', flags: ['-DBPF_ARENA_FORCE_ASM'] };

/** Where sources are, and what is made of each. */
const FOLDERS: readonly { folder: string; forms: readonly Form[] }[] = [
  { folder: '', forms: [COMPILER_CASTS, ASM_CASTS] },
  { folder: 'bench/', forms: [COMPILER_CASTS] },
  { folder: 'contract/', forms: [COMPILER_CASTS] },
  { folder: 'kv/', forms: [COMPILER_CASTS] },
];

/** A tool that is missing or failed; the message is what the user reads. */
class BuildError extends Error {}

/** The files with that ending, by path from this folder, sorted in each. */
function filesThatEnd(ending: string, folders = FOLDERS): string[] {
  return folders.flatMap(({ folder }) =>
    readdirSync(join(PROGRAMS, folder))
      .filter((file) => file.endsWith(ending))
      .sort()
      .map((file) => `${folder}${file}`),
  );
}

/** The programs' names: `arena_list` for arena_list.bpf.c, `bench/list` for bench/list.bpf.c. */
function sources(folders = FOLDERS): string[] {
  return filesThatEnd('.bpf.c', folders).map((file) => file.slice(0, -'.bpf.c'.length));
}

/** The object files that {@link sources} give, and how each is made. */
function objects(): { name: string; object: string; flags: readonly string[] }[] {
  return FOLDERS.flatMap((each) =>
    sources([each]).flatMap((name) =>
      each.forms.map(({ suffix, flags }) => ({ name, object: `${name}${suffix}.bpf.o`, flags })),
    ),
  );
}

/** The compiler's version line, or null when it is not installed. */
export function clangVersion(): string | null {
  try {
    return execFileSync(CLANG, ['--version'], { encoding: 'utf8' }).split('\n')[0];
  } catch {
    return null;
  }
}

/** Compiles a BPF C file to `object`; paths count from this folder. `flags` come last, so they override. */
export function compileObject(source: string, object: string, flags: readonly string[] = []): void {
  run(CLANG, [...COMMON_FLAGS, ...BPF_FLAGS, ...flags, '-c', source, '-o', object]);
  run(LLVM_STRIP, ['-g', object]);
}

/** Compiles a BPF C file for this machine; paths count from this folder. */
export function compileNative(source: string, executable: string, flags: readonly string[] = []): void {
  run(CLANG, [...COMMON_FLAGS, ...NATIVE_FLAGS, ...flags, source, '-o', executable]);
}

/** Compiles one of {@link objects} into `directory`. @returns the path. */
function build({ name, object, flags }: ReturnType<typeof objects>[number], directory: string): string {
  const path = join(directory, object);
  mkdirSync(dirname(path), { recursive: true });
  compileObject(`${name}.bpf.c`, path, flags);
  return path;
}

/** Builds into a temporary folder; one line for every object here that is not what its source gives. */
function differences(): string[] {
  return inTemporaryFolder((fresh) => {
    const problems: string[] = [];
    for (const each of objects()) {
      console.log(`check  ${each.object}`);
      const problem = compare(join(PROGRAMS, each.object), build(each, fresh));
      if (problem !== null) problems.push(`programs/${each.object}: ${problem}`);
    }
    const known = new Set(objects().map(({ object }) => object));
    for (const file of filesThatEnd('.bpf.o')) {
      if (!known.has(file)) problems.push(`programs/${file}: has no source`);
    }
    return problems;
  });
}

/** Runs `work` with a folder that is gone afterwards. */
export function inTemporaryFolder<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'bpf-programs-'));
  try {
    return work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** What is wrong with the committed file, or null. */
function compare(committed: string, fresh: string): string | null {
  if (!existsSync(committed)) return 'is missing';
  const [have, want] = [readFileSync(committed), readFileSync(fresh)];
  if (have.equals(want)) return null;
  const at = want.findIndex((byte, index) => byte !== have[index]);
  const where = at < 0 ? want.length : at;
  return `is not what its source gives (${have.length} bytes, built ${want.length}; first difference at ${where})`;
}

function run(tool: string, args: readonly string[]): void {
  const { CPATH, C_INCLUDE_PATH, CCC_OVERRIDE_OPTIONS, ...env } = process.env;
  try {
    execFileSync(tool, args, { cwd: PROGRAMS, env, encoding: 'utf8', stdio: ['ignore', 'inherit', 'pipe'] });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    if (code === 'ENOENT') {
      throw new BuildError(
        `${tool} not found. Install the Debian packages clang-22 and llvm-22 (apt.llvm.org), or name your compiler: ` +
          'CLANG=clang LLVM_STRIP=llvm-strip npm run programs',
      );
    }
    throw new BuildError(`${stderr ?? error}${tool} failed`);
  }
}

function check(): number {
  const problems = differences();
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) console.error(`Rebuild with: npm run programs (here: ${clangVersion()})`);
  else console.log(`${objects().length} objects are what their sources give`);
  return problems.length > 0 ? 1 : 0;
}

/** Rebuilds in place, touching only the files whose bytes change. */
function rebuild(): number {
  inTemporaryFolder((fresh) => {
    for (const each of objects()) {
      const committed = join(PROGRAMS, each.object);
      const built = build(each, fresh);
      const changed = compare(committed, built) !== null;
      if (changed) copyFileSync(built, committed);
      console.log(`${changed ? 'built ' : 'same  '} ${each.object}`);
    }
  });
  return 0;
}

/** Tests of the verifier say nothing natively; and there are no maps there, and no page tables, nor helpers. */
const BPF_ONLY: readonly RegExp[] = [
  /^arena_tests$/,
  /^bench\/(call|channels|helpers|maps|pages)$/,
  /^contract\//,
  /^kv\//,
];

function native(directory: string): number {
  for (const name of sources().filter((each) => !BPF_ONLY.some((pattern) => pattern.test(each)))) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    compileNative(`${name}.bpf.c`, join(directory, name));
    console.log(`native ${join(directory, name)}`);
  }
  return 0;
}

function main(): number {
  const { values } = parseArgs({
    options: { check: { type: 'boolean' }, native: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  // npm runs scripts in the package's root, so a relative DIR counts from there.
  if (values.native !== undefined) return native(resolve(values.native));
  return values.check ? check() : rebuild();
}

if (import.meta.main) {
  try {
    process.exitCode = main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = error instanceof BuildError ? 1 : 2;
  }
}
