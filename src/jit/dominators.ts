/**
 * Orders and dominators of a directed graph, as a compiler wants them: reverse postorder by an iterative depth-first
 * search, immediate dominators after Cooper, Harvey and Kennedy ("A Simple, Fast Dominance Algorithm", 2001).
 */

/** What leads on from each node. */
export type Edges = (node: number) => readonly number[];

/** Nodes that can be reached from `entry`, each before what only it leads to. */
export function reversePostorder(count: number, entry: number, edges: Edges): number[] {
  const state = new Uint8Array(count);
  const order: number[] = [];
  const stack = [entry];
  const position = [0];
  state[entry] = 1;
  while (stack.length > 0) {
    const node = stack[stack.length - 1];
    const next = edges(node);
    const at = position[position.length - 1]++;
    if (at < next.length) {
      // The last edge first: reversed, the first one comes right behind its node.
      const to = next[next.length - 1 - at];
      if (state[to] !== 0) continue;
      state[to] = 1;
      stack.push(to);
      position.push(0);
    } else {
      order.push(node);
      stack.pop();
      position.pop();
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
  /** What leads to each node. */
  readonly previous: readonly (readonly number[])[];
}

export function dominators(count: number, entry: number, edges: Edges): Dominators {
  const order = reversePostorder(count, entry, edges);
  const rank = new Int32Array(count).fill(-1);
  order.forEach((node, place) => {
    rank[node] = place;
  });
  const previous: number[][] = Array.from({ length: count }, () => []);
  for (const node of order) for (const to of edges(node)) previous[to].push(node);
  const idom = new Int32Array(count).fill(-1);
  idom[entry] = entry;
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 1; i < order.length; i++) {
      const node = order[i];
      let found = -1;
      for (const from of previous[node])
        if (idom[from] >= 0) found = found < 0 ? from : common(idom, rank, found, from);
      if (idom[node] === found) continue;
      idom[node] = found;
      changed = true;
    }
  }
  return { order, rank, idom, previous };
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

/** Whether every way to `node` leads through `by`. */
export function dominates({ idom, rank }: Dominators, by: number, node: number): boolean {
  let at = node;
  while (rank[at] > rank[by]) at = idom[at];
  return at === by;
}
