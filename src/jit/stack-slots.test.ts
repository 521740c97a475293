import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planFunctions } from './plan.ts';
import { verified } from './testdata/harness.ts';

/** Which stack slots become locals: `-8:4` is one of four bytes at r10 - 8. */

interface Case {
  readonly rule: string;
  readonly asm: string;
  readonly cells: string;
}

const CONDITION = 'r6 = *(u64 *)(r1 + 0); r2 = 7;';

const LOCALS: readonly Case[] = [
  {
    rule: 'what is stored and loaded whole',
    asm: '*(u64 *)(r10 - 8) = 5; r0 = *(u64 *)(r10 - 8); exit',
    cells: '-8:8',
  },
  {
    rule: 'what is stored and never loaded',
    asm: '*(u64 *)(r10 - 16) = 5; r0 = 0; exit',
    cells: '-16:8',
  },
  {
    rule: 'each size on its own, and neighbours',
    asm: `${CONDITION} *(u8 *)(r10 - 1) = r2; *(u16 *)(r10 - 4) = r2; *(u32 *)(r10 - 8) = r2; r0 = *(u8 *)(r10 - 1); exit`,
    cells: '-1:1 -4:2 -8:4',
  },
  {
    rule: 'what another register reaches at a constant distance',
    asm: 'r2 = r10; r2 += -24; *(u64 *)(r2 + 8) = 5; r0 = *(u64 *)(r10 - 16); exit',
    cells: '-16:8',
  },
  {
    rule: 'what is written on all ways to a load',
    asm: `${CONDITION} if r6 == 0 goto a; *(u64 *)(r10 - 8) = 1; goto b; a: *(u64 *)(r10 - 8) = 2; b: r0 = *(u64 *)(r10 - 8); exit`,
    cells: '-8:8',
  },
  {
    rule: 'what holds a pointer, for a spill is a store',
    asm: '*(u64 *)(r10 - 8) = r1; r1 = *(u64 *)(r10 - 8); r0 = *(u32 *)(r1 + 0); exit',
    cells: '-8:8',
  },
  {
    rule: 'what lies beside bytes that are handed out',
    asm: '*(u64 *)(r10 - 16) = 9; *(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = ARRAY; call 1; r0 = *(u64 *)(r10 - 16); exit',
    cells: '-16:8',
  },
];

const IN_MEMORY: readonly Case[] = [
  {
    rule: 'what a helper is given by address',
    asm: '*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = ARRAY; call 1; r0 = 0; exit',
    cells: '',
  },
  {
    rule: 'what a callee is given by address',
    asm: '*(u64 *)(r10 - 8) = 3; r1 = r10; r1 += -8; call f; r0 = *(u64 *)(r10 - 8); exit; f: *(u64 *)(r1 + 0) = 4; r0 = 0; exit',
    cells: '',
  },
  {
    rule: 'all, where a helper is given an address as a number: it reads as much as it likes',
    asm: '*(u64 *)(r10 - 8) = 3; *(u64 *)(r10 - 64) = 0; r1 = r10; r1 += -128; r2 = 8; r3 = r10; r3 += -64; call 113; r0 = *(u64 *)(r10 - 8); exit',
    cells: '',
  },
  {
    rule: 'all, where an address is among the bytes that a helper is given',
    asm: '*(u64 *)(r10 - 8) = 3; r3 = r10; r3 += -16; *(u64 *)(r10 - 24) = r3; r1 = r10; r1 += -24; r2 = 8; r3 = 0; call 6; r0 = *(u64 *)(r10 - 8); exit',
    cells: '',
  },
  {
    rule: 'what is stored whole and loaded in part',
    asm: `${CONDITION} *(u64 *)(r10 - 8) = r6; r0 = *(u32 *)(r10 - 8); exit`,
    cells: '',
  },
  {
    rule: 'what overlaps, with all that it overlaps with',
    asm: `${CONDITION} *(u64 *)(r10 - 8) = r6; *(u32 *)(r10 - 16) = r2; r0 = *(u32 *)(r10 - 4); exit`,
    cells: '-16:4',
  },
  {
    rule: 'what is loaded before anything was stored, on one way at least',
    asm: `${CONDITION} if r6 == 0 goto a; *(u64 *)(r10 - 8) = 1; a: r0 = *(u64 *)(r10 - 8); exit`,
    cells: '',
  },
  {
    rule: 'what is loaded in a loop before it is stored there',
    asm: `${CONDITION} l: r8 = *(u64 *)(r10 - 8); *(u64 *)(r10 - 8) = 1; may_goto out; goto l; out: r0 = r8; exit`,
    cells: '',
  },
  {
    rule: 'what a changing offset may reach, and nothing else',
    asm: `${CONDITION} r6 &= 7; r3 = r10; r3 += r6; *(u64 *)(r10 - 8) = 0; *(u64 *)(r10 - 16) = 0; *(u64 *)(r10 - 24) = 0; *(u8 *)(r3 - 16) = 1; r0 = *(u64 *)(r10 - 24); exit`,
    cells: '-24:8 -8:8',
  },
  {
    rule: 'what is reached at another place on another way',
    asm: `${CONDITION} *(u64 *)(r10 - 8) = 1; *(u64 *)(r10 - 16) = 2; r3 = r10; if r6 == 0 goto a; r3 += -8; a: r0 = *(u64 *)(r3 - 8); exit`,
    cells: '',
  },
  {
    rule: 'what an atomic operation reaches',
    asm: `${CONDITION} *(u64 *)(r10 - 8) = 1; lock *(u64 *)(r10 - 8) += r6; r0 = *(u64 *)(r10 - 8); exit`,
    cells: '',
  },
];

