import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembleInstructions } from '../isa/assembler.ts';
import { controlFlow, type Node } from './cfg.ts';
import { chooseInsteadOfJumping } from './choose.ts';

/** Which jumps become choices, as text: the slots of a choice, its jump, and whether that has to be taken. */

interface Case {
  readonly rule: string;
  readonly asm: string;
  readonly choices: string;
}

const CASES: readonly Case[] = [
  {
    rule: 'a jump around an operation is a choice, made where the jump is not taken',
    asm: 'r0 = 0; if r1 == 0 goto a; r0 = 1; a: exit',
    choices: '2 by 1, not taken',
  },
  {
    rule: 'so is one to an operation that comes back, made where it is taken',
    asm: 'r0 = 0; if r1 == 0 goto b; a: exit; b: r0 = 1; goto a',
    choices: '3-4 by 1, taken',
  },
  {
    rule: 'up to three operations',
    asm: 'if w1 > 5 goto a; r0 = 1; r2 += r3; w4 <<= 2; a: exit',
    choices: '1-3 by 0, not taken',
  },
  {
    rule: 'four are too many',
    asm: 'if r1 == 0 goto a; r0 = 1; r2 = 1; r3 = 1; r4 = 1; a: exit',
    choices: '',
  },
  {
    rule: 'a load happens only where it should',
    asm: 'if r1 == 0 goto a; r0 = *(u64 *)(r1 + 0); a: exit',
    choices: '',
  },
  { rule: 'and a store', asm: 'if r1 == 0 goto a; *(u64 *)(r1 + 0) = 0; a: exit', choices: '' },
  { rule: 'a division is more than it saves', asm: 'if r1 == 0 goto a; r0 /= r1; a: exit', choices: '' },
  {
    rule: 'what another jump leads to is no choice',
    asm: 'if r2 == 0 goto b; if r1 == 0 goto a; b: r0 = 1; a: exit',
    choices: '',
  },
  {
    rule: 'two different ways are none',
    asm: 'if r1 == 0 goto a; r0 = 1; exit; a: r0 = 2; exit',
    choices: '',
  },
  { rule: 'a may_goto is none', asm: 'may_goto a; r0 = 1; a: exit', choices: '' },
  { rule: 'nothing to do is no choice', asm: 'if r1 == 0 goto a; goto a; a: exit', choices: '' },
];

function textOf(nodes: readonly Node[]): string {
  const choices = nodes.flatMap((node) => {
    if (node.kind !== 'choose') return [];
    const span = node.end - 1 > node.start ? `${node.start}-${node.end - 1}` : `${node.start}`;
    return [`${span} by ${node.jump}, ${node.holds ? 'taken' : 'not taken'}`];
  });
  return choices.join('; ');
}

describe('choices instead of jumps', () => {
  for (const { rule, asm, choices } of CASES)
    it(rule, () => {
      const insns = assembleInstructions(asm);
      const nodes = [...controlFlow(insns, new Uint8Array(insns.length).fill(1), 0, insns.length)];
      chooseInsteadOfJumping(nodes, insns);
      assert.equal(textOf(nodes), choices);
      for (const node of nodes)
        if (node.kind === 'choose')
          assert.equal(nodes.filter(({ next }) => next.includes(nodes.indexOf(node))).length, 1);
    });
});
