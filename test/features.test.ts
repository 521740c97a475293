import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { embeddedFeatures } from '../src/index.ts';
import { linuxNamesIn, namesOf, PAGE, pageOf } from '../tools/features.ts';

it('docs/features.md says what the embedded kernel has (npm run features)', () => {
  const page = readFileSync(PAGE, 'utf8');
  assert.equal(page, pageOf(namesOf(embeddedFeatures()), linuxNamesIn(page)));
});
