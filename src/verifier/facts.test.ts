import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Judge } from '../embedded/judge.ts';
import { EmbeddedKernel } from '../embedded/kernel.ts';
import { parseObject } from '../object/object.ts';
import { assembleObject } from '../object/write.ts';
import type { VerifiedProgram } from './result.ts';

/** What the verifier hands on for the JIT: of instructions, of values, of functions. */

const HEAD = `.license "GPL"
.map arena, type=arena, max_entries=4, map_flags=0x400, map_extra=0x700000000000
.map values, type=array, key_size=4, value_size=48, max_entries=4
.section syscall
.func f : s32 (void *ctx)
`;

function verified(text: string): VerifiedProgram {
  using kernel = new EmbeddedKernel();
  const object = parseObject(assembleObject(HEAD + text.replaceAll('; ', '\n'), 'facts'), 'facts');
  return new Judge(object, kernel).judge(object.programs.f);
}

describe('facts of instructions', () => {
  it('say which memory an access reaches, where on the stack, behind which map, and how aligned', () => {
    const { facts } = verified(
      '*(u64 *)(r10 - 16) = 0; *(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = values ll; call 1; if r0 == 0 goto out; *(u32 *)(r0 + 12) = 1; r9 = arena ll; r9 = addr_space_cast(r9, 0, 1); r1 = *(u64 *)(r9 + 8); out: r0 = 0; exit',
    );
    const at = (insn: number) => facts.insns[insn];
    assert.deepEqual([at(0)?.memory, at(0)?.stackOffset, at(0)?.frameDistance], ['stack', -16, 0]);
    assert.deepEqual([at(1)?.stackOffset, at(1)?.alignment], [-4, 4]);
    assert.deepEqual([at(8)?.memory, at(8)?.map?.name, at(8)?.alignment], ['kernel', 'values', 4]);
    assert.equal(at(12)?.memory, 'arena');
  });

  it('are given up where paths differ', () => {
    const { facts } = verified(
      'call 7; r1 = r10; r1 += -8; if r0 > 5 goto l; r1 = r10; r1 += -16; l: *(u64 *)(r1 + 0) = 1; r0 = 0; exit',
    );
    assert.deepEqual([facts.insns[6]?.memory, facts.insns[6]?.stackOffset], ['stack', undefined]);
  });

  it('leave out what is never reached', () => {
    const { facts } = verified('r0 = 1; if r0 == 1 goto out; r0 = 7; out: exit');
    assert.deepEqual([...facts.seen], [1, 1, 0, 1]);
  });
});

describe('values of registers', () => {
  const numbers = (program: VerifiedProgram, insn: number, register: number) => {
    const value = program.valueBefore(insn, register);
    return [value.umin(), value.umax()];
  };

  it('are known on every run, also where exploration was cut short', () => {
    // Nothing relies on r7: with 5 in it, the second path to `l` is not followed to the end.
    const program = verified(
      'r6 = r1; call 7; r7 = 5; if r0 > 9 goto l; r7 = *(u64 *)(r6 + 0); l: r0 = r7; r0 = 0; exit',
    );
    assert.deepEqual(numbers(program, 5, 7), [0n, 2n ** 64n - 1n]);
    assert.deepEqual(numbers(program, 4, 0), [0n, 9n]);
  });

  it('tell of clear upper halves and low bits', () => {
    const program = verified('call 7; w1 = w0; r2 = r0; r2 <<= 3; r0 = 0; exit');
    assert.equal(program.valueBefore(2, 1).umaxHi, 0);
    assert.equal(program.valueBefore(4, 2).t.maskLo & 7, 0);
  });

  it('of loops are found in a few rounds', () => {
    const program = verified('r6 = 0; l: r6 += 8; if r6 < 80000 goto l; r0 = 0; exit');
    const { t } = program.valueBefore(1, 6);
    assert.equal((t.valueLo | t.maskLo) & 7, 0);
    assert.ok(program.valueBefore(3, 6).umin() >= 80000n);
  });

  it('of pointers that come from the context are not those of the words there', () => {
    const text = `${HEAD.replace('syscall', 'xdp')}r2 = *(u32 *)(r1 + 0)\nr0 = 2\nexit`;
    using kernel = new EmbeddedKernel();
    const object = parseObject(assembleObject(text, 'facts'), 'facts');
    const program = new Judge(object, kernel).judge(object.programs.f);
    assert.equal(program.valueBefore(1, 2).umax(), 2n ** 64n - 1n);
  });
});

describe('facts of functions', () => {
  const program = verified(
    'r1 = 1; r2 = 2; r3 = 3; call g; exit\n.section .text\n.func g : s32 (u64 a, u64 b, u64 c)\nr1 += r2; call h; exit\n.func h : s32 (u64 a)\nr0 = r1; exit',
  );

  it('which arguments they read, also in what they call', () => {
    assert.deepEqual(
      [0, 1, 2].map((number) => program.argumentsRead(number)),
      [0, 0b110, 0b10],
    );
  });

  it('which function a call enters', () => {
    assert.deepEqual([program.calleeOf(3), program.calleeOf(6), program.calleeOf(0)], [1, 2, undefined]);
  });

  it('how deep their stack goes', () => {
    const { facts } = verified('*(u64 *)(r10 - 24) = 0; r0 = 0; exit');
    assert.deepEqual(facts.stackDepth, [24]);
  });
});
