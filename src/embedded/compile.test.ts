import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { assembleInstructions } from '../isa/assembler.ts';
import { parseObject } from '../object/object.ts';
import { functionsOf } from '../verifier/functions.ts';
import { verify } from '../verifier/verify.ts';
import { EmbeddedKernel } from './kernel.ts';
import { hash, moduleLater, moduleOf } from './module-cache.ts';
import { EmbeddedProgram } from './program.ts';

/** When programs are compiled, what is compiled only once, and what is not compiled at all. */

const parsed = () =>
  parseObject(readFileSync(new URL('../../programs/arena_list.bpf.o', import.meta.url)), 'arena_list');

describe('compile', () => {
  it('async: a load resolves when all programs are compiled, and they run as otherwise', async () => {
    const results: number[][] = [];
    for (const compile of ['sync', 'async'] as const) {
      using kernel = new EmbeddedKernel({ compile });
      const { programs } = await kernel.load(parsed());
      results.push(Object.values(programs).map((program) => program.run().retval));
      assert.ok(Object.values(programs).every(({ engine }) => engine === 'jit'));
    }
    assert.deepEqual(results[1], results[0]);
  });

  it('async: a kernel that closes meanwhile refuses the load, and nothing stays', async () => {
    const kernel = new EmbeddedKernel({ compile: 'async' });
    const load = kernel.load(parsed());
    kernel.close();
    await assert.rejects(load, { code: 'EBADF' });
  });

  it('nothing else is refused', () => {
    assert.throws(() => new EmbeddedKernel({ compile: 'later' as 'sync' }), { code: 'EINVAL' });
    const misspelt: object = { cpu: 2 };
    assert.throws(() => new EmbeddedKernel(misspelt), /there is no option 'cpu'; known are cpus, /);
  });
});

/** A module with nothing but a custom section of some bytes. */
function moduleBytes(content: readonly number[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0, content.length + 2, 1, 0x78, ...content);
}

describe('modules', () => {
  it('are made once of the same bytes, whether now or later', async () => {
    const module = moduleOf(moduleBytes([1, 2, 3]));
    assert.equal(moduleOf(moduleBytes([1, 2, 3])), module);
    assert.equal(await moduleLater(moduleBytes([1, 2, 3])), module);
    const later = await moduleLater(moduleBytes([1, 2, 4]));
    assert.equal(moduleOf(moduleBytes([1, 2, 4])), later);
    assert.notEqual(later, module);
  });

  it('used longest ago are forgotten when a hundred others came', () => {
    const [kept, lost] = [
      [200, 0, 0],
      [200, 1, 0],
    ].map((content) => moduleOf(moduleBytes(content)));
    for (let i = 0; i < 99; i++) {
      moduleOf(moduleBytes([201, i, 0]));
      assert.equal(moduleOf(moduleBytes([200, 0, 0])), kept);
    }
    assert.notEqual(moduleOf(moduleBytes([200, 1, 0])), lost);
  });

  it('with the same hash are told apart', () => {
    const pair = [
      [249, 69, 241, 117, 82, 29],
      [235, 25, 95, 127, 240, 149],
    ].map(moduleBytes);
    assert.equal(hash(pair[0]), hash(pair[1]));
    const sections = pair.map((bytes) => WebAssembly.Module.customSections(moduleOf(bytes), 'x')[0]);
    assert.notDeepEqual(new Uint8Array(sections[0]), new Uint8Array(sections[1]));
  });
});

/** Swaps of bytes, which WebAssembly has no instruction for. */
const LARGE = 125_000;

it('a function that is larger than WebAssembly allows is interpreted', () => {
  using kernel = new EmbeddedKernel({ engine: 'jit' });
  const step = assembleInstructions('r7 = bswap64 r7');
  const insns = [
    ...assembleInstructions('call 7; r7 = r0'),
    ...new Array(LARGE).fill(step[0]),
    ...assembleInstructions('r0 = 5; exit'),
  ];
  const verified = verify({
    name: 'large',
    insns,
    subprograms: functionsOf(insns),
    kernelBtf: kernel.btf,
    map: () => undefined,
  });
  const spec = { name: 'large', type: 'syscall', section: 'syscall' } as const;
  const program = new EmbeddedProgram(kernel, spec, verified, undefined, () => undefined);
  assert.equal(program.engine, 'interpreter');
  assert.equal(program.run().retval, 5);
});
