import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BpfError } from '../src/errors.ts';
import { type ArenaCase, arenaCases, openArena } from '../test/instructions/arena.ts';
import { ENGINES } from '../test/instructions/engines.ts';
import {
  contextOf,
  type InstructionCase,
  outcomeOf,
  programOf,
  readSuite,
} from '../test/instructions/harness.ts';
import { argumentsOf } from './arguments.ts';

/**
 * `npm run record:instructions`: fills in what Linux gives for new cases of test/instructions, as root on Linux 6.18. A new
 * run has `"?"` where its r0 will be: the last of a plain run's numbers, or the `r0` of a run in an arena.
 */

argumentsOf('usage: npm run record:instructions', {});

const UNKNOWN = '?';

/** Plain cases: r0 of each run, and what stands in memory then. */
function recordPlain(cases: InstructionCase[]): boolean {
  using session = ENGINES.linux.open();
  const fresh = cases.filter(({ runs }) => runs.some((run) => run.at(-1) === UNKNOWN));
  for (const each of fresh) {
    const run = accepted(each.asm, () => session.load(programOf(each, session.values)));
    if (run === undefined) continue;
    const outcomes = each.runs.map((numbers) => {
      const ctx = contextOf(each, numbers);
      run(ctx);
      return outcomeOf(each, ctx);
    });
    const runs = each.runs.map((numbers, i) => [...numbers.slice(0, -1), outcomes[i].r0]);
    const changed = outcomes.some(({ memory }) => memory !== (each.memory ?? ''));
    Object.assign(each, { runs }, changed && { after: outcomes.map(({ memory }) => memory) });
  }
  return fresh.length > 0;
}

/** Cases with an arena: r0 of each run, and what changed in the arena. */
function recordArena(cases: ArenaCase[]): boolean {
  using arena = openArena(ENGINES.linux);
  const fresh = cases.filter(({ runs = [] }) => runs.some(({ r0 }) => r0 === UNKNOWN));
  for (const { asm, runs = [] } of fresh) {
    for (const run of runs) {
      const answer = accepted(asm, () => arena.run(asm, run.args));
      if (answer === undefined) break;
      const { r0, stores } = answer;
      Object.assign(run, { r0 }, Object.keys(stores).length > 0 && { stores });
    }
  }
  return fresh.length > 0;
}

/** What `action` gives; where Linux refuses the case, its last word is shown. */
function accepted<Result>(asm: string, action: () => Result): Result | undefined {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    console.error(`refused: ${asm}\n  ${error.message.trim().split('\n').slice(-2).join('\n  ')}`);
    process.exitCode = 1;
    return undefined;
  }
}

const written: string[] = [];
function write(file: string, cases: readonly unknown[]): void {
  const path = fileURLToPath(new URL(`../test/instructions/${file}`, import.meta.url));
  writeFileSync(path, JSON.stringify(cases));
  written.push(path);
}

for (const [file, cases] of Object.entries(readSuite())) if (recordPlain(cases)) write(file, cases);
for (const [file, cases] of Object.entries(arenaCases()))
  if (recordArena(cases)) write(`arena/${file}`, cases);
if (written.length > 0) spawnSync('npx', ['biome', 'format', '--write', ...written], { stdio: 'inherit' });
console.log(`${written.length} files have new values`);
