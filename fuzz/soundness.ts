import { mkdirSync, writeFileSync } from 'node:fs';
import { assembleObject } from '../src/object/write.ts';
import { argumentsOf, wholeNumber } from '../tools/arguments.ts';
import { generate, Random } from './generate.ts';
import { NotWatched, Watched, type WatchMode } from './soundness/watch.ts';

/**
 * `npm run fuzz:soundness -- --count N --seed S`: generated programs that the verifier accepts are run with random inputs.
 * At every step each register and slot must lie inside what the verifier claimed; and, verified as always, no run may
 * leave its memory. What is found is a bug of the verifier. Needs no Linux.
 */

const USAGE = `usage: npm run fuzz:soundness -- [--count N] [--seed S] [--runs R] [--save DIR]
  --count N   programs to try (1000)
  --seed S    the first program's seed; program i has seed S + i (1)
  --runs R    runs of each program, with other inputs (8)
  --save DIR  writes the programs that show a bug`;

const { values } = argumentsOf(USAGE, {
  count: { type: 'string', default: '1000' },
  seed: { type: 'string', default: '1' },
  runs: { type: 'string', default: '8' },
  save: { type: 'string' },
});
const [count, first, runs] = (['count', 'seed', 'runs'] as const).map((name) =>
  wholeNumber(USAGE, name, values[name], name === 'seed' ? 0 : 1),
);

const MODES: readonly WatchMode[] = ['claims', 'guard'];
const totals = { watched: 0, runs: 0, steps: 0, bugs: 0 };
/** Why programs were not watched, without numbers. */
const skipped = new Map<string, number>();

async function tryProgram(seed: number): Promise<void> {
  const { text, flags } = generate(new Random(seed));
  const bytes = assembleObject(text, 'fuzz');
  for (const mode of MODES) {
    try {
      using watched = await Watched.open(bytes, mode, flags);
      if (mode === 'claims') totals.watched++;
      for (let run = 0; run < runs; run++) {
        totals.runs++;
        const found = watched.run(new Random(seed * 1_000 + run));
        if (found === undefined) continue;
        totals.bugs++;
        console.log(`\nVERIFIER BUG: seed ${seed}, run ${run} (${mode}), instruction ${found.insn}`);
        console.log(`  ${found.problem}`);
        if (values.save === undefined) break;
        mkdirSync(values.save, { recursive: true });
        writeFileSync(`${values.save}/${seed}.bpfasm`, text);
        break;
      }
      totals.steps += watched.steps;
    } catch (error) {
      if (!(error instanceof NotWatched)) throw error;
      if (mode === 'claims') count1(skipped, error.message.replace(/^.*?: /, '').replace(/-?\d+/g, 'N'));
    }
  }
}

function count1(table: Map<string, number>, key: string): void {
  table.set(key, (table.get(key) ?? 0) + 1);
}

console.log(`seeds ${first} to ${first + count - 1}`);
for (let seed = first; seed < first + count; seed++) await tryProgram(seed);
const { watched, steps, bugs } = totals;
console.log(
  `\n${watched} of ${count} programs accepted and watched, ${totals.runs} runs, ${steps} instructions`,
);
console.log(`bugs of the verifier: ${bugs}`);
const often = [...skipped].sort(([, a], [, b]) => b - a).slice(0, 12);
console.table(Object.fromEntries(often));
if (bugs > 0) process.exitCode = 1;
