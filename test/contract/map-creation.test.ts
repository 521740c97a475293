import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { newAttributes } from '../../src/embedded/maps/attributes.ts';
import { checkMap } from '../../src/embedded/maps/types.ts';
import { MAP_TYPES, type MapTypeName } from '../../src/object/map-types.ts';
import { onAllEngines, outcome } from './kernels.ts';

/** Which maps can be made: what Linux 6.18 answered, on both kernels. Each answer is for one setting that differs from a map that can. */

interface Creation {
  fits: { keySize: number; valueSize: number; maxEntries: number; flags?: number };
  answers: [settings: Record<string, number>, answer: string][];
  /** Bits that may be set besides. */
  flags: number[];
}

const types: Record<string, Creation> = JSON.parse(
  readFileSync(new URL('map-creation.json', import.meta.url), 'utf8'),
);

it('an object is not judged whose maps cannot be made', () => {
  for (const [name, { fits, answers }] of Object.entries(types)) {
    for (const [{ mapExtra = 0, ...settings }, answer] of answers) {
      const type = MAP_TYPES[name as MapTypeName];
      const check = () => checkMap(newAttributes({ type, ...fits, ...settings, mapExtra: BigInt(mapExtra) }));
      assert.equal(outcome(check), answer, `${name} ${JSON.stringify(settings)}`);
    }
  }
});

onAllEngines('creating maps', (kernel) => {
  for (const [name, { fits, answers, flags }] of Object.entries(types)) {
    const type = MAP_TYPES[name as MapTypeName];
    const create = ({ mapExtra = 0, ...settings }: Record<string, number>) =>
      outcome(() => {
        using _ = kernel.bench([{ type, ...fits, ...settings, mapExtra: BigInt(mapExtra) }]);
      });

    it(`a ${name} with sizes and numbers of all kinds`, () => {
      for (const [settings, answer] of answers)
        assert.equal(create(settings), answer, JSON.stringify(settings));
    });

    it(`a ${name} takes the flags ${flags.map((bit) => `1 << ${bit}`).join(', ')} and no others`, () => {
      const bits = Array.from({ length: 21 }, (_, bit) => bit);
      assert.deepEqual(
        bits.filter((bit) => create({ flags: (fits.flags ?? 0) | (1 << bit) }) === 'ok'),
        flags,
      );
    });
  }
});
