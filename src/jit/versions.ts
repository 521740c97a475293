import type { CodeNode, Graph, Node } from './cfg.ts';
import { dominates, dominators, previousOf } from './dominators.ts';
import type { PageRun } from './page-runs.ts';

/**
 * Other versions of a unit's graph, which are entered somewhere in its middle: where code that relied on a check is left
 * (docs/jit.md), the same point is gone on at in the version that checks everything; where a may_goto has used up its
 * iterations, in one that begins behind it.
 */

/** A point in a unit: before an instruction of a frame. */
export interface Point {
  readonly frame: number;
  readonly at: number;
}

/** The whole graph behind a node that chooses between `points`, which their order numbers. */
export function enteredAt(nodes: Graph, points: readonly Point[]): Graph {
  const all: Node[] = [{ kind: 'dispatch', next: [] }, ...shifted(nodes, 1)];
  const inOrder = (a: Point, b: Point) => a.frame - b.frame || a.at - b.at;
  // Behind a call that was put into the function there may be a node of no instruction, where another one begins.
  const starts = all.flatMap((node, index) =>
    node.kind === 'code' && node.start < node.end ? [{ frame: node.frame, at: node.start, index }] : [],
  );
  starts.sort(inOrder);
  const entries = new Array<number>(points.length);
  let place = 0;
  for (const [number, point] of [...points.entries()].sort(([, a], [, b]) => inOrder(a, b))) {
    while (place + 1 < starts.length && inOrder(starts[place + 1], point) <= 0) place++;
    let { index } = starts[place];
    const node = all[index] as CodeNode;
    if (node.start < point.at) {
      const rest = all.push({ ...node, start: point.at }) - 1;
      all[index] = { ...node, end: point.at, next: [rest] };
      index = rest;
      starts[place] = { ...point, index };
    }
    entries[number] = index;
  }
  all[0] = { kind: 'dispatch', next: entries };
  return all;
}

/**
 * The graph as it goes on behind a may_goto. The innermost loop around that stands there twice: a copy that is entered at
 * the may_goto, and behind it the loop as it was, so that both have one entry. A loop that begins with its may_goto is
 * entered there again, and stands there once.
 * @param restarts whether what stands before the may_goto in its node may be done again.
 * @param run what may be asked before the copy of the loop; who leaves that settles.
 */
export function enteredBehind(nodes: Graph, { frame, at }: Point, restarts = false, run?: PageRun): Graph {
  const refill = { kind: 'refill', frame, at, again: false, run } as const;
  const all: Node[] = [{ ...refill, next: [] }, ...shifted(nodes, 1)];
  const index = nodeOf(all, { frame, at });
  const loop = innermostLoop(all, index, 1);
  const [header] = loop;
  if (restarts && header === index && run === undefined) {
    all[0] = { ...refill, again: true, next: [all[index].next[0], index] };
    return all;
  }
  const copies = new Map<number, number>();
  for (const member of loop) copies.set(member, all.length + copies.size);
  for (const member of loop) {
    const node = all[member];
    const next = node.next.map((to) => copies.get(to) ?? to);
    all.push(node.kind === 'code' && run !== undefined ? { ...node, run, next } : { ...node, next });
  }
  all[0] = { ...refill, next: all[index].next.map((to) => copies.get(to) ?? to) };
  if (run !== undefined) settle(all, copies, frame, run);
  return all;
}

/** Puts nodes that settle where edges lead out of the copy of a loop. */
function settle(all: Node[], copies: ReadonlyMap<number, number>, frame: number, { counter }: PageRun): void {
  const inside = new Set(copies.values());
  const behind = new Map<string, number>();
  for (const [member, copy] of copies) {
    const { next } = all[copy];
    // All nodes have moved by one.
    const distance = counter?.at.get(member - 1);
    next.forEach((to, i) => {
      if (inside.has(to)) return;
      const key = `${to} ${distance}`;
      let node = behind.get(key);
      if (node === undefined) {
        const counted = counter && distance !== undefined ? { ...counter, distance } : undefined;
        node = all.push({ kind: 'settle', frame, counter: counted, next: [to] }) - 1;
        behind.set(key, node);
      }
      next[i] = node;
    });
  }
}

/** The node that ends in a may_goto, and the innermost loop that it is in. */
export function loopAround(nodes: Graph, point: Point): { node: number; loop: ReadonlySet<number> } {
  const node = nodeOf(nodes, point);
  return { node, loop: innermostLoop(nodes, node, 0) };
}

function nodeOf(nodes: Graph, { frame, at }: Point): number {
  return nodes.findIndex(
    (node) => node.kind === 'code' && node.frame === frame && node.start <= at && at < node.end,
  );
}

/** The graph up to the may_goto at `points`, each of which is left at: what stands behind them alone is not reached. */
export function leftAt(nodes: Graph, points: readonly Point[]): Graph {
  const all = [...nodes];
  for (const { frame, at } of points) {
    const index = nodes.findIndex(
      (node) => node.kind === 'code' && node.frame === frame && node.end - 1 === at,
    );
    const leave = all.push({ kind: 'leave', frame, at, next: [] }) - 1;
    all[index] = { ...nodes[index], next: [leave] };
  }
  return all;
}

function shifted(nodes: Graph, by: number): Node[] {
  return nodes.map((node) => ({ ...node, next: node.next.map((to) => to + by) }));
}

/** The nodes of the smallest natural loop that a node is in, its header first; none where it is in none. */
function innermostLoop(nodes: Graph, node: number, entry: number): Set<number> {
  const tree = dominators(nodes.length, entry, (from) => nodes[from].next);
  let best = new Set<number>();
  for (const header of tree.order) {
    if (!dominates(tree, header, node)) continue;
    const loop = new Set([header]);
    const work = [...previousOf(tree, header)].filter((from) => dominates(tree, header, from));
    const isLoop = work.length > 0;
    for (let member = work.pop(); member !== undefined; member = work.pop()) {
      if (loop.has(member)) continue;
      loop.add(member);
      work.push(...previousOf(tree, member));
    }
    if (isLoop && loop.has(node) && (best.size === 0 || loop.size < best.size)) best = loop;
  }
  return best;
}
