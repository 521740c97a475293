import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { generate, Random } from '../../fuzz/generate.ts';
import { verdictOf } from '../../tools/verdict.ts';
import { assembleObject } from '../object/write.ts';
import { casesOf, type Expected, generatedVerdicts, topics, verdictsOf } from './testdata/cases.ts';

/** Verdicts, errnos and messages, as Linux 6.18 gave them: tools/record-verdicts.ts asks it again. */

async function check(text: string, flags: number, { verdict, code, message }: Expected): Promise<void> {
  const here = await verdictOf('embedded', assembleObject(text, 'case'), 'f', { flags });
  const found = { verdict: here.verdict, code: here.code, message: here.message };
  assert.deepEqual(found, { verdict, code, message }, text);
}

for (const topic of topics()) {
  describe(`${topic}, as Linux says`, () => {
    const verdicts = verdictsOf(topic);
    for (const { name, text, flags } of casesOf(topic)) {
      const expected = verdicts[name];
      it(`${name}: ${expected?.message ?? 'accepted'}`, () => {
        assert.ok(expected, `no verdict is recorded: node tools/record-verdicts.ts ${topic}`);
        return check(text, flags, expected);
      });
    }
  });
}

describe('generated programs, as Linux says', () => {
  const groups = Map.groupBy(generatedVerdicts(), ({ seed }) => Math.floor(seed / 100));
  for (const [group, cases] of groups) {
    it(`seeds from ${group * 100}`, async () => {
      for (const { seed, ...expected } of cases) {
        const { text, flags } = generate(new Random(seed));
        await check(text, flags, expected);
      }
    });
  }
});
