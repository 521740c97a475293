import assert from 'node:assert/strict';
import { it } from 'node:test';
import { dominates, dominators, reversePostorder } from './dominators.ts';
import { random } from './testdata/harness.ts';

/** Orders and dominators of random graphs, against their definitions. */

const SEED = 20_261_126;
const ROUNDS = 1_000;

function graphs(test: (graph: readonly (readonly number[])[], why: string) => void): void {
  for (let round = 0; round < ROUNDS; round++) {
    const next = random(SEED + round);
    const count = 1 + next(12);
    const graph = Array.from({ length: count }, () =>
      Array.from({ length: next(4) }, () => next(count)).filter((to, i, all) => all.indexOf(to) === i),
    );
    test(graph, `round ${round}: ${JSON.stringify(graph)}`);
  }
}

/** Nodes that can be reached from `from` without passing `without`. */
function reached(graph: readonly (readonly number[])[], from: number, without?: number): Set<number> {
  const found = new Set<number>();
  const work = from === without ? [] : [from];
  for (let node = work.pop(); node !== undefined; node = work.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    work.push(...graph[node].filter((to) => to !== without));
  }
  return found;
}

it(`the order has each node that is reached once, and an edge against it closes a cycle (seed ${SEED})`, () => {
  graphs((graph, why) => {
    const order = reversePostorder(graph.length, 0, (node) => graph[node]);
    assert.equal(order[0], 0, why);
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      [...reached(graph, 0)].sort((a, b) => a - b),
      why,
    );
    const rank = new Map(order.map((node, place) => [node, place]));
    for (const from of order)
      for (const to of graph[from])
        if ((rank.get(to) as number) <= (rank.get(from) as number))
          assert.ok(reached(graph, to).has(from), why);
  });
});

it('what a branch leads to comes before what it falls through to, and both before where they meet', () => {
  const order = reversePostorder(4, 0, (node) => [[2, 1], [3], [3], []][node]);
  assert.deepEqual(order, [0, 2, 1, 3]);
});

it(`a node dominates what cannot be reached without it (seed ${SEED})`, () => {
  graphs((graph, why) => {
    const tree = dominators(graph.length, 0, (node) => graph[node]);
    const all = reached(graph, 0);
    for (const by of all) {
      const around = reached(graph, 0, by);
      for (const node of all)
        assert.equal(dominates(tree, by, node), !around.has(node), `${why}: ${by}, ${node}`);
    }
  });
});

it(`the immediate dominator is the last of them, and unreached nodes have none (seed ${SEED})`, () => {
  graphs((graph, why) => {
    const { idom, rank } = dominators(graph.length, 0, (node) => graph[node]);
    const all = reached(graph, 0);
    for (let node = 0; node < graph.length; node++) {
      assert.equal(rank[node] >= 0, all.has(node), why);
      if (!all.has(node)) assert.equal(idom[node], -1, why);
      if (!all.has(node) || node === 0) continue;
      const above = [...all].filter((by) => by !== node && !reached(graph, 0, by).has(node));
      const last = above.filter((by) => above.every((other) => !reached(graph, 0, other).has(by)));
      assert.deepEqual(last, [idom[node]], `${why}: ${node}`);
    }
  });
});
