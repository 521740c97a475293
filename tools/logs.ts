import { OpenedObject } from '../src/index.ts';
import { assembleObject } from '../src/object/write.ts';
import { casesOf, topics } from '../src/verifier/testdata/cases.ts';
import { argumentsOf, misunderstood, readFile, wholeNumber } from './arguments.ts';
import { comparableLog } from './comparable-log.ts';
import { verdictOf } from './verdict.ts';

/**
 * `npm run logs [-- TOPIC|OBJECT…]`: the verifier's logs of both kernels side by side, for the verifier's cases or the
 * programs of objects. What may differ is listed in comparable-log.ts, and in docs/verifier.md. Root on Linux.
 */

const USAGE = `usage: npm run logs -- [--level N] [--most N] [TOPIC or OBJECT...]
  TOPIC      a file of src/verifier/testdata/cases without its ending; all by default
  OBJECT     a BPF object, ending in .o
  --level N  the log's level, 1 or 2 (2)
  --most N   how many differences to show (20)`;

const { values, positionals } = argumentsOf(
  USAGE,
  {
    level: { type: 'string', default: '2' },
    most: { type: 'string', default: '20' },
  },
  true,
);
const logLevel = wholeNumber(USAGE, 'level', values.level, 0);
const most = wholeNumber(USAGE, 'most', values.most, 0);
let same = 0;
let differ = 0;
let verdicts = 0;

async function compare(bytes: Uint8Array, program: string, name: string): Promise<void> {
  const linux = await verdictOf('linux', bytes, program, { logLevel });
  const here = await verdictOf('embedded', bytes, program, { logLevel });
  if (linux.verdict !== here.verdict) {
    verdicts++;
    return;
  }
  // Where Linux refuses the object's BTF it knows no source lines.
  const lines = /^; .* @ /m;
  const both = lines.test(linux.log) && lines.test(here.log);
  const comparable = (log: string) => comparableLog(log).filter((line) => both || !lines.test(line));
  const theirs = comparable(linux.log);
  const ours = comparable(here.log);
  const at = theirs.findIndex((line, index) => line !== ours[index]);
  if (at < 0 && theirs.length === ours.length) {
    same++;
    return;
  }
  differ++;
  if (differ > most) return;
  const from = at < 0 ? theirs.length : at;
  console.log(`\n${name} (${linux.verdict}), line ${from}`);
  console.log(`        ${theirs[from - 1] ?? ''}`);
  console.log(`  Linux ${theirs[from] ?? '(end)'}\n  here  ${ours[from] ?? '(end)'}`);
}

const objects = positionals.filter((name) => name.endsWith('.o'));
const chosen = positionals.filter((name) => !name.endsWith('.o'));
for (const name of chosen) if (!topics().includes(name)) misunderstood(USAGE, `there is no topic '${name}'`);
for (const topic of positionals.length > 0 ? chosen : topics())
  for (const { name, text } of casesOf(topic)) await compare(assembleObject(text, 'case'), 'f', name);
for (const path of objects) {
  const bytes = readFile(USAGE, path);
  for (const program of Object.keys(new OpenedObject(bytes, path).programs))
    await compare(bytes, program, `${path} ${program}`);
}
console.log(`\nlogs that are the same: ${same}; that differ: ${differ}; other verdicts: ${verdicts}`);
if (differ > 0) process.exitCode = 1;
