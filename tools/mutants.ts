import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { argumentsOf, wholeNumber } from './arguments.ts';
import { JIT_AREAS } from './mutants/jit.ts';
import { AREAS, type Mutant } from './mutants/table.ts';

/**
 * `npm run mutants [-- TEXT…]`: tries whether the tests of the verifier and of the JIT see deliberate bugs. Each is put into
 * a copy of the repository, and the tests run there until one fails. A bug that all of them miss shows that a case is missing.
 */

const USAGE = `usage: npm run mutants [-- [--jobs N] TEXT...]
  --jobs N  how many are tried at a time; 2 by default
  TEXT      only bugs whose room, area, file or name contains it; all by default`;

/**
 * A bug is taken for seen where tests take so many milliseconds, and this many times as long as without it: it made something
 * endless.
 */
const LEAST = 60_000;
const TIMES = 4;

const ROOT = new URL('..', import.meta.url).pathname;
const COPIED = ['src', 'fuzz', 'tools', 'test', 'include', 'programs', 'package.json', 'tsconfig.json'];

/** Cases are most of the tests, and one process of their own: node:test takes long to begin. */
const CASES = 'tools/mutants/first-failure.ts';
const LIKELY = `${CASES} --only`;

type Room = 'verifier' | 'jit';

interface Bug extends Mutant {
  readonly room: Room;
  readonly area: string;
  /** Topics of cases that come first. */
  readonly topics: readonly string[];
}

interface Outcome {
  readonly result: 'seen' | 'SURVIVES' | 'NOT TRIED';
  /** What saw it; why it was not tried. */
  readonly by: string;
}

const { values, positionals } = argumentsOf(USAGE, { jobs: { type: 'string', default: '2' } }, true);

/** Tests outside of src/jit that see what it does, the quicker ones first. */
const JIT_TESTS = [
  'src/embedded/compiled.test.ts',
  'src/embedded/arena-checks.test.ts',
  'src/embedded/window-end.test.ts',
  'test/engines-found.test.ts',
  'src/embedded/page-runs.test.ts',
  'test/instructions/jit.test.ts',
  'test/instructions/faults.test.ts',
  'test/engines.test.ts',
];

/** Of files in src/jit that have no test beside them: what is likely to see their bugs. */
const LIKELY_OF: Readonly<Record<string, string>> = {
  'analyses.ts': 'src/jit/emit/emit.test.ts',
  'flow.ts': 'src/jit/emit/emit.test.ts',
  'places.ts': 'src/jit/groups.test.ts',
  'emit/alu.ts': 'test/instructions/jit.test.ts',
  'emit/arena.ts': 'src/embedded/arena-checks.test.ts',
  'emit/call.ts': 'src/embedded/routines/routines.test.ts',
  'emit/function.ts': 'src/embedded/compiled.test.ts',
  'emit/jump.ts': 'src/embedded/compiled.test.ts',
  'emit/page-runs.ts': 'src/embedded/page-runs.test.ts',
  'emit/pages.ts': 'src/embedded/arena-checks.test.ts',
  'emit/versions.ts': 'src/embedded/compiled.test.ts',
};

/** What is run, the quickest to see a bug first; each text is what one process runs. */
function testsFor(root: string, room: Room, file: string): string[] {
  const below = (folder: string) =>
    readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts') && name !== 'cases.test.ts')
      .map((name) => `${folder}/${name}`)
      .sort();
  const tests = below(`src/${room}`);
  if (room === 'jit') {
    const beside = `src/jit/${file.replace(/\.ts$/, '')}.test.ts`;
    const first = tests.includes(beside) ? beside : LIKELY_OF[file];
    const others = tests.filter((name) => name !== first);
    return [
      ...(first === undefined ? [] : [first]),
      others.join(' '),
      ...JIT_TESTS.filter((name) => name !== first),
    ];
  }
  // Cases of the likely topics, tests beside the file, all cases, all tests.
  const near = tests.filter((name) => name.startsWith(`src/verifier/${dirname(file)}/`));
  return [LIKELY, ...near, CASES, ...tests.filter((name) => !near.includes(name))];
}

/** What no test finds, because the program itself is none: such a row is wrong. */
const BROKEN = /SyntaxError|ReferenceError|ERR_INVALID_TYPESCRIPT_SYNTAX|ERR_MODULE_NOT_FOUND/;

/** Milliseconds that tests took without any bug, by what is run; what is not in it is quick. */
const took = new Map<string, number>();

