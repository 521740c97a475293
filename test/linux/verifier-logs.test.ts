import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject } from '../../src/object/write.ts';
import { casesOf } from '../../src/verifier/testdata/cases.ts';
import { comparableLog } from '../../tools/comparable-log.ts';
import { verdictOf } from '../../tools/verdict.ts';
import { onLinux } from '../contract/kernels.ts';

/** The verifier's log beside Linux's: line for line, but for what docs/verifier.md lists. `npm run logs` does it for more. */

/** The topics whose cases have the same log throughout. */
const TOPICS = ['arena', 'memory', 'structure'];

onLinux("the verifier's log", () => {
  for (const [topic, logLevel] of TOPICS.flatMap((each) => [1, 2].map((level) => [each, level] as const))) {
    it(`${topic}, level ${logLevel}: line for line`, async () => {
      for (const { name, text } of casesOf(topic)) {
        const bytes = assembleObject(text, 'case');
        const [linux, here] = [
          await verdictOf('linux', bytes, 'f', { logLevel }),
          await verdictOf('embedded', bytes, 'f', { logLevel }),
        ];
        // Of what is accepted level 1 keeps nothing but the last lines.
        if (logLevel === 1 && linux.verdict === 'accepted') continue;
        assert.deepEqual(comparableLog(here.log), comparableLog(linux.log), name);
      }
    });
  }
});
