import type { Graph } from './cfg.ts';
import { type Dominators, dominators } from './dominators.ts';

/**
 * Second stage: a reducible graph as nested blocks and loops, which is all the control flow that WebAssembly has. After
 * Norman Ramsey's "Beyond Relooper" (ICFP 2022): a node stands inside its immediate dominator; one that several edges
 * reach stands behind a block which those edges leave, and a loop's header opens a loop.
 *
 * The tree is written down as a list of tokens, as it will be emitted, and neither making nor reading it recurses:
 * programs may nest as deep as they are long. Each part of it ends in a jump or a return, so nothing falls out of a block.
 */

export type Token =
  /** Opens a block, which `br` to the same node leaves. */
  | { readonly kind: 'block'; readonly node: number }
  /** Opens a loop, which `br` to the same node starts again. */
  | { readonly kind: 'loop'; readonly node: number }
  | { readonly kind: 'end' }
  /** The instructions of a node, without its last jump. */
  | { readonly kind: 'code'; readonly node: number }
  /** Where the jump at the end of `of` leads if its condition is `holds`. */
  | { readonly kind: 'br_if'; readonly of: number; readonly holds: boolean; readonly node: number }
  /** What follows up to `end` is for when the jump at the end of `of` has a condition that is `holds`. */
  | { readonly kind: 'if'; readonly of: number; readonly holds: boolean }
  | { readonly kind: 'br'; readonly node: number }
  /** Where a dispatch node leads, by choice. */
  | { readonly kind: 'br_table'; readonly nodes: readonly number[] };

/** @returns the tokens. Nodes that cannot be reached do not occur. */
export function structure(graph: Graph): readonly Token[] {
  return new Structure(graph).tokens();
}

class Structure {
  readonly #graph: Graph;
  readonly #tree: Dominators;
  readonly #children: readonly number[][];
  readonly #isLoop: Uint8Array;
  readonly #isMerge: Uint8Array;
  /** The innermost loop that a node is in, by its header; −1 none. A header's own is the one around. */
  readonly #loopOf: Int32Array;
  /** Nodes that a node dominates, itself included. */
  readonly #size: Int32Array;
  /** A token, or a node whose tree is still to be written; the last one comes next. */
  readonly #work: (Token | number)[] = [];

  constructor(graph: Graph) {
    this.#graph = graph;
    const tree = dominators(graph.length, 0, (node) => graph[node].next);
    this.#tree = tree;
    const { order, rank, idom, previous, firstPrevious } = tree;
    this.#children = graph.map(() => []);
    this.#isLoop = new Uint8Array(graph.length);
    this.#isMerge = new Uint8Array(graph.length);
    this.#size = new Int32Array(graph.length).fill(1);
    for (const node of order) {
      let forward = 0;
      for (let at = firstPrevious[node]; at < firstPrevious[node + 1]; at++) {
        const from = previous[at];
        if (rank[from] < rank[node]) forward++;
        else this.#isLoop[node] = 1;
        // What a dispatch leads to is reached by a br_table, which needs blocks to leave.
        if (graph[from].kind === 'dispatch') this.#isMerge[node] = 1;
      }
      if (forward > 1) this.#isMerge[node] = 1;
      if (idom[node] !== node) this.#children[idom[node]].push(node);
    }
    for (let i = order.length - 1; i > 0; i--) this.#size[idom[order[i]]] += this.#size[order[i]];
    this.#loopOf = this.#loops();
  }

  tokens(): readonly Token[] {
    const out: Token[] = [];
    const work = this.#work;
    work.push(0);
    for (let next = work.pop(); next !== undefined; next = work.pop())
      if (typeof next === 'number') this.#expand(next);
      else out.push(next);
    return out;
  }

