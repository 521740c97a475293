import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { generate, Random } from '../../fuzz/generate.ts';
import { NotWatched, Watched, type WatchMode } from '../../fuzz/soundness/watch.ts';
import { assembleObject } from '../object/write.ts';

/**
 * What the verifier claims is true: accepted programs run in the checked interpreter, whose registers and slots are held
 * against the claims. `npm run fuzz:soundness` does the same with more programs.
 */

const PROGRAMS = 240;
const RUNS = 4;

const MODES: Readonly<Record<WatchMode, string>> = {
  claims: 'every register and slot lies inside what the verifier claimed',
  guard: 'no accepted program leaves its memory, or goes where no path led',
};

describe('soundness', () => {
  for (const [mode, rule] of Object.entries(MODES) as [WatchMode, string][]) {
    it(rule, async () => {
      let watchedPrograms = 0;
      for (let seed = 1; seed <= PROGRAMS; seed++) {
        const { text, flags } = generate(new Random(seed));
        try {
          using watched = await Watched.open(assembleObject(text, 'fuzz'), mode, flags);
          watchedPrograms++;
          for (let run = 0; run < RUNS; run++) {
            const found = watched.run(new Random(1_000 * seed + run));
            assert.equal(found, undefined, `seed ${seed}, run ${run}\n${text}`);
          }
        } catch (error) {
          if (!(error instanceof NotWatched)) throw error;
        }
      }
      assert.ok(watchedPrograms > PROGRAMS / 6, `${watchedPrograms} programs were accepted`);
    });
  }
});
