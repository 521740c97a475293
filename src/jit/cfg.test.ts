import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembleInstructions } from '../isa/assembler.ts';
import { controlFlow, type Graph } from './cfg.ts';

/** Graphs of small functions, as text: a node's slots, and the numbers of the nodes that it leads to. */

interface Case {
  readonly rule: string;
  readonly asm: string;
  /** Slots that the verifier never reached. */
  readonly unseen?: readonly number[];
  readonly graph: string;
}

const CASES: readonly Case[] = [
  { rule: 'a straight line is one node', asm: 'r0 = 1; r0 += 2; exit', graph: '0-2' },
  {
    rule: 'a jump leads to its target first, and then to what follows',
    asm: 'if r1 == 0 goto out; r0 = 1; out: exit',
    graph: '0>2,1 1>2 2',
  },
  {
    rule: 'a node begins wherever a jump leads, backwards too',
    asm: 'r0 = 0; again: r0 += 1; if r0 < 9 goto again; exit',
    graph: '0>1 1-2>1,2 3',
  },
  {
    rule: 'a goto has one way on, however it says the distance',
    asm: 'goto a; b: exit; a: gotol b',
    graph: '0>2 1 2>1',
  },
  {
    rule: 'a jump to what follows anyway has one way on',
    asm: 'if r1 == 0 goto on; on: exit',
    graph: '0>1 1',
  },
  { rule: 'a may_goto is a jump', asm: 'l: may_goto out; goto l; out: exit', graph: '0>2,1 1>0 2' },
  { rule: 'a ld_imm64 takes two slots', asm: 'r1 = 5 ll; goto l; l: r2 = 6 ll; exit', graph: '0-2>1 3-5' },
  {
    rule: 'dead code is not there',
    asm: 'r0 = 0; goto out; r0 = 1 ll; out: exit',
    unseen: [2, 3],
    graph: '0-1>1 4',
  },
  {
    rule: 'a condition that is never true is none',
    asm: 'if r1 == 0 goto out; r0 = 1; exit; out: r0 = 2; exit',
    unseen: [3, 4],
    graph: '0>1 1-2',
  },
  {
    rule: 'a condition that is always true is none',
    asm: 'if r1 == 0 goto out; r0 = 1; exit; out: r0 = 2; exit',
    unseen: [1, 2],
    graph: '0>1 3-4',
  },
  {
    rule: 'a call that never returns leads nowhere',
    asm: 'if r1 == 0 goto out; call 5; r0 = 1; out: exit',
    unseen: [2],
    graph: '0>2,1 1 3',
  },
  { rule: 'what follows an exit is another node', asm: 'r0 = 0; exit; r0 = 1; exit', graph: '0-1 2-3' },
  {
    rule: 'what only dead code leads to does not begin a node',
    asm: 'r0 = 0; r0 += 1; exit; l: goto m; m: exit',
    unseen: [3, 4],
    graph: '0-2',
  },
];

function textOf(graph: Graph): string {
  const nodes = graph.map((node) => {
    assert.ok(node.kind === 'code' && node.frame === 0);
    const { start, end, next } = node;
    const span = end - 1 > start ? `${start}-${end - 1}` : `${start}`;
    return next.length > 0 ? `${span}>${next}` : span;
  });
  return nodes.join(' ');
}

describe('the control-flow graph', () => {
  for (const { rule, asm, unseen = [], graph } of CASES)
    it(rule, () => {
      const insns = assembleInstructions(asm);
      const seen = Uint8Array.from(insns, (_, at) => (unseen.includes(at) ? 0 : 1));
      assert.equal(textOf(controlFlow(insns, seen, 0, insns.length)), graph);
    });

  it('is that of one function: slots before and behind are not in it', () => {
    const insns = assembleInstructions('call f; exit; f: if r1 == 0 goto out; r0 = 1; out: exit; g: exit');
    const seen = new Uint8Array(insns.length).fill(1);
    assert.equal(textOf(controlFlow(insns, seen, 2, 5)), '2>2,1 3>2 4');
  });
});