  /** Puts a node's tree on the work list, last part first. */
  #expand(node: number): void {
    const work = this.#work;
    const { rank } = this.#tree;
    const isLoop = this.#isLoop[node] !== 0;
    if (!isLoop && !this.#children[node].some((child) => this.#isMerge[child] !== 0)) {
      this.#leave(node);
      work.push({ kind: 'code', node });
      return;
    }
    // The one that comes last in reverse postorder stands outermost, and behind all others.
    const merges = this.#children[node]
      .filter((child) => this.#isMerge[child] !== 0)
      .sort((a, b) => rank[b] - rank[a]);
    const inside = isLoop ? merges.filter((child) => this.#isIn(child, node)) : merges;
    // What the loop leads to but is not part of stands behind it, unless something of the loop has to stand behind that.
    const first = inside.length > 0 ? merges.indexOf(inside[0]) : merges.length;
    const outer = isLoop ? merges.slice(0, first) : [];
    const inner = isLoop ? merges.slice(first) : merges;
    const open: Token[] = [
      ...outer.map((child): Token => ({ kind: 'block', node: child })),
      ...(isLoop ? [{ kind: 'loop', node } as const] : []),
      ...inner.map((child): Token => ({ kind: 'block', node: child })),
      { kind: 'code', node },
    ];
    for (const child of outer) work.push(child, { kind: 'end' });
    if (isLoop) work.push({ kind: 'end' });
    for (const child of inner) work.push(child, { kind: 'end' });
    this.#leave(node);
    for (let i = open.length - 1; i >= 0; i--) work.push(open[i]);
  }

  /** Puts what comes after a node's code on the work list, last part first. */
  #leave(node: number): void {
    const work = this.#work;
    const { kind, next } = this.#graph[node];
    if (kind === 'dispatch') {
      work.push({ kind: 'br_table', nodes: next });
      return;
    }
    if (next.length === 0) return;
    if (next.length === 1) {
      work.push(this.#goTo(node, next[0]));
      return;
    }
    const [taken, fallen] = next.map((to) => this.#goTo(node, to));
    if (typeof taken !== 'number') work.push(fallen, { ...taken, kind: 'br_if', of: node, holds: true });
    else if (typeof fallen !== 'number')
      work.push(taken, { ...fallen, kind: 'br_if', of: node, holds: false });
    else {
      // The smaller side inside, the larger one behind: then nesting is at most logarithmic.
      const holds = this.#size[taken] <= this.#size[fallen];
      const [small, large] = holds ? [taken, fallen] : [fallen, taken];
      work.push(large, { kind: 'end' }, small, { kind: 'if', of: node, holds });
    }
  }

  /** A jump, or the node itself when it stands right here. */
  #goTo(from: number, to: number): { readonly kind: 'br'; readonly node: number } | number {
    const { rank } = this.#tree;
    const inline = rank[to] > rank[from] && this.#isMerge[to] === 0;
    return inline ? to : { kind: 'br', node: to };
  }

  #loops(): Int32Array {
    const { order, rank, previous, firstPrevious } = this.#tree;
    const loopOf = new Int32Array(this.#graph.length).fill(-1);
    // Inner loops come last: each takes what reaches its header from behind and is not taken yet.
    for (let i = order.length - 1; i >= 0; i--) {
      const header = order[i];
      if (this.#isLoop[header] === 0) continue;
      const work: number[] = [];
      for (let at = firstPrevious[header]; at < firstPrevious[header + 1]; at++)
        if (rank[previous[at]] >= rank[header]) work.push(previous[at]);
      for (let node = work.pop(); node !== undefined; node = work.pop()) {
        let outer = node;
        while (outer !== header && loopOf[outer] >= 0 && loopOf[outer] !== header) outer = loopOf[outer];
        if (outer === header || loopOf[outer] === header) continue;
        loopOf[outer] = header;
        for (let at = firstPrevious[outer]; at < firstPrevious[outer + 1]; at++) work.push(previous[at]);
      }
    }
    return loopOf;
  }

  #isIn(node: number, header: number): boolean {
    for (let loop = this.#loopOf[node]; loop >= 0; loop = this.#loopOf[loop])
      if (loop === header) return true;
    return false;
  }
}
