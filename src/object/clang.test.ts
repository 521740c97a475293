import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compileBpf, noClang } from '../../test/clang.ts';
import { EmbeddedKernel } from '../embedded/kernel.ts';
import { parseObject } from './object.ts';

/**
 * What clang makes of the same program differs with its options: which functions are inlined, how they are called, where
 * constants lie. Whatever it does, the object opens, runs, and gives the same result.
 */

const SOURCE = readFileSync(new URL('../../test/testdata/idioms.bpf.c', import.meta.url), 'utf8');

const OPTIMISATIONS = ['-O1', '-O2', '-O3', '-Os'];
const CPUS = ['-mcpu=v1', '-mcpu=v2', '-mcpu=v3', '-mcpu=v4'];
const VARIANTS = [
  [],
  ['-fno-merge-all-constants'],
  ['-fdata-sections'],
  ['-fno-jump-tables', '-fno-inline'],
  ['-fno-common', '-gdwarf-4'],
];

/** 3 + 5 + 8 + 40 + 100 + 100 + 1012 + 2 + 19 + 7, and 9 × 2. */
const EXPECTED = { sum: 1296, product: 18 };

async function results(bytes: Uint8Array): Promise<Record<string, number>> {
  using kernel = new EmbeddedKernel();
  const { programs } = await kernel.load(parseObject(bytes, 'idioms'));
  return Object.fromEntries(Object.values(programs).map((program) => [program.name, program.run().retval]));
}

for (const level of OPTIMISATIONS) {
  test(`idioms at ${level} for every CPU give the same results`, { skip: noClang }, async () => {
    for (const cpu of CPUS) {
      assert.deepEqual(await results(compileBpf(SOURCE, [level, cpu])), EXPECTED, cpu);
    }
  });
}

for (const flags of VARIANTS) {
  test(`idioms with ${flags.join(' ') || 'no more flags'} give the same results`, {
    skip: noClang,
  }, async () => {
    assert.deepEqual(await results(compileBpf(SOURCE, flags)), EXPECTED);
  });
}

test('what clang compiles without type information opens and runs, too', { skip: noClang }, async () => {
  assert.deepEqual(await results(compileBpf(SOURCE, ['-g0'])), EXPECTED);
});
