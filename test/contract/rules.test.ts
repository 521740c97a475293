import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { embedded, type Kernel, open } from '../../src/index.ts';
import { onBothKernels } from './kernels.ts';

/**
 * The rules that are written in C: each program in programs/contract whose source includes check.h is one, and returns 0, or the
 * line of the check that did not hold. They run on Linux, and on both engines of the embedded kernel.
 */

const FOLDER = new URL('../../programs/contract/', import.meta.url);
const OBJECTS = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.bpf.c'))
  .filter((file) => readFileSync(new URL(file, FOLDER), 'utf8').includes('#include "check.h"'))
  .map((file) => file.replace(/c$/, 'o'))
  .sort();

/** What programs get that see a packet: bytes that hold their numbers. */
const PACKET = Uint8Array.from({ length: 64 }, (_, i) => i);

const ruleOf = (program: string) => program.replaceAll('_', ' ');

async function holds(kernel: Kernel, file: string): Promise<void> {
  const object = await open(new URL(file, FOLDER));
  using loaded = await object.load(kernel);
  const broken: string[] = [];
  for (const [name, program] of Object.entries(loaded.programs)) {
    const { retval } = program.run(program.type === 'syscall' ? {} : { data: PACKET });
    if (retval !== 0) broken.push(`${ruleOf(name)}: ${file.replace('.o', '.c')}:${retval | 0}`);
  }
  assert.deepEqual(broken, []);
}

onBothKernels('the rules of', ({ open: openKernel }) => {
  for (const file of OBJECTS) {
    it(file, async () => {
      using kernel = openKernel();
      await holds(kernel, file);
    });
  }
});

describe('the interpreter, in the checked mode, keeps the rules of', () => {
  for (const file of OBJECTS) {
    it(file, async () => {
      using kernel = embedded({ checked: true });
      await holds(kernel, file);
    });
  }
});
