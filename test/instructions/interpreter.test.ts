import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { EmbeddedKernel } from '../../src/embedded/kernel.ts';
import { EmbeddedProgram } from '../../src/embedded/program.ts';
import { verify } from '../../src/verifier/verify.ts';
import { contextOf, expectedOf, type InstructionCase, outcomeOf, programOf, readSuite } from './harness.ts';

/** The instruction suite on the interpreter of the embedded kernel. */

const kernel = new EmbeddedKernel();
after(() => kernel.close());

function load(each: InstructionCase): EmbeddedProgram {
  const spec = { name: 'case', type: 'syscall', section: 'syscall' } as const;
  return new EmbeddedProgram(kernel, spec, verify(programOf(each)), undefined, () => undefined);
}

for (const [file, cases] of Object.entries(readSuite())) {
  describe(`${file}, as Linux computes it`, () => {
    for (const each of cases) {
      it(each.asm, () => {
        const program = load(each);
        each.runs.forEach((run, i) => {
          const { ctxOut } = program.run({ ctx: contextOf(each, run) });
          assert.deepEqual(
            outcomeOf(each, ctxOut as Uint8Array),
            expectedOf(each, i),
            `run(${run.slice(0, -1)})`,
          );
        });
      });
    }
  });
}
