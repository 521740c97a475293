import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { CodeNode, Graph } from './cfg.ts';
import { reversePostorder } from './dominators.ts';
import { reducible } from './reducible.ts';
import { random } from './testdata/harness.ts';
import { enteredAt, enteredBehind, leftAt, type Point } from './versions.ts';

/** A walk through another version of a graph passes the same instructions as the graph itself from that point on. */

const SEED = 20_261_128;
const STEPS = 60;

/** Nodes of up to three slots, with up to two edges anywhere. */
function anyGraph(next: (below: number) => number): CodeNode[] {
  const count = 2 + next(10);
  return Array.from({ length: count }, (_, i): CodeNode => {
    const edges = [next(count), next(count)].slice(0, next(8) === 0 ? 0 : 1 + next(2));
    return { kind: 'code', frame: 0, start: 10 * i, end: 10 * i + 1 + next(3), next: [...new Set(edges)] };
  });
}

/** A node of one slot, its number. */
function code(start: number, next: number[]): CodeNode {
  return { kind: 'code', frame: 0, start, end: start + 1, next };
}

/** The slots passed from a node on. @param from the first slot of it. */
function walk(graph: Graph, start: number, choose: () => boolean, choice = 0, from?: number): number[] {
  const passed: number[] = [];
  for (let at = start, first = from; passed.length < STEPS; first = undefined) {
    const node = graph[at];
    if (node.kind === 'code') for (let slot = first ?? node.start; slot < node.end; slot++) passed.push(slot);
    if (node.next.length === 0) break;
    if (node.kind === 'dispatch') at = node.next[choice];
    else at = node.next.length === 1 || choose() ? node.next[0] : node.next[1];
  }
  return passed.slice(0, STEPS);
}

/** Decisions, the same for the same seed. */
function decisions(seed: number): () => boolean {
  const next = random(seed);
  return () => next(2) === 0;
}

it(`a version that is entered at points goes on from each as the graph does (seed ${SEED})`, () => {
  for (let round = 0; round < 1_000; round++) {
    const next = random(SEED + round);
    const graph = anyGraph(next);
    const points = Array.from({ length: 1 + next(5) }, (): Point => {
      const { start, end } = graph[next(graph.length)];
      return { frame: 0, at: start + next(end - start) };
    });
    const version = enteredAt(graph, points);
    points.forEach(({ at }, choice) => {
      const node = graph.findIndex(({ start, end }) => start <= at && at < end);
      assert.deepEqual(
        walk(version, 0, decisions(round), choice),
        walk(graph, node, decisions(round), 0, at),
        `round ${round}, entered at ${at}`,
      );
    });
  }
});

it('an instruction of another frame is another point, though its slot is the same', () => {
  const node = (frame: number): CodeNode => ({ kind: 'code', frame, start: 0, end: 3, next: [] });
  const version = enteredAt(
    [node(0), node(1)],
    [
      { frame: 1, at: 1 },
      { frame: 0, at: 2 },
    ],
  );
  const entered = version[0].next.map((to) => {
    const { kind, ...rest } = version[to];
    return kind === 'code' && rest;
  });
  assert.deepEqual(entered, [
    { frame: 1, start: 1, end: 3, next: [] },
    { frame: 0, start: 2, end: 3, next: [] },
  ]);
  const left = leftAt([node(0), node(1)], [{ frame: 1, at: 2 }]);
  assert.deepEqual([left[0].next, left[1].next], [[], [2]]);
});

it('a node of no instruction holds no point', () => {
  const node = (start: number, end: number, next: number[]): CodeNode => ({
    kind: 'code',
    frame: 0,
    start,
    end,
    next,
  });
  const version = enteredAt([node(0, 2, [2]), node(2, 4, []), node(2, 2, [1])], [{ frame: 0, at: 3 }]);
  const entered = version[version[0].next[0]];
  assert.ok(entered.kind === 'code');
  assert.deepEqual([entered.start, entered.end], [3, 4]);
});

it(`a version that begins behind a jump goes on as the graph does (seed ${SEED})`, () => {
  let began = 0;
  for (let round = 0; round < 1_000; round++) {
    const next = random(SEED + round);
    const graph = anyGraph(next);
    graph.forEach(({ end, next: ways }, node) => {
      if (ways.length !== 2) return;
      began++;
      const version = enteredBehind(graph, { frame: 0, at: end - 1 });
      const [expected, found] = [decisions(round), decisions(round)];
      assert.deepEqual(
        walk(version, 0, found),
        walk(graph, node, expected, 0, end),
        `round ${round}, behind ${end - 1}`,
      );
    });
  }
  assert.ok(began > 500, `${began} versions`);
});

it('a loop stands there twice, so that both copies have one entry', () => {
  // 0, then the loop 1 2 3 with its may_goto in 2, then 4.
  const graph = [code(0, [1]), code(1, [2]), code(2, [4, 3]), code(3, [1]), code(4, [])];
  const version = enteredBehind(graph, { frame: 0, at: 2 });
  assert.equal(reducible(version), version);
  const starts = version.flatMap((node) => (node.kind === 'code' ? [node.start] : []));
  assert.deepEqual(starts.sort(), [0, 1, 1, 2, 2, 3, 3, 4]);
});

it('of loops around each other the innermost does', () => {
  // The loop 1 2 3 4 around the loop 2 3, with its may_goto in 3.
  const graph = [code(0, [1]), code(1, [2]), code(2, [3]), code(3, [4, 2]), code(4, [1])];
  const version = enteredBehind(graph, { frame: 0, at: 3 });
  const starts = version.flatMap((node) => (node.kind === 'code' ? [node.start] : []));
  assert.deepEqual(starts.sort(), [0, 1, 2, 2, 3, 3, 4]);
});

it('a loop that begins with its may_goto is entered there again, and stands there once', () => {
  // 0, then the loop 1 2 with its may_goto in 1, then 3.
  const graph = [code(0, [1]), code(1, [3, 2]), code(2, [1]), code(3, [])];
  const version = enteredBehind(graph, { frame: 0, at: 1 }, true);
  assert.equal(reducible(version), version);
  assert.equal(version.length, graph.length + 1);
  const [refill] = version;
  assert.ok(refill.kind === 'refill' && refill.again);
  const starts = refill.next.map((to) => version[to].kind === 'code' && version[to].start);
  assert.deepEqual(starts, [3, 1], 'where the jump leads, or the may_goto once more');
  // Another node is the header: the may_goto is not where the loop is entered.
  const inner = enteredBehind(
    [code(0, [1]), code(1, [2]), code(2, [3, 1]), code(3, [])],
    { frame: 0, at: 2 },
    true,
  );
  assert.ok(inner[0].kind === 'refill' && !inner[0].again);
});

it('a version that is left at its may_goto has nothing of what stands behind', () => {
  // 0, then the loop 1 2 with its may_goto in 1, then 3, to which 0 leads, too.
  const version = leftAt(
    [code(0, [1, 3]), code(1, [3, 2]), code(2, [1]), code(3, [])],
    [{ frame: 0, at: 1 }],
  );
  const reached = reversePostorder(version.length, 0, (node) => version[node].next).map(
    (node) => version[node],
  );
  const starts = reached.flatMap((node) => (node.kind === 'code' ? [node.start] : []));
  assert.deepEqual(starts.sort(), [0, 1, 3]);
  assert.deepEqual(
    reached.filter(({ kind }) => kind === 'leave'),
    [{ kind: 'leave', frame: 0, at: 1, next: [] }],
  );
});
