import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { assembleInstructions } from '../isa/assembler.ts';
import { instruction } from '../isa/instruction.ts';
import { EmbeddedKernel } from './kernel.ts';
import { runRaw } from './raw.ts';

/** Raw programs: what they get, what comes back, and what is refused. */

const kernel = new EmbeddedKernel();
after(() => kernel.close());

const MEMORY = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);

function r0(asm: string, memory?: Uint8Array): bigint {
  return runRaw(kernel, assembleInstructions(asm), memory).r0;
}

describe('a raw program', () => {
  it('has its memory in r1 and its length in r2', () => {
    assert.equal(r0('r0 = r2; exit', MEMORY), 9n);
    assert.equal(r0('r0 = *(u32 *)(r1 + 5); exit', MEMORY), 0x09080706n);
    assert.equal(r0('r0 = r1; r0 += r2; exit'), 0n);
  });

  it('returns all 64 bits of r0, whichever exit it takes', () => {
    assert.equal(r0('r0 = -2; if r2 == 0 goto out; r0 = 3; exit; out: exit'), 2n ** 64n - 2n);
    assert.equal(r0('r0 = 0x100000000 ll; exit'), 2n ** 32n);
  });

  it('changes its memory, and not the bytes it was given', () => {
    const given = MEMORY.slice();
    const { memory } = runRaw(kernel, assembleInstructions('*(u16 *)(r1 + 7) = 0; r0 = 0; exit'), given);
    assert.deepEqual([...memory], [1, 2, 3, 4, 5, 6, 7, 0, 0]);
    assert.deepEqual(given, MEMORY);
  });

  it('has the whole stack and all call frames', () => {
    assert.equal(r0('*(u64 *)(r10 - 512) = 5; r0 = *(u64 *)(r10 - 512); exit'), 5n);
    const frames = Array.from({ length: 7 }, (_, i) => `f${i}: call f${i + 1}; exit`).join('; ');
    assert.equal(r0(`call f0; exit; ${frames.replace('f6: call f7', 'f6: r0 = 7')}`), 7n);
  });

  it('may walk its memory by its length', () => {
    const sum =
      'r0 = 0; next: if r2 == 0 goto out; r3 = *(u8 *)(r1 + 0); r0 += r3; r1 += 1; r2 -= 1; goto next; out: exit';
    assert.equal(r0(sum, MEMORY), 45n);
  });
});

describe('a raw program is refused', () => {
  const refused: readonly [why: string, asm: string, problem: RegExp][] = [
    ['that reads past its memory', 'r0 = *(u32 *)(r1 + 6); exit', /instruction 0: .*outside of the allowed/],
    ['that reads a register which nothing set', 'r0 = r3; exit', /instruction 0: R3 !read_ok/],
    ['that returns nothing', 'r2 = 1; exit', /R0 !read_ok/],
    ['that jumps before its start', 'r0 = 0; goto -3', /instruction 1: jump out of range from insn 1 to -1/],
    ['that never ends', 'r0 = 0; l: goto l', /infinite loop detected at insn 1/],
    ['that names a map', 'ld_pseudo r1, 2, 1; r0 = 0; exit', /instruction 0: a raw program has no maps/],
    ['that calls a helper which is not here', 'call 9999; exit', /instruction 0: .*unknown#9999/],
  ];
  for (const [why, asm, problem] of refused)
    it(why, () => {
      assert.throws(() => r0(asm, MEMORY), problem);
    });

  it('whose exit has fields set', () => {
    const insns = [...assembleInstructions('r0 = 0'), instruction(0x95, { imm: 1 })];
    assert.throws(() => runRaw(kernel, insns), /instruction 1: BPF_EXIT uses reserved fields/);
  });

  it('that is empty, and nothing stays behind of any', () => {
    assert.throws(() => runRaw(kernel, []), /has no instructions/);
    assert.equal(
      [1, 2].map((id) => kernel.mapById(id)).find((map) => map !== undefined),
      undefined,
    );
  });
});
