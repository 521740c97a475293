import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { EmbeddedMap } from '../../src/embedded/maps/map.ts';
import { TestKernel } from '../../src/embedded/testdata/harness.ts';
import type { ArenaMap } from '../../src/kernel.ts';
import { ARENA, arenaCases, presentPages } from './arena.ts';

/** Both engines of the embedded kernel report the same faults: each run of the suite's programs with an arena, on both. */

const open = (engine: 'interpreter' | 'jit') => {
  const kernel = new TestKernel([ARENA], { engine, faults: 'report', checked: false });
  presentPages(kernel.maps[0] as EmbeddedMap & ArenaMap);
  return kernel;
};
const kernels = { interpreter: open('interpreter'), jit: open('jit') };
after(() => {
  for (const kernel of Object.values(kernels)) kernel.close();
});

let reported = 0;
for (const [file, cases] of Object.entries(arenaCases())) {
  describe(`arena/${file}: faults that the JIT reports are the interpreter's`, () => {
    for (const { asm, runs = [] } of cases) {
      const text = asm.includes('MAP 0') ? asm : `r5 = MAP 0; ${asm}`;
      if (runs.length > 0)
        it(asm, () => {
          for (const { args } of runs) {
            const expected = kernels.interpreter.run(text, ...args);
            const { faults, r0 } = kernels.jit.run(text, ...args);
            assert.deepEqual({ faults, r0 }, { faults: expected.faults, r0: expected.r0 }, `run(${args})`);
            reported += faults.length;
          }
        });
    }
  });
}

it('reports many', () => assert.ok(reported > 500, `${reported} faults`));
