import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { arenaCases, declareArenaCase, openArena } from './arena.ts';
import type { Engine, Session } from './engines.ts';
import { contextOf, expectedOf, outcomeOf, programOf, readSuite } from './harness.ts';

/** Declares the whole suite, programs by themselves and programs with an arena, for one engine. */
export function declareSuite(engine: Engine, what: string): void {
  let session: Session | undefined;
  const open = () => (session ??= engine.open());
  after(() => session?.[Symbol.dispose]());
  for (const [file, cases] of Object.entries(readSuite())) {
    describe(`${file} ${what}, as Linux computes it`, () => {
      for (const each of cases) {
        it(each.asm, () => {
          const { load, values } = bound(open());
          const run = load(programOf(each, values));
          each.runs.forEach((numbers, i) => {
            const ctx = contextOf(each, numbers);
            run(ctx);
            assert.deepEqual(outcomeOf(each, ctx), expectedOf(each, i), `run(${numbers.slice(0, -1)})`);
          });
        });
      }
    });
  }
  for (const [file, cases] of Object.entries(arenaCases())) {
    describe(`arena/${file} ${what}, as Linux 6.18 answered`, () => {
      const opened = openArena(engine);
      after(() => opened[Symbol.dispose]());
      for (const each of cases) declareArenaCase(opened, each);
    });
  }
}

const bound = (session: Session) => ({ values: session.values, load: session.load.bind(session) });
