import { parseArgs } from 'node:util';
import { generate, Random } from '../../fuzz/generate.ts';
import { assembleObject } from '../../src/object/write.ts';
import {
  casesOf,
  type Expected,
  generatedVerdicts,
  topics,
  verdictsOf,
} from '../../src/verifier/testdata/cases.ts';
import { verdictOf } from '../verdict.ts';

/**
 * The cases of src/verifier/cases.test.ts in one process, until the first that fails: that one's name is printed. The
 * topics that are given come first; with `--only`, no others.
 */

/** @returns whether a program is judged as Linux did. */
async function agrees(text: string, flags: number, expected: Expected): Promise<boolean> {
  const { verdict, code, message } = await verdictOf('embedded', assembleObject(text, 'case'), 'f', {
    flags,
  });
  return verdict === expected.verdict && code === expected.code && message === expected.message;
}

async function firstFailure(first: readonly string[], only: boolean): Promise<string | undefined> {
  for (const topic of new Set([...first, ...(only ? [] : topics())])) {
    const verdicts = verdictsOf(topic);
    for (const { name, text, flags } of casesOf(topic))
      if (!(await agrees(text, flags, verdicts[name]))) return `${topic}, ${name}`;
  }
  if (only) return undefined;
  for (const { seed, ...expected } of generatedVerdicts()) {
    const { text, flags } = generate(new Random(seed));
    if (!(await agrees(text, flags, expected))) return `generated, seed ${seed}`;
  }
  return undefined;
}

const { values, positionals } = parseArgs({
  options: { only: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const failed = await firstFailure(positionals, values.only);
if (failed !== undefined) {
  console.log(failed);
  process.exitCode = 1;
}
