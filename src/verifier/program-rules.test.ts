import assert from 'node:assert/strict';
import { it, describe as suite } from 'node:test';
import { embeddedBtf } from '../embedded/btf.ts';
import { assembleObject } from '../object/write.ts';
import { OpenedObject } from '../opened.ts';
import { helperFor } from './helpers.ts';
import type { ProgramToVerify } from './input.ts';
import { fieldAt } from './memory/context-access.ts';
import { rulesFor } from './rules.ts';
import { describe, programRules, SECTIONS } from './testdata/program-rules.ts';

/** Each section's rules are those that Linux was found to have: see tools/record-program-rules.ts. */
suite('what programs may do', () => {
  const recorded = programRules();
  it('is recorded of every section', () => assert.deepEqual(Object.keys(recorded), SECTIONS));
  for (const section of SECTIONS) {
    it(`${section}: contexts, helpers and results are Linux's`, async () => {
      const object = new OpenedObject(assembleObject(`.section ${section}\n.func f\nr0 = 0\nexit`, 'o'), 'o');
      const { type, attachType, attachTo } = object.programs.f;
      const program: ProgramToVerify = {
        ...{ name: 'f', insns: [], subprograms: [], kernelBtf: embeddedBtf(), type, attachType, attachTo },
      };
      const rules = rulesFor(program);
      assert.ok(rules !== undefined);
      const [least, most] = rules.returns?.(attachType) ?? [
        Number.NEGATIVE_INFINITY,
        Number.POSITIVE_INFINITY,
      ];
      const ours = await describe({
        access: (kind, off, size) => fieldAt(rules.context, attachType, off, size, kind) !== undefined,
        helper: (id) => helperFor(program, id) !== undefined,
        result: (value) => value >= least && value <= most,
      });
      assert.deepEqual(ours, recorded[section]);
    });
  }
});
