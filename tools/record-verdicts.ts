import { writeFileSync } from 'node:fs';
import { generate, Random } from '../fuzz/generate.ts';
import { assembleObject } from '../src/object/write.ts';
import {
  casesOf,
  type Expected,
  GENERATED_FILE,
  topics,
  verdictsFile,
} from '../src/verifier/testdata/cases.ts';
import { argumentsOf, misunderstood } from './arguments.ts';
import { verdictOf } from './verdict.ts';

/**
 * `npm run record [-- TOPIC…]`: records what Linux says to the verifier's test cases, as root on Linux 6.18. Written cases
 * stand in src/verifier/testdata/cases/TOPIC.txt; generated ones are named by their seed, under the topic `generated`.
 */

const USAGE = `usage: npm run record [-- TOPIC...]
  TOPIC  a file of src/verifier/testdata/cases without its ending, or generated; all by default`;

const GENERATED = 1_200;
const LINE_WIDTH = 110;

async function record(text: string, flags: number): Promise<Expected> {
  let bytes: Uint8Array;
  try {
    bytes = assembleObject(text, 'case');
  } catch (error) {
    throw new Error(text, { cause: error });
  }
  const { verdict, code, message } = await verdictOf('linux', bytes, 'f', { flags });
  if (verdict === 'error' || verdict === 'unsupported') throw new Error(`${message}:\n${text}`);
  return { verdict, ...(code && { code }), ...(message && { message }) };
}

async function recordTopic(topic: string): Promise<number> {
  const verdicts: Record<string, Expected> = {};
  const cases = casesOf(topic);
  for (const { name, text, flags } of cases) {
    if (name in verdicts) throw new Error(`${topic}: two cases have the name '${name}'`);
    verdicts[name] = await record(text, flags);
  }
  writeFileSync(verdictsFile(topic), `${JSON.stringify(verdicts, null, 2)}\n`);
  return cases.length;
}

/** A row as the formatter wants it: in a line where it fits. */
function formatted(row: object): string {
  const fields = Object.entries(row).map(([key, value]) => `"${key}": ${JSON.stringify(value)}`);
  const line = `  { ${fields.join(', ')} }`;
  return line.length < LINE_WIDTH ? line : `  {\n    ${fields.join(',\n    ')}\n  }`;
}

async function recordGenerated(): Promise<number> {
  const rows: string[] = [];
  for (let seed = 1; seed <= GENERATED; seed++) {
    const { text, flags } = generate(new Random(seed));
    rows.push(formatted({ seed, ...(await record(text, flags)) }));
  }
  writeFileSync(GENERATED_FILE, `[\n${rows.join(',\n')}\n]\n`);
  return GENERATED;
}

const { positionals } = argumentsOf(USAGE, {}, true);
const chosen = positionals.length > 0 ? positionals : [...topics(), 'generated'];
for (const topic of chosen)
  if (topic !== 'generated' && !topics().includes(topic))
    misunderstood(USAGE, `there is no topic '${topic}'`);
for (const topic of chosen) {
  const count = topic === 'generated' ? await recordGenerated() : await recordTopic(topic);
  console.log(`${topic}: ${count} cases recorded`);
}
