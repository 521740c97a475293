import { mkdirSync, writeFileSync } from 'node:fs';
import type { JitOptions } from '../src/jit/index.ts';
import { argumentsOf, misunderstood, wholeNumber } from '../tools/arguments.ts';
import { textOf } from './engines/generate.ts';
import { type Setting, shrink, trySeed, tryText } from './engines/try.ts';

/**
 * `npm run fuzz:engines -- --count N --seed S`: generated programs run on the interpreter and on the JIT with the same
 * inputs; results, context, maps, arena pages and fault reports must be the same. Needs no Linux.
 */

const USAGE = `usage: npm run fuzz:engines -- [--count N] [--seed S] [--runs R] [--faults MODE] [--most M] [--save DIR]
  --count N      programs to try (1000), 8 in an object
  --seed S       the first object's seed; object i has seed S + i (1)
  --runs R       runs of each program, with other inputs (3)
  --faults MODE  off or report; by default each for half of the objects
  --most M       differences after which it stops (1); each is shown with the smallest program that has it
  --save DIR     writes the objects that differ, as they were generated`;

/** Those that can be switched off without changing what a program does. */
const OPTIMISATIONS = [
  'versions',
  'choices',
  'grouping',
  'promotion',
  'inlining',
  'intrinsics',
  'ranges',
  'narrowing',
  'runs',
] as const satisfies readonly (keyof JitOptions)[];

/** Programs between two lines that say how far it is. */
const TELL_EVERY = 2_000;

/** In an object: what they share is paid for once. */
const PROGRAMS = 8;

const { values } = argumentsOf(USAGE, {
  count: { type: 'string', default: '1000' },
  seed: { type: 'string', default: '1' },
  runs: { type: 'string', default: '3' },
  faults: { type: 'string', default: 'both' },
  most: { type: 'string', default: '1' },
  save: { type: 'string' },
});
const [count, first, runs, most] = (['count', 'seed', 'runs', 'most'] as const).map((name) =>
  wholeNumber(USAGE, name, values[name], name === 'seed' ? 0 : 1),
);
const { faults: mode } = values;
if (!['off', 'report', 'both'].includes(mode))
  misunderstood(USAGE, `--faults is off, report or both: not '${mode}'`);

const totals = { tried: 0, compared: 0, differences: 0 };
/** Why programs were not compared, without numbers. */
const skipped = new Map<string, number>();
/** How many programs each kind of statement was part of. */
const rules = new Map<string, number>();

function count1(table: Map<string, number>, key: string): void {
  table.set(key, (table.get(key) ?? 0) + 1);
}

async function tryObject(seed: number): Promise<void> {
  const faults = mode === 'both' ? (seed % 2 === 0 ? 'off' : 'report') : (mode as 'off' | 'report');
  // One object in eight is compiled without one of the optimisations.
  const without = seed % 8 === 7 ? { [OPTIMISATIONS[(seed >> 3) % OPTIMISATIONS.length]]: false } : {};
  const setting: Setting = { options: { faults, jitOptions: without }, runs };
  const { object, compared, skipped: why, difference } = await trySeed(seed, PROGRAMS, setting);
  totals.tried += object.programs.length;
  totals.compared += compared.length;
  for (const each of why) count1(skipped, each.replace(/(?<=\b[Rrw])\d+|-?\b(0x[\da-f]+|\d+)\b/g, 'N'));
  for (const each of object.programs)
    if (compared.includes(each.name)) for (const rule of each.rules) count1(rules, rule);
  if (difference === undefined) return;
  totals.differences++;
  const { program, run, what } = difference;
  const options = `faults ${faults}${Object.keys(without).map((each) => `, without ${each}`)}`;
  console.log(`\nDIFFERS: seed ${seed}, program ${program ?? '(not compiled)'}, run ${run}, ${options}`);
  console.log(`  ${what}`);
  if (values.save !== undefined) {
    mkdirSync(values.save, { recursive: true });
    writeFileSync(`${values.save}/${seed}.bpfasm`, textOf(object, object.programs));
  }
  const tryIt = (text: string) => tryText(text, seed, setting);
  const small = await shrink(object, difference, tryIt);
  console.log(`the smallest program that shows it: ${(await tryIt(small)).difference?.what}`);
  for (const each of OPTIMISATIONS) {
    const jitOptions = { ...without, [each]: false };
    const { difference: left } = await tryText(small, seed, { ...setting, options: { faults, jitOptions } });
    if (left === undefined) console.log(`without ${each} it does not`);
  }
  console.log(small);
}

console.log(`seed ${first}`);
const start = performance.now();
for (let seed = first; totals.tried < count && totals.differences < most; seed++) {
  await tryObject(seed);
  if (totals.tried % TELL_EVERY === 0) console.error(`${totals.tried} programs, last seed ${seed}`);
}
const perSecond = Math.round((1000 * totals.tried) / (performance.now() - start));
console.log(`${totals.compared} of ${totals.tried} programs agree on both engines; ${perSecond} a second`);
console.log(`differences: ${totals.differences}`);
console.log('least often part of a program:');
console.table(Object.fromEntries([...rules].sort(([, a], [, b]) => a - b).slice(0, 8)));
console.log('not compared:');
console.table(Object.fromEntries([...skipped].sort(([, a], [, b]) => b - a).slice(0, 12)));
if (totals.differences > 0) process.exitCode = 1;
