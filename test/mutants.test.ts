import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { JIT_AREAS } from '../tools/mutants/jit.ts';
import { AREAS, type Area } from '../tools/mutants/table.ts';

/** The deliberate bugs of `npm run mutants` have to be possible in the code as it is: who changes a line that one names writes it anew. */

const ROOMS: readonly (readonly [room: string, areas: readonly Area[]])[] = [
  ['verifier', AREAS],
  ['jit', JIT_AREAS],
];

for (const [room, areas] of ROOMS) {
  const mutants = areas.flatMap((area) => area.mutants);
  const texts = new Map<string, string>();
  for (const { file } of mutants)
    if (!texts.has(file))
      texts.set(file, readFileSync(new URL(`../src/${room}/${file}`, import.meta.url), 'utf8'));

  describe(`each deliberate bug in src/${room}`, () => {
    it('replaces a text that stands exactly once in its file', () => {
      const others = mutants
        .map(({ file, name, find }) => ({
          file,
          name,
          times: (texts.get(file) ?? '').split(find).length - 1,
        }))
        .filter(({ times }) => times !== 1);
      assert.deepEqual(others, []);
    });
    it('changes something', () => {
      assert.deepEqual(
        mutants.filter(({ find, replace }) => find === replace),
        [],
      );
    });
    it('has a name of its own in its file', () => {
      const names = mutants.map(({ file, name }) => `${file}: ${name}`);
      assert.deepEqual(
        names.filter((name, i) => names.indexOf(name) !== i),
        [],
      );
    });
  });
}
