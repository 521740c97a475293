import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

/**
 * Runs the benchmarks of this folder one after another, each in a process of its own: `npm run bench -- [NAME…]`. What
 * follows the names and starts with - is for the benchmarks.
 */
const args = process.argv.slice(2);
const first = args.findIndex((arg) => arg.startsWith('-'));
const wanted = first < 0 ? args : args.slice(0, first);
const options = first < 0 ? [] : args.slice(first);
const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.ts') && file !== 'run.ts');
for (const file of files.sort()) {
  if (wanted.length > 0 && !wanted.some((name) => file === `${name}.ts`)) continue;
  if (!options.includes('--json')) console.log(`# ${file}`);
  const { status } = spawnSync(process.execPath, [`${import.meta.dirname}/${file}`, ...options], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
