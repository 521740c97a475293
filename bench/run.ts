import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

/** Runs the benchmarks of this folder one after another, each in a process of its own: `npm run bench -- [NAME…]`. */
const wanted = process.argv.slice(2);
const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.ts') && file !== 'run.ts');
for (const file of files.sort()) {
  if (wanted.length > 0 && !wanted.some((name) => file === `${name}.ts`)) continue;
  console.log(`# ${file}`);
  const { status } = spawnSync(process.execPath, [`${import.meta.dirname}/${file}`], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
