import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { AREAS, type Mutant } from './mutants/table.ts';

/**
 * `npm run mutants [-- TEXT…]`: tries whether the verifier's tests see deliberate bugs. Each is put into a copy of the
 * repository, and the tests run there until one fails. A bug that all of them miss shows that a case is missing.
 */

const USAGE = `usage: npm run mutants [-- [--jobs N] TEXT...]
  --jobs N  how many are tried at a time; 2 by default
  TEXT      only bugs whose area, file or name contains it; all by default`;

/** Milliseconds after which a bug is taken for seen: what it made endless would not have passed. */
const LIMIT = 120_000;

const ROOT = new URL('..', import.meta.url).pathname;
const COPIED = ['src', 'fuzz', 'tools', 'test', 'include', 'package.json', 'tsconfig.json'];

/** Cases are most of the tests, and one process of their own: node:test takes long to begin. */
const CASES = 'tools/mutants/first-failure.ts';
const LIKELY = `${CASES} --only`;

interface Bug extends Mutant {
  readonly area: string;
  /** Topics of cases that come first. */
  readonly topics: readonly string[];
}

interface Outcome {
  readonly result: 'seen' | 'SURVIVES' | 'NOT TRIED';
  /** What saw it; why it was not tried. */
  readonly by: string;
}

const { values, positionals } = parseArgs({
  options: { help: { type: 'boolean' }, jobs: { type: 'string', default: '2' } },
  allowPositionals: true,
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

/** What is run, the quickest to see a bug first: cases of the likely topics, tests beside the file, all cases, all tests. */
function testsFor(root: string, file: string): string[] {
  const beside = `src/verifier/${dirname(file)}/`;
  const tests = readdirSync(`${root}/src/verifier`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && name !== 'cases.test.ts')
    .map((name) => `src/verifier/${name}`)
    .sort();
  const near = tests.filter((name) => name.startsWith(beside));
  return [LIKELY, ...near, CASES, ...tests.filter((name) => !near.includes(name))];
}

/** What no test finds, because the program itself is none: such a row is wrong. */
const BROKEN = /SyntaxError|ReferenceError|ERR_INVALID_TYPESCRIPT_SYNTAX|ERR_MODULE_NOT_FOUND/;

/** Runs tests until their first failure. @returns its name, or undefined when all pass. */
function firstFailure(root: string, file: string, topics: readonly string[]): Promise<string | undefined> {
  const isCases = file.startsWith(CASES);
  const args = isCases ? [...file.split(' '), ...topics] : ['--test', '--test-reporter=tap', file];
  const child = spawn(process.execPath, args, { cwd: root });
  return new Promise((resolve, reject) => {
    let [text, errors] = ['', ''];
    const timer = setTimeout(() => end('it took too long'), LIMIT);
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
  const path = join(root, 'src/verifier', bug.file);
  const original = readFileSync(path, 'utf8');
  const parts = original.split(bug.find);
  if (parts.length !== 2) return { result: 'NOT TRIED', by: `its text stands ${parts.length - 1} times` };
  writeFileSync(path, parts.join(bug.replace));
  try {
    for (const file of testsFor(root, bug.file)) {
      const failed = await firstFailure(root, file, bug.topics);
      if (failed !== undefined)
        return {
          result: 'seen',
          by: file.startsWith(CASES) ? failed : `${file.split('/').at(-1)}: ${failed}`,
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
  const names = [bug.area, bug.file, bug.name];
  return positionals.length === 0 || positionals.some((text) => names.some((name) => name.includes(text)));
}

const start = performance.now();
const bugs = AREAS.flatMap(({ area, topics, mutants }) =>
  mutants.map((mutant): Bug => ({ ...mutant, area, topics })),
).filter(chosen);
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

for (const file of testsFor(ROOT, '')) {
  const failed = await firstFailure(ROOT, file, []);
  if (failed !== undefined) throw new Error(`without any bug ${file} fails: ${failed}`);
}
await Promise.all(Array.from({ length: Number(values.jobs) }, work));

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
