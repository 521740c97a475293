import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { textOf } from '../fuzz/engines/generate.ts';
import { compareObject } from '../fuzz/engines/objects.ts';
import { type Setting, shrink, trySeed, tryText } from '../fuzz/engines/try.ts';

/**
 * The interpreter and the JIT cannot be told apart: generated programs leave the same results, context, maps, arena pages
 * and fault reports on both. `npm run fuzz:engines` does the same with more programs.
 */

const FIRST_SEED = 1;
const OBJECTS = 100;
const PROGRAMS_FOLDER = new URL('../programs/', import.meta.url);
const PROGRAMS = 8;

async function differences(faults: 'off' | 'report', from: number): Promise<number> {
  let compared = 0;
  for (let seed = from; seed < from + OBJECTS; seed++) {
    const tried = await trySeed(seed, PROGRAMS, { options: { faults }, runs: 3 });
    const text = tried.difference && textOf(tried.object, tried.object.programs);
    assert.equal(tried.difference?.what, undefined, `seed ${seed}, ${tried.difference?.program}\n${text}`);
    compared += tried.compared.length;
  }
  return compared;
}

describe('the engines', () => {
  it(`agree on generated programs (seeds from ${FIRST_SEED})`, async () => {
    assert.ok((await differences('off', FIRST_SEED)) > 0.8 * OBJECTS * PROGRAMS);
  });

  it(`agree on generated programs that report faults (seeds from ${FIRST_SEED + OBJECTS})`, async () => {
    assert.ok((await differences('report', FIRST_SEED + OBJECTS)) > 0.8 * OBJECTS * PROGRAMS);
  });

  for (const name of readdirSync(PROGRAMS_FOLDER).filter((each) => each.endsWith('.bpf.o'))) {
    for (const faults of ['off', 'report'] as const) {
      it(`agree on every program of ${name}, faults ${faults}`, async () => {
        const bytes = readFileSync(new URL(name, PROGRAMS_FOLDER));
        const { difference } = await compareObject(bytes, name, { faults });
        assert.equal(difference?.what, undefined, difference?.program);
      });
    }
  }

  it('are told apart by a bit of a map value, which a smaller program still shows', async () => {
    const setting: Setting = {
      options: {},
      runs: 1,
      prepare({ sides: [, { load, kernel }] }) {
        for (const program of Object.values(load.programs)) {
          const run = program.run.bind(program);
          program.run = (options) => {
            const result = run(options);
            const { start } = load.maps.values.region ?? { start: 0 };
            kernel.memory.bytes[start + 7] ^= result.retval === 0xffffffff ? 0 : 1;
            return result;
          };
        }
      },
    };
    const { object, difference } = await trySeed(FIRST_SEED, PROGRAMS, setting);
    assert.match(difference?.what ?? 'none', /^map values, bytes 0 to 7: interpreter/);
    assert.ok(difference);
    const small = await shrink(object, difference, (text) => tryText(text, FIRST_SEED, setting));
    assert.match((await tryText(small, FIRST_SEED, setting)).difference?.what ?? 'none', /^map values/);
    // The ways to an exit with another result than −1 are short.
    assert.ok(small.split('\n').filter((line) => !line.includes('r10')).length < 20, small);
  });
});