/** Runs tests until their first failure. @returns its name, or undefined when all pass. */
function firstFailure(root: string, file: string, topics: readonly string[]): Promise<string | undefined> {
  const isCases = file.startsWith(CASES);
  // In one process: none is left when it is ended.
  const options = ['--test', '--test-isolation=none', '--test-reporter=tap'];
  const args = [...(isCases ? [] : options), ...file.split(' '), ...(isCases ? topics : [])];
  const child = spawn(process.execPath, args, { cwd: root });
  const limit = LEAST + TIMES * (took.get(file) ?? 0);
  return new Promise((resolve, reject) => {
    let [text, errors] = ['', ''];
    const timer = root === ROOT ? undefined : setTimeout(() => end('it took too long'), limit);
    const end = (result: string | undefined) => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      const broken = BROKEN.exec(`${text}${errors}`);
      if (broken === null) resolve(result);
      else reject(new Error(broken[0]));
    };
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      // The failure's own lines follow its name.
      const failed = /^\s*not ok \d+ - (.*)$[\s\S]*?^\s*\.\.\.$/m.exec(text);
      if (!isCases && failed !== null) end(failed[1]);
    });
    child.on('error', reject);
    child.on('close', (status) => {
      const name = isCases ? text.trim() : '';
      end(status === 0 ? undefined : name || (/^\w*Error.*/m.exec(errors)?.[0] ?? `exit status ${status}`));
    });
  });
}

async function tried(root: string, bug: Bug): Promise<Outcome> {
  const path = join(root, 'src', bug.room, bug.file);
  const original = readFileSync(path, 'utf8');
  const parts = original.split(bug.find);
  if (parts.length !== 2) return { result: 'NOT TRIED', by: `its text stands ${parts.length - 1} times` };
  writeFileSync(path, parts.join(bug.replace));
  try {
    for (const file of testsFor(root, bug.room, bug.file)) {
      const failed = await firstFailure(root, file, bug.topics);
      if (failed !== undefined)
        return {
          result: 'seen',
          by: file.startsWith(CASES) || file.includes(' ') ? failed : `${basename(file)}: ${failed}`,
        };
    }
    return { result: 'SURVIVES', by: '' };
  } catch (error) {
    return { result: 'NOT TRIED', by: error instanceof Error ? error.message : String(error) };
  } finally {
    writeFileSync(path, original);
  }
}

function chosen(bug: Bug): boolean {
  const names = [bug.room, bug.area, bug.file, bug.name];
  return positionals.length === 0 || positionals.some((text) => names.some((name) => name.includes(text)));
}

const start = performance.now();
const bugs = [
  ...AREAS.map((area) => ({ room: 'verifier' as const, ...area })),
  ...JIT_AREAS.map((area) => ({ room: 'jit' as const, ...area })),
]
  .flatMap(({ mutants, ...rest }) => mutants.map((mutant): Bug => ({ ...mutant, ...rest })))
  .filter(chosen);
const outcomes = new Map<Bug, Outcome>();
const waiting = [...bugs];

async function work(): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'mutants-'));
  try {
    for (const name of COPIED) cpSync(join(ROOT, name), join(root, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const outcome = await tried(root, bug);
      outcomes.set(bug, outcome);
      console.log(`${outcome.result.padEnd(9)} ${bug.file}: ${bug.name}; ${outcome.by}`);
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

for (const room of new Set(bugs.map((bug) => bug.room))) {
  for (const file of testsFor(ROOT, room, '')) {
    const begin = performance.now();
    const failed = await firstFailure(ROOT, file, []);
    if (failed !== undefined) throw new Error(`without any bug ${file} fails: ${failed}`);
    took.set(file, performance.now() - begin);
  }
}
await Promise.all(Array.from({ length: wholeNumber(USAGE, 'jobs', values.jobs, 1) }, work));

const counts = (of: readonly Bug[]) => {
  const seen = of.filter((bug) => outcomes.get(bug)?.result === 'seen').length;
  return { bugs: of.length, seen };
};
for (const bug of bugs) {
  const { result, by } = outcomes.get(bug) ?? { result: 'NOT TRIED', by: 'it was not reached' };
  if (result !== 'seen') console.log(`${result}: ${bug.area}, ${bug.file}: ${bug.name} ${by}`);
}
console.table(
  Object.fromEntries([...Map.groupBy(bugs, ({ area }) => area)].map(([area, of]) => [area, counts(of)])),
);
const all = counts(bugs);
const minutes = ((performance.now() - start) / 60_000).toFixed(1);
console.log(`${all.bugs} bugs, ${all.seen} seen by the tests; ${minutes} minutes`);
if (all.seen < all.bugs) process.exitCode = 1;
