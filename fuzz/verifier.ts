import { mkdirSync, writeFileSync } from 'node:fs';
import { assembleObject } from '../src/object/write.ts';
import { argumentsOf, wholeNumber } from '../tools/arguments.ts';
import { type Verdict, verdictOf } from '../tools/verdict.ts';
import { generate, Random } from './generate.ts';
import { knownDifference } from './known-differences.ts';
import { generateObjects } from './objects.ts';

/**
 * `npm run fuzz:verifier -- --count N --seed S`: random programs go to both verifiers. What is accepted here and refused
 * by Linux is a bug; what is refused here and accepted there is precision lost. Root on Linux.
 */

const USAGE = `usage: npm run fuzz:verifier -- [--objects] [--count N] [--seed S] [--save DIR]
  --objects   programs about objects, locks and other regions, instead of numbers and memory
  --count N   programs to try (1000)
  --seed S    the first program's seed; program i has seed S + i (1)
  --save DIR  writes the programs on which the verifiers differ`;

const { values } = argumentsOf(USAGE, {
  count: { type: 'string', default: '1000' },
  seed: { type: 'string', default: '1' },
  save: { type: 'string' },
  objects: { type: 'boolean', default: false },
});
const count = wholeNumber(USAGE, 'count', values.count, 1);
const first = wholeNumber(USAGE, 'seed', values.seed, 0);

/** Milliseconds after which a verification is worth a look. */
const SLOW = 1_000;

/** How often a rule was part of programs that Linux accepted and refused. */
const rules = new Map<string, { accepted: number; refused: number }>();
const lost = new Map<string, number>();
const totals = {
  accepted: 0,
  agreed: 0,
  unsound: 0,
  lost: 0,
  unsupported: 0,
  known: 0,
  messages: 0,
  refused: 0,
};
let slowest = 0;

function show(kind: string, seed: number, text: string, here: Verdict, linux: Verdict): void {
  console.log(`\n${kind}: seed ${seed}\n  Linux: ${linux.verdict} ${linux.message ?? ''}`);
  console.log(`  here:  ${here.verdict} ${here.message ?? ''}`);
  if (values.save === undefined) return;
  mkdirSync(values.save, { recursive: true });
  writeFileSync(`${values.save}/${seed}.bpfasm`, text);
}

let stopped = false;
process.once('SIGINT', () => {
  stopped = true;
});

console.log(`seeds ${first} to ${first + count - 1}`);
let tried = 0;
for (let seed = first; seed < first + count && !stopped; seed++) {
  const { text, rules: touched, flags } = (values.objects ? generateObjects : generate)(new Random(seed));
  const bytes = assembleObject(text, 'fuzz');
  const linux = await verdictOf('linux', bytes, 'f', { flags });
  const here = await verdictOf('embedded', bytes, 'f', { flags });
  tried++;
  slowest = Math.max(slowest, here.time);
  if (here.time > SLOW)
    show(`slow, ${here.time.toFixed(0)} ms (Linux ${linux.time.toFixed(0)} ms)`, seed, text, here, linux);
  const accepted = linux.verdict === 'accepted';
  if (accepted) totals.accepted++;
  for (const rule of touched) {
    const row = rules.get(rule) ?? { accepted: 0, refused: 0 };
    row[accepted ? 'accepted' : 'refused']++;
    rules.set(rule, row);
  }
  if (here.verdict === 'unsupported') {
    totals.unsupported++;
    show('unsupported', seed, text, here, linux);
  } else if (here.verdict === linux.verdict) {
    totals.agreed++;
    if (!accepted) {
      totals.refused++;
      if (here.message === linux.message && here.code === linux.code) totals.messages++;
    }
  } else if (knownDifference(text, linux.message ?? here.message ?? '') !== undefined) {
    totals.known++;
  } else if (here.verdict === 'accepted') {
    totals.unsound++;
    show('ACCEPTED HERE, REFUSED BY LINUX', seed, text, here, linux);
  } else {
    totals.lost++;
    const what = (here.message ?? '').replace(/-?\d+/g, 'N');
    lost.set(what, (lost.get(what) ?? 0) + 1);
    show('refused here, accepted by Linux', seed, text, here, linux);
  }
  if (process.stderr.isTTY && seed % 100 === 0) process.stderr.write(`\r${seed - first} of ${count}`);
}

const percent = (part: number, whole: number) => `${((100 * part) / Math.max(1, whole)).toFixed(2)} %`;
console.log(
  `\n${tried} programs, Linux accepts ${percent(totals.accepted, tried)}; slowest here ${slowest.toFixed(0)} ms`,
);
console.log(
  `verdicts agree: ${percent(totals.agreed, tried)}; unsound: ${totals.unsound}; precision lost: ${totals.lost}`,
);
console.log(`unsupported: ${totals.unsupported}; known differences: ${totals.known}`);
console.log(`refusals with the same message and errno: ${totals.messages} of ${totals.refused}`);
console.table(Object.fromEntries([...rules].sort()));
if (lost.size > 0) console.table(Object.fromEntries(lost));
if (totals.unsound > 0) process.exitCode = 1;
