import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembleInstructions } from '../isa/assembler.ts';
import { imm64 } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import { controlFlow } from './cfg.ts';
import { lowConstants } from './low-constants.ts';

/** The low half of r6 where the text ends, if that is one number. */
function lowOf6(asm: string): number | undefined {
  return lowBefore(`${asm}; *(u8 *)(r6 + 0) = 0; exit`, -2);
}

/** The low half of r6 before an instruction that is so many from the start, or from the end. */
function lowBefore(asm: string, at: number): number | undefined {
  const insns = assembleInstructions(asm);
  const graph = controlFlow(insns, new Uint8Array(insns.length).fill(1), 0, insns.length);
  return lowConstants(graph, insns, (slot) => imm64(insns, slot))(at < 0 ? insns.length + at : at, 6);
}

const UNKNOWN = 'r6 = *(u64 *)(r1 + 0)';

const CASES: readonly (readonly [rule: string, asm: string, low: number | undefined])[] = [
  ['of what a function is given nothing is known', 'r7 = 0', undefined],
  ['a constant is known', 'r6 = -5', -5],
  ['of a wide one the low half counts', 'r6 = 0x7000_0000_1000 ll'.replaceAll('_', ''), 0x1000],
  ['as a signed number', 'r6 = 0x1fffffff0 ll', -16],
  ['moves and casts keep it', 'r7 = 64; r8 = r7; w9 = w8; r6 = addr_space_cast(r9, 0, 1)', 64],
  ['and the extension of all 32 bits', 'r7 = 64; r6 = (s32)r7', 64],
  ['not that of fewer', 'r7 = 400; r6 = (s8)r7', undefined],
  ['sums and differences are known', 'r6 = 64; r6 += 8; r7 = 2; r6 -= r7', 70],
  ['they wrap around at 32 bits', 'r6 = 0x7fffffff; r6 += 1', -(2 ** 31)],
  ['other arithmetic is not followed', 'r6 = 64; r6 <<= 1', undefined],
  ['a sum with what is not known is not', `${UNKNOWN}; r6 += 1`, undefined],
  ['a load forgets', `r6 = 64; ${UNKNOWN}`, undefined],
  [
    'so does an atomic operation that fetches',
    'r6 = 64; r6 = atomic_fetch_add((u64 *)(r1 + 0), r6)',
    undefined,
  ],
  ['the same number on both ways is known', 'if r1 == 0 goto a; r6 = 3; goto b; a: r6 = 3; b: r7 = 0', 3],
  ['different ones are not', 'r6 = 3; if r1 == 0 goto a; r6 = 4; a: r7 = 0', undefined],
  ['what changes in a loop is not', 'r6 = 0; l: r6 += 8; if r1 != 0 goto l', undefined],
  ['what a loop leaves alone is', 'r6 = 8; l: r7 += 8; if r1 != 0 goto l', 8],
  ['a call leaves r6 to r9 alone', 'r6 = 16; call 5', 16],
  ['and clobbers the others', 'r5 = 16; call 5; r6 = r5', undefined],
];

describe('low halves that are one number', () => {
  for (const [rule, asm, low] of CASES) it(rule, () => assert.equal(lowOf6(asm), low));

  it('where the function begins are none, though a loop comes back there with one', () =>
    assert.equal(lowBefore('l: *(u8 *)(r6 + 0) = 0; r6 = 8; if r1 != 0 goto l; exit', 0), undefined));
});

const THROUGH_SLOTS: readonly (readonly [rule: string, asm: string, low: number | undefined])[] = [
  ['what is stored in one comes back', 'r7 = 64; *(u64 *)(r10 - 8) = r7; r7 = 0; r6 = *(u64 *)(r10 - 8)', 64],
  ['so does a constant', '*(u32 *)(r10 - 8) = -5; r6 = *(u32 *)(r10 - 8)', -5],
  ['not from another one', 'r7 = 64; *(u64 *)(r10 - 8) = r7; r6 = *(u64 *)(r10 - 16)', undefined],
  ['over calls', '*(u64 *)(r10 - 8) = 7; call 5; r6 = *(u64 *)(r10 - 8)', 7],
  [
    'unless it differs by the way',
    '*(u64 *)(r10 - 8) = 7; if r1 == 0 goto a; *(u64 *)(r10 - 8) = 8; a: r6 = *(u64 *)(r10 - 8)',
    undefined,
  ],
];

describe('stack slots hold low halves that are one number', () => {
  for (const [rule, asm, low] of THROUGH_SLOTS)
    it(rule, () => {
      const insns = assembleInstructions(`${asm}; *(u8 *)(r6 + 0) = 0; exit`);
      const graph = controlFlow(insns, new Uint8Array(insns.length).fill(1), 0, insns.length);
      const stack = (at: number) => {
        const { code, dst, src, off } = insns[at];
        const kind = opcode(code)?.kind;
        const isSlot = (kind === 'load' && src === 10) || (kind === 'store' && dst === 10);
        return isSlot ? off / -8 - 1 : undefined;
      };
      const known = lowConstants(graph, insns, (at) => imm64(insns, at), 2, stack);
      assert.equal(known(insns.length - 2, 6), low);
    });
});
