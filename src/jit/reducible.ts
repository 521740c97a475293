import type { CodeNode, DispatchNode, EnterNode, Graph, Node } from './cfg.ts';
import { dominates, dominators } from './dominators.ts';

/**
 * Makes a graph reducible: afterwards each loop is entered at one node only, so that WebAssembly's structured control
 * flow can say it. A loop with several entries gets a node in front of all of them that sends each comer to its entry.
 * (Copying nodes instead would keep it a little faster, and can grow code exponentially.) clang hardly makes such loops.
 */
export function reducible(graph: Graph): Graph {
  if (graph.length === 0 || isReducible(graph)) return graph;
  const nodes: Node[] = graph.map((node) => ({ ...node, next: [...node.next] }));
  // A region is a set of nodes, and the edges within it that are left.
  const regions: { members: number[]; header: number }[] = [{ members: nodes.map((_, i) => i), header: -1 }];
  for (let region = regions.pop(); region !== undefined; region = regions.pop()) {
    const { header } = region;
    for (const component of cycles(nodes, region.members, header)) {
      const inside = new Set(component);
      const entries = component.filter(
        (node) => node === 0 || nodes.some(({ next }, from) => !inside.has(from) && next.includes(node)),
      );
      if (entries.length <= 1) {
        regions.push({ members: component, header: entries[0] ?? component[0] });
        continue;
      }
      const dispatch = addDispatch(nodes, entries, inside);
      const fresh = Array.from({ length: 1 + entries.length }, (_, i) => dispatch + i);
      regions.push({ members: [...component, ...fresh], header: dispatch });
    }
  }
  return nodes;
}

/**
 * Puts a dispatch node in front of `entries`, and enter nodes in front of that: some for the edges from inside the loop,
 * which directly follow it, and others for those from outside, so that the dispatch node is the loop's one entry.
 * @returns its number.
 */
function addDispatch(nodes: Node[], entries: readonly number[], inside: ReadonlySet<number>): number {
  const count = nodes.length;
  const dispatch = nodes.push({ kind: 'dispatch', next: [...entries] } satisfies DispatchNode) - 1;
  const enters = () =>
    new Map(
      entries.map((node, choice) => {
        const enter = { kind: 'enter', choice, next: [dispatch] } satisfies EnterNode;
        return [node, nodes.push(enter) - 1];
      }),
    );
  const fromInside = enters();
  const fromOutside = enters();
  for (let from = 0; from < count; from++) {
    const enter = inside.has(from) ? fromInside : fromOutside;
    const { next } = nodes[from];
    next.forEach((to, i) => {
      next[i] = enter.get(to) ?? to;
    });
  }
  if (!entries.includes(0)) return dispatch;
  // The function is entered at node 0: that becomes an enter node, and what stood there moves.
  const moved = nodes.push(nodes[0] as CodeNode) - 1;
  nodes[0] = { kind: 'enter', choice: entries.indexOf(0), next: [dispatch] };
  (nodes[dispatch] as DispatchNode).next[entries.indexOf(0)] = moved;
  return dispatch;
}

function isReducible(graph: Graph): boolean {
  const tree = dominators(graph.length, 0, (node) => graph[node].next);
  return tree.order.every((node) =>
    graph[node].next.every((to) => tree.rank[to] > tree.rank[node] || dominates(tree, to, node)),
  );
}

/** Sets of nodes that lead to each other (Tarjan), without the edges back to the region's header. */
function cycles(nodes: readonly Node[], members: readonly number[], header: number): number[][] {
  const within = new Set(members);
  const edges = (node: number) => nodes[node].next.filter((to) => to !== header && within.has(to));
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const open = new Set<number>();
  const path: number[] = [];
  const found: number[][] = [];
  for (const root of members) {
    if (index.has(root)) continue;
    const work = [{ node: root, next: edges(root), at: 0 }];
    while (work.length > 0) {
      const frame = work[work.length - 1];
      const { node, next } = frame;
      if (!index.has(node)) {
        index.set(node, index.size);
        low.set(node, index.get(node) as number);
        path.push(node);
        open.add(node);
      }
      if (frame.at < next.length) {
        const to = next[frame.at++];
        if (!index.has(to)) work.push({ node: to, next: edges(to), at: 0 });
        else if (open.has(to)) low.set(node, Math.min(low.get(node) as number, index.get(to) as number));
        continue;
      }
      work.pop();
      const parent = work.at(-1)?.node;
      if (parent !== undefined) low.set(parent, Math.min(low.get(parent) as number, low.get(node) as number));
      if (low.get(node) !== index.get(node)) continue;
      const component: number[] = [];
      for (let member = -1; member !== node; ) {
        member = path.pop() as number;
        open.delete(member);
        component.push(member);
      }
      if (component.length > 1 || next.includes(node)) found.push(component);
    }
  }
  return found;
}
