import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembleInstructions } from '../isa/assembler.ts';
import { slots } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import { controlFlow } from './cfg.ts';
import { type CheckedBytes, checkedPages } from './checked-pages.ts';
import { arenaAccess } from './groups.ts';

/**
 * Which checks surely pass: slots of stores, of which each is checked by itself. A register is at one address if a test says so.
 */

function passed(asm: string, constants: Readonly<Record<number, number>> = {}) {
  const insns = assembleInstructions(asm);
  const graph = controlFlow(insns, new Uint8Array(insns.length).fill(1), 0, insns.length);
  const checks = new Map<number, CheckedBytes>();
  for (let at = 0; at < insns.length; at += slots(insns[at])) {
    const access = opcode(insns[at].code)?.kind === 'store' ? arenaAccess(insns[at], at) : undefined;
    if (access === undefined) continue;
    const { base, off, size } = access;
    checks.set(at, { base, from: off, to: off + size });
  }
  return checkedPages(graph, insns, checks, (_, register) => constants[register]);
}

const store = (register: string, offset = '+ 0') => `*(u64 *)(${register} ${offset}) = 1`;

const CASES: readonly (readonly [
  rule: string,
  asm: string,
  passed: readonly number[],
  constants?: Record<number, number>,
])[] = [
  ['the same bytes again', `${store('r6')}; ${store('r6')}; exit`, [1]],
  ['a part of them', `${store('r6')}; *(u16 *)(r6 + 4) = 1; exit`, [1]],
  ['not what lies beside', `${store('r6')}; ${store('r6', '+ 8')}; exit`, []],
  ['unless both sides are known', `${store('r6')}; ${store('r6', '+ 8')}; ${store('r6', '+ 4')}; exit`, [2]],
  ['a gap is not', `${store('r6')}; ${store('r6', '+ 16')}; ${store('r6', '+ 8')}; exit`, []],
  ['through a copy', `r7 = r6; ${store('r6')}; ${store('r7')}; exit`, [2]],
  ['and one made later', `${store('r6')}; r7 = addr_space_cast(r6, 0, 1); ${store('r7')}; exit`, [2]],
  [
    'a constant that is added counts',
    `${store('r6')}; r6 += 16; ${store('r6', '- 16')}; ${store('r6')}; exit`,
    [2],
  ],
  ['also where it was added before', `r7 = r6; r7 += 16; ${store('r6')}; ${store('r7', '- 16')}; exit`, [3]],
  ['what is too far away is forgotten', `${store('r6')}; r6 += 4096; r6 -= 4096; ${store('r6')}; exit`, []],
  ['what is loaded is another pointer', `${store('r6')}; r6 = *(u64 *)(r6 + 0); ${store('r6')}; exit`, []],
  [
    'of two that are loaded one says nothing of the other',
    `r6 = *(u64 *)(r1 + 0); r7 = *(u64 *)(r1 + 8); ${store('r6')}; ${store('r7')}; exit`,
    [],
  ],
  ['so is what a register is added to', `${store('r6')}; r6 += r2; ${store('r6')}; exit`, []],
  [
    'over a helper r6 to r9 stay',
    `${store('r6')}; ${store('r1')}; call 5; ${store('r6')}; ${store('r1')}; exit`,
    [3],
  ],
  ['over a function nothing does', `${store('r6')}; call f; ${store('r6')}; exit; f: r0 = 0; exit`, []],
  [
    'nor are registers the same behind it',
    `call f; ${store('r6')}; ${store('r7')}; exit; f: r0 = 0; exit`,
    [],
  ],
  [
    'where two ways meet, what both know',
    `if r1 == 0 goto a; ${store('r6')}; ${store('r7')}; goto b; a: ${store('r6')}; b: ${store('r6')}; ${store('r7')}; exit`,
    [5],
  ],
  [
    'of which the smaller one counts',
    `if r1 == 0 goto a; ${store('r6')}; goto b; a: *(u32 *)(r6 + 0) = 1; b: *(u32 *)(r6 + 0) = 1; ${store('r6')}; exit`,
    [4],
  ],
  [
    'in a loop what was known before it',
    `${store('r6')}; l: may_goto a; ${store('r6')}; goto l; a: exit`,
    [2],
  ],
  [
    'unless the loop moves the pointer',
    `${store('r6')}; l: may_goto a; ${store('r6')}; r6 += 8; goto l; a: exit`,
    [],
  ],
  ['not what the loop alone checks', `l: may_goto a; ${store('r6')}; goto l; a: exit`, []],
  [
    'a page at a constant address',
    `${store('r6')}; ${store('r7')}; ${store('r8')}; exit`,
    [1],
    { 6: 0x10_0000, 7: 0x10_0ff8, 8: 0x10_1000 },
  ],
  [
    'of two pages both',
    `${store('r6')}; ${store('r8')}; ${store('r7')}; exit`,
    [2],
    { 6: 0x10_0000, 7: 0x10_0ffc, 8: 0x10_1000 },
  ],
  [
    'not where one of two is all that is known',
    `${store('r6')}; ${store('r7')}; exit`,
    [],
    { 6: 0x10_0000, 7: 0x10_0ffc },
  ],
  [
    'of the pages that two ways know, those that both do',
    `if r1 == 0 goto a; ${store('r6')}; ${store('r7')}; goto b; a: ${store('r6')}; b: ${store('r6')}; ${store('r7')}; exit`,
    [5],
    { 6: 0x10_0000, 7: 0x10_1000 },
  ],
  [
    'whichever of them knows more',
    `if r1 == 0 goto a; ${store('r6')}; goto b; a: ${store('r6')}; ${store('r7')}; b: ${store('r6')}; ${store('r7')}; exit`,
    [5],
    { 6: 0x10_0000, 7: 0x10_1000 },
  ],
  ['over a helper such a page stays', `${store('r6')}; call 5; ${store('r6')}; exit`, [2], { 6: 0x10_0000 }],
  [
    'but not over a function',
    `${store('r6')}; call f; ${store('r6')}; exit; f: r0 = 0; exit`,
    [],
    { 6: 0x10_0000 },
  ],
];

describe('a check is known to pass', () => {
  for (const [rule, asm, expected, constants] of CASES)
    it(rule, () => assert.deepEqual([...passed(asm, constants).passed], expected));
});

it('a version that begins behind a may_goto is told what it takes for granted', () => {
  const { atMayGoto } = passed(
    `${store('r6')}; ${store('r7')}; l: may_goto a; ${store('r6')}; goto l; a: exit`,
    {
      7: 0x12_3000,
    },
  );
  assert.deepEqual(atMayGoto.get(2), { registers: [{ base: 6, from: 0, to: 8 }], pages: [0x123] });
});
