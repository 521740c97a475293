import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembleInstructions } from '../isa/assembler.ts';
import { type Instruction, imm64, isLdImm64, slots } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import { alignments } from './alignment.ts';
import { controlFlow } from './cfg.ts';
import { random } from './testdata/harness.ts';

/** How many low bits of r6 are known to be zero where the text ends. */
function zeroBits(asm: string): number {
  const insns = assembleInstructions(`${asm}; *(u8 *)(r6 + 0) = 0; exit`);
  const graph = controlFlow(insns, new Uint8Array(insns.length).fill(1), 0, insns.length);
  const known = alignments(graph, insns, (at) => imm64(insns, at));
  return known(insns.length - 2, 6);
}

const CASES: readonly (readonly [rule: string, asm: string, zeroBits: number])[] = [
  ['of what a function is given nothing is known', 'r7 = 0', 0],
  ['a constant shows its own', 'r6 = 24', 3],
  ['so does a wide one, of which the low half counts', 'r6 = 0x3000000040 ll', 6],
  ['zero is a multiple of everything', 'r6 = 0', 12],
  ['a shift adds zeroes', 'r6 = *(u32 *)(r1 + 0); r6 <<= 3', 3],
  ['and a multiplication', 'r6 = *(u32 *)(r1 + 0); r6 *= 24', 3],
  ['a shift to the right takes them away', 'r6 = 64; r6 >>= 1', 0],
  ['a sum has the fewer of two', 'r6 = 32; r7 = 8; r6 += r7', 3],
  ['so has a difference', 'r6 = 32; r6 -= 4', 2],
  ['and what or and xor make', 'r6 = 32; r6 |= 16; r6 ^= 8', 3],
  ['an and has the more', 'r6 = *(u32 *)(r1 + 0); r6 &= -8', 3],
  ['a move takes them along, in 32 bits too', 'r7 = 16; w6 = w7', 4],
  ['and a cast', 'r7 = 16; r6 = addr_space_cast(r7, 0, 1)', 4],
  ['of a sign extension those of the bits that it looks at are known', 'r7 = 4096; r6 = (s8)r7', 7],
  ['a load makes them unknown', 'r6 = 16; r6 = *(u32 *)(r1 + 0)', 0],
  ['negation, too', 'r6 = 16; r6 = -r6', 0],
  ['where ways meet the fewer count', 'r6 = 16; if r1 == 0 goto a; r6 = 8; a: r7 = 0', 3],
  ['also those that come back in a loop', 'r6 = 16; l: r6 += 4; if r1 != 0 goto l', 2],
  ['a call leaves r6 to r9 alone', 'r6 = 16; call 5', 4],
  ['and clobbers the others', 'r1 = 16; call 5; r6 = r1', 0],
  ['an arena pointer that is shifted by 35 is shifted by 3', 'r6 = *(u32 *)(r1 + 0); r6 <<= 35', 3],
];

describe('low bits that are surely zero', () => {
  for (const [rule, asm, expected] of CASES) it(rule, () => assert.equal(zeroBits(asm), expected));
});

/** As code knows it that is left where an access is not aligned. @param sure of every register behind a call. */
function learntBits(asm: string, sure = 0): number {
  const insns = assembleInstructions(`${asm}; *(u8 *)(r6 + 0) = 0; exit`);
  const graph = controlFlow(insns, new Uint8Array(insns.length).fill(1), 0, insns.length);
  const checks = { leavesUnlessAligned: () => true, sure: () => sure };
  return alignments(graph, insns, (at) => imm64(insns, at), checks)(insns.length - 2, 6);
}

