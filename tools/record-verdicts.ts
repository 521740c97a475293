import { readFileSync, writeFileSync } from 'node:fs';
import { generate, Random } from '../fuzz/generate.ts';
import { assembleObject } from '../src/object/write.ts';
import { readCases, type VerdictCase } from '../src/verifier/testdata/cases.ts';
import { verdictOf } from './verdict.ts';

/**
 * Records what Linux says to the verifier's test cases: `node tools/record-verdicts.ts` as root on Linux 6.18. The cases
 * that people wrote stand in src/verifier/testdata/cases.txt and keep their text; generated ones are named by their seed.
 */

const GENERATED = 1_200;
const FOLDER = new URL('../src/verifier/testdata/', import.meta.url);

async function record(text: string): Promise<Pick<VerdictCase, 'verdict' | 'code' | 'message'>> {
  let bytes: Uint8Array;
  try {
    bytes = assembleObject(text, 'case');
  } catch (error) {
    throw new Error(text, { cause: error });
  }
  const { verdict, code, message } = await verdictOf('linux', bytes, 'f');
  if (verdict === 'error' || verdict === 'unsupported') throw new Error(`${message}:\n${text}`);
  return { verdict, ...(code && { code }), ...(message && { message }) };
}

const written: Record<string, object> = {};
for (const { name, text } of readCases(readFileSync(new URL('cases.txt', FOLDER), 'utf8')))
  written[name] = await record(text);
writeFileSync(new URL('cases.json', FOLDER), `${JSON.stringify(written, null, 1)}\n`);

const generated: object[] = [];
for (let seed = 1; seed <= GENERATED; seed++)
  generated.push({ seed, ...(await record(generate(new Random(seed)).text)) });
writeFileSync(
  new URL('generated.json', FOLDER),
  `[\n${generated.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`,
);
console.log(`${Object.keys(written).length} written, ${generated.length} generated cases recorded`);
