import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planFunctions } from './plan.ts';
import type { JitOptions } from './target.ts';
import { verified } from './testdata/harness.ts';
import { type Unit, unitOf } from './unit.ts';

/** Which functions are put into their callers, and the graph that comes of it. */

const FILLER = (count: number) => 'r0 += 1; '.repeat(count);

function inlined(asm: string, options: JitOptions = {}): boolean[] {
  return planFunctions(verified(asm), options).map((plan) => plan.inlined);
}

describe('a function is put into its caller', () => {
  const cases: readonly [rule: string, asm: string, inlined: boolean][] = [
    ['where it is small', 'call f; call f; exit; f: r0 = 1; exit', true],
    ['where it is larger, and called once', `call f; exit; f: r0 = 0; ${FILLER(200)} exit`, true],
    [
      'not where it is larger, and called twice',
      `call f; call f; exit; f: r0 = 0; ${FILLER(50)} exit`,
      false,
    ],
    ['not where it is large, though called once', `call f; exit; f: r0 = 0; ${FILLER(500)} exit`, false],
  ];
  for (const [rule, asm, expected] of cases)
    it(rule, () => assert.deepEqual(inlined(asm), [false, expected]));

  it('not where inlining is switched off', () => {
    assert.deepEqual(inlined('call f; exit; f: r0 = 1; exit', { inlining: false }), [false, false]);
  });

  it('only until that has become large', () => {
    const asm = `${'call f; '.repeat(60)} exit; f: r0 = 0; ${FILLER(36)} exit`;
    assert.deepEqual(inlined(asm), [false, false]);
  });
});

/** Nodes as text: frame and slots of code, and the frames that an `inline` node enters. */
function textOf({ nodes }: Unit): string {
  return nodes
    .map((node, i) => {
      const next = node.next.length > 0 ? `>${node.next}` : '';
      if (node.kind === 'inline') return `${i}: ${node.caller}=>${node.frame}${next}`;
      assert.ok(node.kind === 'code');
      const slots = node.end > node.start ? `${node.start}-${node.end - 1}` : 'empty';
      return `${i}: f${node.frame} ${slots}${next}`;
    })
    .join('\n');
}

function unit(asm: string): Unit {
  const program = verified(asm);
  return unitOf(program, planFunctions(program, {}), 0);
}

describe('the graph of a unit', () => {
  it('goes over into a callee, and from its exit to what follows the call', () => {
    assert.equal(
      textOf(unit('r1 = 1; call f; r0 += 1; exit; f: r0 = r1; exit')),
      ['0: f0 0-0>2', '1: f0 2-3', '2: 0=>1>3', '3: f1 4-5>1'].join('\n'),
    );
  });

  it('leads on from each exit of a callee', () => {
    const { nodes } = unit(
      'r1 = *(u64 *)(r1 + 0); call f; exit; f: r0 = 0; if r1 == 0 goto a; exit; a: r0 = 1; exit',
    );
    const after = nodes.findIndex((node) => node.kind === 'code' && node.start === 2);
    const exits = nodes.filter(
      (node) => node.kind === 'code' && node.frame === 1 && node.next.includes(after),
    );
    assert.equal(exits.length, 2);
  });

  it('has the callee once for each call, each with registers of its own', () => {
    const { frames, nodes } = unit('r1 = 1; call f; r1 = r0; call f; exit; f: r0 = r1; r0 += 1; exit');
    assert.equal(frames.length, 3);
    assert.equal(nodes.filter(({ kind }) => kind === 'inline').length, 2);
    const own = frames.flatMap(({ registers }) => registers.slice(1));
    assert.equal(new Set(own).size, 27, 'r1 to r9 of three frames');
    assert.deepEqual(
      frames.map(({ registers }) => registers[0]),
      [0, 0, 0],
      'r0 is one for all',
    );
  });

  it('counts frames that lie upon each other, not those beside each other', () => {
    const { frames, deepest } = unit('call f; call g; exit; f: call g; exit; g: r0 = 1; exit');
    assert.deepEqual(
      frames.map(({ plan, depth }) => [plan.number, depth]),
      [
        [0, 0],
        [2, 1],
        [1, 1],
        [2, 2],
      ],
    );
    assert.equal(deepest, 2);
  });

  it('gives a frame what its function needs: promoted slots, and a budget for may_goto', () => {
    const { frames } = unit(
      'call f; exit; f: *(u64 *)(r10 - 8) = 1; l: may_goto out; goto l; out: r0 = *(u64 *)(r10 - 8); exit',
    );
    assert.deepEqual([...frames[0].cells.keys(), frames[0].loop], [undefined]);
    assert.deepEqual([...frames[1].cells.keys()], [-8]);
    assert.ok(frames[1].loop !== undefined);
  });
});
