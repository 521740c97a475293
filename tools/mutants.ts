import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AREAS, type Mutant } from './mutants/table.ts';

/**
 * `npm run mutants [-- TEXT…]`: tries whether the verifier's tests see deliberate bugs. Each is put into a copy of the
 * repository, and the tests run there until one fails. A bug that all of them miss shows that a case is missing.
 */

const USAGE = `usage: npm run mutants [-- TEXT...]
  TEXT  only bugs whose area, file or name contains it; all by default`;

/** Milliseconds after which a bug is taken for seen: what it made endless would not have passed. */
const LIMIT = 120_000;

const ROOT = new URL('..', import.meta.url).pathname;
const COPIED = ['src', 'fuzz', 'tools', 'test', 'include', 'package.json', 'tsconfig.json'];
/** Those that find most come first. */
const FIRST = ['cases.test.ts', 'scalar.test.ts', 'soundness.test.ts'];

const { values, positionals } = parseArgs({ options: { help: { type: 'boolean' } }, allowPositionals: true });
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

function testFiles(root: string): string[] {
  const files = readdirSync(`${root}/src/verifier`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `src/verifier/${file}`);
  const rank = (file: string) => {
    const found = FIRST.findIndex((each) => file.endsWith(each));
    return found < 0 ? FIRST.length : found;
  };
  return files.sort((a, b) => rank(a) - rank(b));
}

/** Runs a test file until its first failure. @returns the failing test's name, or undefined when all pass. */
function firstFailure(root: string, file: string): Promise<string | undefined> {
  const child = spawn(process.execPath, ['--test', '--test-reporter=tap', file], { cwd: root });
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => end('it took too long'), LIMIT);
    const end = (result: string | undefined) => {
      clearTimeout(timer);
      child.kill();
      resolve(result);
    };
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const failed = /^\s*not ok \d+ - (.*)$/m.exec(text);
      if (failed !== null) end(failed[1]);
    });
    child.on('error', reject);
    child.on('close', (status) => end(status === 0 ? undefined : `exit status ${status}`));
  });
}

/** @returns what saw the bug; undefined when nothing did. Throws when it cannot be put in. */
async function seenBy(root: string, files: readonly string[], mutant: Mutant): Promise<string | undefined> {
  const path = join(root, 'src/verifier', mutant.file);
  const original = readFileSync(path, 'utf8');
  const parts = original.split(mutant.find);
  if (parts.length !== 2) throw new Error(`its text stands ${parts.length - 1} times in ${mutant.file}`);
  writeFileSync(path, parts.join(mutant.replace));
  try {
    for (const file of files) {
      const failed = await firstFailure(root, file);
      if (failed !== undefined) return `${file.split('/').at(-1)}: ${failed}`;
    }
    return undefined;
  } finally {
    writeFileSync(path, original);
  }
}

const root = mkdtempSync(join(tmpdir(), 'mutants-'));
const table: { area: string; bug: string; seen: string }[] = [];
let survived = 0;
try {
  for (const name of COPIED) cpSync(join(ROOT, name), join(root, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  const files = testFiles(root);
  for (const file of files) {
    const failed = await firstFailure(root, file);
    if (failed !== undefined) throw new Error(`without any bug ${file} fails: ${failed}`);
  }
  for (const { area, mutants } of AREAS) {
    for (const mutant of mutants) {
      const names = [area, mutant.file, mutant.name];
      if (positionals.length > 0 && !positionals.some((text) => names.some((name) => name.includes(text))))
        continue;
      const seen = await seenBy(root, files, mutant).catch((error: Error) => `NOT TRIED: ${error.message}`);
      if (seen === undefined || seen.startsWith('NOT TRIED')) survived++;
      table.push({ area, bug: `${mutant.file}: ${mutant.name}`, seen: (seen ?? 'SURVIVES').slice(0, 70) });
      console.log(
        `${seen === undefined ? 'SURVIVES' : 'seen    '} ${mutant.file}: ${mutant.name}; ${seen ?? ''}`,
      );
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
console.table(table);
console.log(`${table.length} bugs, ${table.length - survived} seen by the tests`);
if (survived > 0) process.exitCode = 1;
