import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CodeNode, Graph } from './cfg.ts';
import { reducible } from './reducible.ts';
import { structure, type Token } from './structure.ts';
import { random } from './testdata/harness.ts';

/** Random graphs: a walk through the structured form passes the same nodes as a walk through the graph. */

const SEED = 20_261_125;

/** Nodes with up to two edges anywhere: mostly irreducible. `start` is the node's own number, to be known again. */
function anyGraph(next: (below: number) => number): CodeNode[] {
  const count = 2 + next(12);
  return Array.from({ length: count }, (_, i): CodeNode => {
    const edges = [next(count), next(count)].slice(0, next(8) === 0 ? 0 : 1 + next(2));
    return { kind: 'code', frame: 0, start: i, end: i + 1, next: [...new Set(edges)] };
  });
}

/** The code nodes passed in `steps` steps, taking decisions from `choose`. */
function walkGraph(graph: Graph, steps: number, choose: () => boolean): number[] {
  const passed: number[] = [];
  for (let at = 0; passed.length < steps; ) {
    const { next, ...node } = graph[at];
    if (node.kind === 'code') passed.push(node.start);
    if (next.length === 0) break;
    at = next.length === 1 || choose() ? next[0] : next[1];
  }
  return passed;
}

/** Runs tokens as WebAssembly would: `end` of a loop falls through, a branch to a loop starts it again. */
function walkTokens(graph: Graph, tokens: readonly Token[], steps: number, choose: () => boolean): number[] {
  const ends = matching(tokens);
  const passed: number[] = [];
  let choice = 0;
  const open: number[] = [];
  const branch = (node: number): number => {
    for (let label = open.pop(); label !== undefined; label = open.pop()) {
      const token = tokens[label];
      if (token.kind === 'if' || !('node' in token) || token.node !== node) continue;
      if (token.kind === 'loop') {
        open.push(label);
        return label + 1;
      }
      return ends[label] + 1;
    }
    assert.fail(`nothing around the branch to ${node}`);
  };
  const taken = new Map<number, boolean>();
  for (let at = 0; passed.length < steps; ) {
    const token = tokens[at];
    assert.ok(token, 'control falls out of the function');
    switch (token.kind) {
      case 'block':
      case 'loop':
        open.push(at++);
        break;
      case 'end':
        assert.fail('control falls out of a structure');
        break;
      case 'code': {
        const node = graph[token.node];
        if (node.kind === 'enter') choice = node.choice;
        if (node.kind === 'code') passed.push(node.start);
        if (node.kind === 'code' && node.next.length === 2) taken.set(token.node, choose());
        if (node.next.length === 0) return passed;
        at++;
        break;
      }
      case 'if':
        if (taken.get(token.of) === token.holds) open.push(at++);
        else at = ends[at] + 1;
        break;
      case 'br_if':
        at = taken.get(token.of) === token.holds ? branch(token.node) : at + 1;
        break;
      case 'br':
        at = branch(token.node);
        break;
      case 'br_table':
        at = branch(token.nodes[choice]);
    }
  }
  return passed;
}

function matching(tokens: readonly Token[]): number[] {
  const ends: number[] = [];
  const open: number[] = [];
  tokens.forEach(({ kind }, at) => {
    if (kind === 'block' || kind === 'loop' || kind === 'if') open.push(at);
    if (kind === 'end') ends[open.pop() as number] = at;
  });
  assert.deepEqual(open, []);
  return ends;
}

it(`walks any graph as it is, also one that is not reducible (seed ${SEED})`, () => {
  for (let round = 0; round < 4_000; round++) {
    const graph = anyGraph(random(SEED + round));
    const made = reducible(graph);
    const tokens = structure(made);
    for (let walk = 0; walk < 4; walk++) {
      const [a, b] = [random(walk + 1), random(walk + 1)];
      const expected = walkGraph(graph, 60, () => a(2) === 0);
      assert.deepEqual(
        walkTokens(made, tokens, 60, () => b(2) === 0),
        expected,
        `round ${round}: ${JSON.stringify(graph.map(({ next }) => next))}`,
      );
    }
  }
});

function deepestOf(graph: Graph): number {
  let depth = 0;
  let deepest = 0;
  for (const { kind } of structure(reducible(graph))) {
    if (kind === 'block' || kind === 'loop' || kind === 'if') deepest = Math.max(deepest, ++depth);
    if (kind === 'end') depth--;
  }
  return deepest;
}

const COUNT = 20_000;
const node = (i: number, next: number[]): CodeNode => ({
  kind: 'code',
  frame: 0,
  start: i,
  end: i + 1,
  next,
});

describe('nests by the logarithm of the length, not by the length', () => {
  it('where each jump skips a node', () => {
    const next = (i: number) =>
      i === COUNT - 1 ? [] : i % 3 === 2 ? [i + 1] : [Math.min(COUNT - 1, i + 2), i + 1];
    const depth = deepestOf(Array.from({ length: COUNT }, (_, i) => node(i, next(i))));
    assert.ok(depth < 40, `${depth} deep`);
  });

  it('where each jump returns, on either side', () => {
    const next = (i: number) =>
      i % 2 === 1 || i > COUNT - 3 ? [] : i % 4 === 0 ? [i + 1, i + 2] : [i + 2, i + 1];
    const depth = deepestOf(Array.from({ length: COUNT }, (_, i) => node(i, next(i))));
    assert.ok(depth < 40, `${depth} deep`);
  });
});
