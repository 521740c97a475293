/**
 * Orders and dominators of a directed graph, as a compiler wants them: reverse postorder by an iterative depth-first
 * search, immediate dominators after Cooper, Harvey and Kennedy ("A Simple, Fast Dominance Algorithm", 2001).
 */

/** What leads on from each node. */
export type Edges = (node: number) => readonly number[];

/** Nodes that can be reached from `entry`, each before what only it leads to. */
export function reversePostorder(count: number, entry: number, edges: Edges): number[] {
  const isSeen = new Uint8Array(count);
  /** Of each node on the way down, how many of its edges were followed. */
  const followed = new Int32Array(count);
  const order: number[] = [];
  const stack = [entry];
  isSeen[entry] = 1;
  while (stack.length > 0) {
    const node = stack[stack.length - 1];
    const next = edges(node);
    const at = followed[node]++;
    if (at < next.length) {
      // The last edge first: reversed, the first one comes right behind its node.
      const to = next[next.length - 1 - at];
      if (isSeen[to] !== 0) continue;
      isSeen[to] = 1;
      stack.push(to);
    } else {
      order.push(node);
      stack.pop();
    }
  }
  return order.reverse();
}

export interface Dominators {
  /** Nodes in reverse postorder. */
  readonly order: readonly number[];
  /** Place in {@link order}, by node; −1 where it is not reached. */
  readonly rank: Int32Array;
  /** Immediate dominator, by node; the entry's is itself. */
  readonly idom: Int32Array;
  /** What leads to the nodes, one after the other: see {@link previousOf}. */
  readonly previous: Int32Array;
  readonly firstPrevious: Int32Array;
}

export function dominators(count: number, entry: number, edges: Edges): Dominators {
  const order = reversePostorder(count, entry, edges);
  const rank = new Int32Array(count).fill(-1);
  order.forEach((node, place) => {
    rank[node] = place;
  });
  const firstPrevious = new Int32Array(count + 1);
  for (const node of order) for (const to of edges(node)) firstPrevious[to + 1]++;
  for (let node = 0; node < count; node++) firstPrevious[node + 1] += firstPrevious[node];
  const previous = new Int32Array(firstPrevious[count]);
  const filled = firstPrevious.slice();
  for (const node of order) for (const to of edges(node)) previous[filled[to]++] = node;
  const idom = new Int32Array(count).fill(-1);
  idom[entry] = entry;
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 1; i < order.length; i++) {
      const node = order[i];
      let found = -1;
      for (let at = firstPrevious[node]; at < firstPrevious[node + 1]; at++) {
        const from = previous[at];
        if (idom[from] >= 0) found = found < 0 ? from : common(idom, rank, found, from);
      }
      if (idom[node] === found) continue;
      idom[node] = found;
      changed = true;
    }
  }
  return { order, rank, idom, previous, firstPrevious };
}

function common(idom: Int32Array, rank: Int32Array, a: number, b: number): number {
  let left = a;
  let right = b;
  while (left !== right) {
    while (rank[left] > rank[right]) left = idom[left];
    while (rank[right] > rank[left]) right = idom[right];
  }
  return left;
}

/** What leads to a node. */
export function previousOf({ previous, firstPrevious }: Dominators, node: number): Int32Array {
  return previous.subarray(firstPrevious[node], firstPrevious[node + 1]);
}

/** Whether every way to `node` leads through `by`. */
export function dominates({ idom, rank }: Dominators, by: number, node: number): boolean {
  let at = node;
  while (rank[at] > rank[by]) at = idom[at];
  return at === by;
}