function cellsOf(asm: string, number = 0): string {
  const { cells } = planFunctions(verified(asm), {})[number];
  return [...cells.values()]
    .map(({ offset, size }) => `${offset}:${size}`)
    .sort()
    .join(' ');
}

describe('a stack slot becomes a local', () => {
  for (const { rule, asm, cells } of LOCALS)
    it(rule, () => assert.equal(cellsOf(asm), cells.split(' ').sort().join(' ')));
});

describe('a stack slot stays in memory', () => {
  for (const { rule, asm, cells } of IN_MEMORY)
    it(rule, () => assert.equal(cellsOf(asm), cells.split(' ').sort().join(' ')));

  it('where promotion is switched off', () => {
    const program = verified(LOCALS[0].asm);
    assert.equal(planFunctions(program, { promotion: false })[0].cells.size, 0);
  });
});

it("a callee's slots are its own: it stores into its caller's frame, and its own slot is a local", () => {
  const asm =
    '*(u64 *)(r10 - 8) = 3; r1 = r10; r1 += -8; call f; r0 = *(u64 *)(r10 - 8); exit; f: *(u64 *)(r10 - 8) = 7; *(u64 *)(r1 + 0) = 4; r0 = *(u64 *)(r10 - 8); exit';
  assert.equal(cellsOf(asm, 0), '');
  assert.equal(cellsOf(asm, 1), '-8:8');
  const storesThere =
    '*(u64 *)(r10 - 8) = 3; r1 = r10; r1 += -8; call f; r0 = *(u64 *)(r10 - 8); exit; f: *(u64 *)(r1 + 0) = 4; r0 = 0; exit';
  assert.equal(cellsOf(storesThere, 1), '');
});

describe('a function needs a frame in memory', () => {
  const needs: readonly [rule: string, asm: string, needsFrame: boolean][] = [
    ['not where all slots are locals', LOCALS[0].asm, false],
    ['where one is not', IN_MEMORY[0].asm, true],
    ['where it stores its frame pointer', '*(u64 *)(r10 - 8) = r10; r0 = 0; exit', true],
    ['where what it calls needs one', `call f; exit; f: ${IN_MEMORY[0].asm}`, true],
    ['not where it has no slots', 'r0 = 0; exit', false],
  ];
  for (const [rule, asm, needsFrame] of needs)
    it(rule, () => assert.equal(planFunctions(verified(asm), {})[0].needsFrame, needsFrame));
});
