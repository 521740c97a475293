import type { DispatchNode, EnterNode, Graph, Node } from './cfg.ts';
import { dominates, dominators, reversePostorder } from './dominators.ts';

/**
 * Makes a graph reducible: afterwards each loop is entered at one node only, so that WebAssembly's structured control
 * flow can say it. A loop with several entries gets a dispatch node in front of all of them that sends each comer to its entry.
 * Of the edges inside only those go there that begin another round, so within a round nothing costs more than it did. (Copying
 * nodes instead would keep it a little faster still, and can grow code exponentially.) clang hardly makes such loops, but all
 * versions of a function do that are entered in its middle (versions.ts).
 */
export function reducible(graph: Graph): Graph {
  if (graph.length === 0 || isReducible(graph)) return graph;
  const nodes: Node[] = graph.map((node) => ({ ...node, next: [...node.next] }));
  // A region is a set of nodes, and the edges within it that are left.
  const regions: Region[] = [{ members: nodes.map((_, i) => i), header: -1 }];
  for (let region = regions.pop(); region !== undefined; region = regions.pop()) {
    for (const component of cycles(nodes, region.members, region.header)) {
      const inside = new Uint8Array(nodes.length);
      for (const node of component) inside[node] = 1;
      const isEntry = entriesOf(nodes, inside);
      const entries = component.filter((node) => isEntry[node] !== 0);
      if (entries.length > 1) regions.push(withDispatch(nodes, component, inside, isEntry));
      else regions.push({ members: component, header: entries[0] ?? component[0] });
    }
  }
  return nodes;
}

interface Region {
  readonly members: readonly number[];
  /** Edges to it are no longer counted; −1 where all are. */
  readonly header: number;
}

/** Marks those of a set of nodes that edges from outside lead to. */
function entriesOf(nodes: readonly Node[], inside: Uint8Array): Uint8Array {
  const isEntry = new Uint8Array(inside.length);
  isEntry[0] = inside[0];
  for (let from = 0; from < inside.length; from++)
    if (inside[from] === 0) for (const to of nodes[from].next) isEntry[to] |= inside[to];
  return isEntry;
}

/**
 * Puts a dispatch node in front of a loop. Its rounds begin at the node that comes first in the program: what leads there from
 * inside goes through the dispatch node, as all does that comes from outside. Each comer sets its choice in an enter node, but
 * for those that another dispatch node sends: where most of its choices mean this loop, they keep their numbers.
 */
function withDispatch(
  nodes: Node[],
  loop: readonly number[],
  inside: Uint8Array,
  isEntry: Uint8Array,
): Region {
  const count = inside.length;
  const first = loop.reduce((least, node) => Math.min(least, node));
  const sender = nodes.findIndex(
    (node, from) => from < count && inside[from] === 0 && isMostly(node, inside),
  );
  const targets = sender < 0 ? [] : nodes[sender].next.map((to) => (inside[to] === 0 ? first : to));
  const choices = new Map(targets.map((to, choice) => [to, choice]));
  const dispatch = nodes.push({ kind: 'dispatch', next: targets } satisfies DispatchNode) - 1;
  const enters = new Map<number, number>();
  const enterFor = (to: number): number => {
    let enter = enters.get(to);
    if (enter === undefined) {
      const choice = choices.get(to) ?? targets.push(to) - 1;
      choices.set(to, choice);
      enter = nodes.push({ kind: 'enter', choice, next: [dispatch] } satisfies EnterNode) - 1;
      enters.set(to, enter);
    }
    return enter;
  };
  for (let from = 0; from < count; from++) {
    if (inside[from] !== 0) continue;
    const { next } = nodes[from];
    next.forEach((to, i) => {
      if (isEntry[to] !== 0) next[i] = from === sender ? dispatch : enterFor(to);
    });
  }
  // Another one, so that it belongs to the loop.
  enters.clear();
  for (const from of loop) {
    const { next } = nodes[from];
    next.forEach((to, i) => {
      if (to === first) next[i] = enterFor(to);
    });
  }
  const members = [...loop, dispatch, ...enters.values()];
  if (first !== 0) return { members, header: dispatch };
  // The function is entered at node 0: that becomes an enter node, and what stood there moves.
  const moved = nodes.push(nodes[0]) - 1;
  targets.forEach((to, choice) => {
    if (to === 0) targets[choice] = moved;
  });
  nodes[0] = { kind: 'enter', choice: targets.indexOf(moved), next: [dispatch] };
  return { members: [...members, moved], header: dispatch };
}

/** Whether a node is a dispatch node most of whose ways lead into a set of nodes. */
function isMostly({ kind, next }: Node, inside: Uint8Array): boolean {
  if (kind !== 'dispatch') return false;
  let count = 0;
  for (const to of next) count += inside[to];
  return 2 * count > next.length;
}

function isReducible(graph: Graph): boolean {
  if (!hasLoops(graph)) return true;
  const tree = dominators(graph.length, 0, (node) => graph[node].next);
  return tree.order.every((node) =>
    graph[node].next.every((to) => tree.rank[to] > tree.rank[node] || dominates(tree, to, node)),
  );
}

function hasLoops(graph: Graph): boolean {
  const order = reversePostorder(graph.length, 0, (node) => graph[node].next);
  const isPassed = new Uint8Array(graph.length);
  for (const node of order) {
    isPassed[node] = 1;
    for (const to of graph[node].next) if (isPassed[to] !== 0) return true;
  }
  return false;
}

/** Sets of nodes that lead to each other (Tarjan), without the edges back to the region's header. */
function cycles(nodes: readonly Node[], members: readonly number[], header: number): number[][] {
  const within = new Uint8Array(nodes.length);
  for (const member of members) within[member] = 1;
  /** In the order of the search, from 1 on. */
  const index = new Int32Array(nodes.length);
  const low = new Int32Array(nodes.length);
  const open = new Uint8Array(nodes.length);
  const path: number[] = [];
  const found: number[][] = [];
  /** The way down to where the search is, and which edge comes next at each node on it. */
  const way: number[] = [];
  const edge: number[] = [];
  let count = 0;
  const enter = (node: number) => {
    index[node] = low[node] = ++count;
    open[node] = 1;
    path.push(node);
    way.push(node);
    edge.push(0);
  };
  for (const root of members) {
    if (index[root] !== 0) continue;
    enter(root);
    while (way.length > 0) {
      const node = way[way.length - 1];
      const { next } = nodes[node];
      const at = edge[edge.length - 1]++;
      if (at < next.length) {
        const to = next[at];
        if (to === header || within[to] === 0) continue;
        if (index[to] === 0) enter(to);
        else if (open[to] !== 0) low[node] = Math.min(low[node], index[to]);
        continue;
      }
      way.pop();
      edge.pop();
      if (way.length > 0) {
        const parent = way[way.length - 1];
        low[parent] = Math.min(low[parent], low[node]);
      }
      if (low[node] !== index[node]) continue;
      const component = path.splice(path.lastIndexOf(node));
      for (const member of component) open[member] = 0;
      if (component.length > 1 || (node !== header && next.includes(node))) found.push(component);
    }
  }
  return found;
}