const LEARNT: readonly (readonly [rule: string, asm: string, zeroBits: number])[] = [
  ['its base is aligned', 'r1 = *(u64 *)(r6 + 0)', 3],
  ['by the size of the access', '*(u32 *)(r6 + 0) = 1', 2],
  ['also at an offset that is a multiple of it, before the base too', 'r1 = *(u64 *)(r6 - 16)', 3],
  ['at another offset nothing is known', 'r1 = *(u64 *)(r6 + 4)', 0],
  ['copies of the base are, too', 'r6 = r7; r1 = *(u64 *)(r7 + 0)', 3],
  ['and what it is a copy of', 'r7 = addr_space_cast(r6, 0, 1); r1 = *(u64 *)(r7 + 0)', 3],
  ['not what was a copy', 'r7 = r6; r7 += 1; r1 = *(u64 *)(r7 + 0)', 0],
  ['what else was loaded is not', 'r6 = *(u64 *)(r1 + 0); r7 = *(u64 *)(r1 + 8); r2 = *(u64 *)(r7 + 0)', 0],
  ['what it loads is not', 'r6 = *(u64 *)(r6 + 0)', 0],
  ['nor what was there before', 'r6 = r1; r1 = load_acquire((u64 *)(r7 + 0))', 0],
  ['the base of a load that is acquired is', 'r1 = load_acquire((u64 *)(r6 + 0))', 3],
  [
    'where not all ways lead through it nothing is known',
    'if r2 == 0 goto a; r1 = *(u64 *)(r6 + 0); a: r7 = 0',
    0,
  ],
  ['behind a call only what is sure counts', 'r1 = *(u64 *)(r6 + 0); call 5', 0],
];

describe('behind an access of code that is left where it is not aligned', () => {
  for (const [rule, asm, expected] of LEARNT) it(rule, () => assert.equal(learntBits(asm), expected));

  it('and that does count', () => assert.equal(learntBits('r1 = *(u64 *)(r6 + 0); call 5', 2), 2));
});

const SEED = 20_261_131;
const OPERATIONS = ['=', '+=', '-=', '|=', '^=', '&=', '*=', '<<='] as const;

function anyLine(next: (below: number) => number): string {
  const [a, b] = [6 + next(3), 6 + next(3)];
  const op = OPERATIONS[next(OPERATIONS.length)];
  const width = next(2) === 0 ? 'w' : 'r';
  const constant =
    op === '<<=' ? next(width === 'w' ? 32 : 64) : next(2) === 0 ? 1 << next(31) : next(1000) - 500;
  return `${width}${a} ${op} ${next(2) === 0 ? `${width}${b}` : constant}`;
}

/** The low half of r6, given those of all registers before. `narrow`: as arithmetic with arena pointers is done. */
function lowOf6(insns: readonly Instruction[], start: readonly bigint[], narrow: boolean): number {
  const registers = [...start];
  for (let at = 0; at < insns.length; at += slots(insns[at])) {
    const { code, dst, src, imm } = insns[at];
    const row = opcode(code);
    if (row?.kind !== 'alu' || isLdImm64(insns[at])) break;
    const width = row.width === 32 || narrow ? 32n : 64n;
    const right = row.source === 'X' ? registers[src] : BigInt(imm);
    const left = registers[dst];
    const results: Readonly<Record<string, () => bigint>> = {
      mov: () => right,
      add: () => left + right,
      sub: () => left - right,
      or: () => left | right,
      xor: () => left ^ right,
      and: () => left & right,
      mul: () => left * right,
      lsh: () => left << (BigInt.asUintN(64, right) & (width - 1n)),
    };
    registers[dst] = BigInt.asUintN(Number(width), results[row.op]());
  }
  return Number(BigInt.asUintN(32, registers[6]));
}

it(`what is claimed holds for any values, with arena pointers too (seed ${SEED})`, () => {
  let claimed = 0;
  for (let round = 0; round < 3_000; round++) {
    const next = random(SEED + round);
    const asm = Array.from({ length: 1 + next(10) }, () => anyLine(next)).join('; ');
    const insns = assembleInstructions(asm);
    const bits = zeroBits(asm);
    if (bits > 0) claimed++;
    for (const narrow of [false, true]) {
      const start = Array.from({ length: 10 }, () => BigInt(next(2 ** 32)) * BigInt(next(2 ** 32)));
      const low = lowOf6(insns, start, narrow);
      assert.equal(low % 2 ** bits, 0, `round ${round}: ${asm} gives 0x${low.toString(16)}, ${bits} bits`);
    }
  }
  assert.ok(claimed > 500, `${claimed} claims`);
});
