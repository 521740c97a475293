import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { generate, Random } from '../../fuzz/generate.ts';
import { verdictOf } from '../../tools/verdict.ts';
import { assembleObject } from '../object/write.ts';
import { readCases, type VerdictCase } from './testdata/cases.ts';

/** Verdicts, errnos and messages, as Linux 6.18 gave them: tools/record-verdicts.ts asks it again. */

type Expected = Pick<VerdictCase, 'verdict' | 'code' | 'message'>;

const read = (name: string) => readFileSync(new URL(`testdata/${name}`, import.meta.url), 'utf8');
const written: Record<string, Expected> = JSON.parse(read('cases.json'));
const generated: (Expected & { seed: number })[] = JSON.parse(read('generated.json'));

async function check(text: string, { verdict, code, message }: Expected): Promise<void> {
  const here = await verdictOf('embedded', assembleObject(text, 'case'), 'f');
  const found = { verdict: here.verdict, code: here.code, message: here.message };
  assert.deepEqual(found, { verdict, code, message }, text);
}

describe('as Linux says', () => {
  for (const { name, text } of readCases(read('cases.txt'))) {
    it(`${name}: ${written[name].message ?? 'accepted'}`, () => check(text, written[name]));
  }
});

describe('as Linux says to generated programs', () => {
  const groups = Map.groupBy(generated, ({ seed }) => Math.floor(seed / 100));
  for (const [group, cases] of groups) {
    it(`seeds from ${group * 100}`, async () => {
      for (const { seed, ...expected } of cases) await check(generate(new Random(seed)).text, expected);
    });
  }
});
