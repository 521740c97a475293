import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { misunderstood } from '../tools/arguments.ts';

/**
 * Runs the benchmarks of this folder one after another, each in a process of its own: `npm run bench -- [NAME…]`. What
 * follows the names and starts with - is for the benchmarks.
 */
const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.ts') && file !== 'run.ts');
const names = files.map((file) => file.slice(0, -'.ts'.length)).sort();
const USAGE = `usage: npm run bench -- [NAME...] [OPTIONS]
  NAME     ${names.join(', ')} (all, one after another)
  OPTIONS  what begins with - is for the benchmarks: --json of all, others each has its own`;

const args = process.argv.slice(2);
if (args[0] === '--help') {
  console.log(USAGE);
  process.exit(0);
}
const first = args.findIndex((arg) => arg.startsWith('-'));
const wanted = first < 0 ? args : args.slice(0, first);
const options = first < 0 ? [] : args.slice(first);
for (const name of wanted) if (!names.includes(name)) misunderstood(USAGE, `there is no benchmark '${name}'`);
for (const name of wanted.length > 0 ? names.filter((each) => wanted.includes(each)) : names) {
  if (!options.includes('--json')) console.log(`# ${name}.ts`);
  const { status } = spawnSync(process.execPath, [`${import.meta.dirname}/${name}.ts`, ...options], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
