import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { CodeNode, Graph, Node } from './cfg.ts';
import { dominates, dominators } from './dominators.ts';
import { reducible } from './reducible.ts';
import { random } from './testdata/harness.ts';

/** What becomes of loops with several entries; that the graph still says the same, structure.test.ts shows. */

const SEED = 20_261_127;

function graphOf(edges: readonly (readonly number[])[]): CodeNode[] {
  return edges.map((next, i) => ({ kind: 'code', frame: 0, start: i, end: i + 1, next: [...next] }));
}

/** Whether each loop is entered at one node, which dominates it. */
function hasOneEntryALoop(graph: Graph): boolean {
  const tree = dominators(graph.length, 0, (node) => graph[node].next);
  return tree.order.every((from) =>
    graph[from].next.every((to) => tree.rank[to] > tree.rank[from] || dominates(tree, to, from)),
  );
}

it('a graph whose loops have one entry each is left alone', () => {
  for (const edges of [[[]], [[1, 2], [2], []], [[1], [2, 1], [0, 3], []], [[0]]]) {
    const graph = graphOf(edges);
    assert.equal(reducible(graph), graph);
  }
});

it('a loop with two entries gets one: a node that sends each comer to its entry', () => {
  const made = reducible(graphOf([[1, 2], [2], [1, 3], []]));
  assert.ok(hasOneEntryALoop(made));
  const dispatches = made.filter(({ kind }) => kind === 'dispatch');
  assert.deepEqual(
    dispatches.map(({ next }) => [...next].sort()),
    [[1, 2]],
  );
  // One for each entry, and one for rounds, which begin at the first; each says which entry it means.
  const enters = made.filter((node) => node.kind === 'enter');
  assert.deepEqual(enters.map(({ choice }) => dispatches[0].next[choice]).sort(), [1, 1, 2]);
  assert.deepEqual(made[1].next, [2], 'within a round nothing goes through the dispatch node');
});

it('what nothing outside leads to is no entry', () => {
  const made = reducible(graphOf([[1, 2], [2], [3], [1, 4], []]));
  const dispatches = made.filter(({ kind }) => kind === 'dispatch');
  assert.deepEqual(
    dispatches.map(({ next }) => [...next].sort()),
    [[1, 2]],
  );
});

it('a loop beside it that has one entry keeps it', () => {
  const made = reducible(graphOf([[1, 2], [2], [1, 3], [4], [3, 5], []]));
  assert.equal(made.filter(({ kind }) => kind === 'dispatch').length, 1);
  assert.deepEqual([made[3].next, made[4].next], [[4], [3, 5]]);
});

it('what another dispatch node sends to a loop keeps its choice', () => {
  const graph: Node[] = graphOf([[], [2], [3], [4, 1], []]);
  graph[0] = { kind: 'dispatch', next: [3, 2, 4] };
  const made = reducible(graph);
  const inner = made.findIndex(({ kind }, node) => node > 0 && kind === 'dispatch');
  assert.deepEqual(made[0].next, [inner, inner, 4]);
  assert.deepEqual(made[inner].next.slice(0, 2), [3, 2]);
  assert.ok(hasOneEntryALoop(made));
});

it('a function that begins in such a loop still begins with node 0', () => {
  const made = reducible(graphOf([[1], [0, 2], [1, 0]]));
  assert.ok(hasOneEntryALoop(made));
  assert.equal(made.filter((node) => node.kind === 'code' && node.start === 0).length, 1);
});

it(`of any graph every loop has one entry then, and no code is copied (seed ${SEED})`, () => {
  let grown = 0;
  for (let round = 0; round < 4_000; round++) {
    const next = random(SEED + round);
    const count = 2 + next(14);
    const graph = graphOf(
      Array.from({ length: count }, () => [...new Set([next(count), next(count)].slice(0, 1 + next(2)))]),
    );
    const made = reducible(graph);
    assert.ok(hasOneEntryALoop(made), `round ${round}: ${JSON.stringify(graph.map((node) => node.next))}`);
    if (made !== graph) grown++;
    const codes = made.filter(({ kind }) => kind === 'code');
    assert.equal(codes.length, count);
  }
  assert.ok(grown > 400, `${grown} graphs were irreducible`);
});
