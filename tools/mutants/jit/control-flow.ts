import { type Mutant, mutantsOf } from '../table.ts';

/** Deliberate bugs in how src/jit finds graphs, and makes structures of them. */
export const CONTROL_FLOW: readonly Mutant[] = [
  ...mutantsOf(
    'cfg.ts',
    ['dead code is code', 'if (seen[at] === 0) {\n      at += slots(insns[at]);\n      continue;\n    }', ''],
    [
      'a jump falls through before it leads away',
      'fallen !== next[0]) next.push(fallen);',
      'fallen !== next[0]) next.unshift(fallen);',
    ],
    ['a goto may go on', "kind !== 'exit' && kind !== 'goto' && after", "kind !== 'exit' && after"],
    ['a jump to what follows has two ways', 'fallen >= 0 && fallen !== next[0]', 'fallen >= 0'],
  ),
  ...mutantsOf(
    'dominators.ts',
    ['what meets has the first way as dominator', 'common(idom, rank, found, from)', 'found'],
    ['one round is enough', 'idom[node] = found;\n      changed = true;', 'idom[node] = found;'],
  ),
  ...mutantsOf(
    'reducible.ts',
    [
      'entries of a loop are those from inside',
      'if (inside[from] === 0) for (',
      'if (inside[from] !== 0) for (',
    ],
    [
      'inner loops keep their entries',
      'const members = [...loop, dispatch, ...enters.values()];',
      'const members: number[] = [];',
    ],
    [
      'all comers enter at one node',
      'choice, next: [dispatch] } satisfies EnterNode',
      'choice: 0, next: [dispatch] } satisfies EnterNode',
    ],
    [
      'a function that begins in a loop begins where its first comer enters',
      'choice: targets.indexOf(moved)',
      'choice: 0',
    ],
  ),
  ...mutantsOf(
    'structure.ts',
    ['merges stand in the wrong order', 'rank[b] - rank[a]', 'rank[a] - rank[b]'],
    [
      'the wrong side is the smaller one',
      '#size[taken] <= this.#size[fallen]',
      '#size[taken] >= this.#size[fallen]',
    ],
    ['what is reached twice is written where it is first', 'if (forward > 1)', 'if (forward > 2)'],
    ['what a dispatch node leads to needs no block', "if (graph[from].kind === 'dispatch')", 'if (false)'],
  ),
  ...mutantsOf(
    'versions.ts',
    ['a version is entered a slot late', '{ ...node, start: point.at }', '{ ...node, start: point.at + 1 }'],
    ['a point of any frame will do', '=> a.frame - b.frame || a.at - b.at;', '=> a.at - b.at;'],
    ['a node that was divided is looked for in its first part', 'starts[place] = { ...point, index };', ''],
    ['behind a may_goto goes on at its start', 'next: all[index].next.map(', 'next: [index].map('],
    [
      'a may_goto that is gone through again is not where the loop begins',
      'restarts && header === index && run',
      'restarts && run',
    ],
    ['what may not be done twice is', 'if (restarts && header', 'if (header'],
    ['rounds that were counted are settled as of the next node', '.get(member - 1)', '.get(member)'],
    [
      'all ways out of a loop settle alike',
      'let node = behind.get(key);',
      'let node = [...behind.values()].find((each) => all[each].next[0] === to);',
    ],
    [
      'a version is left at the may_goto of any frame',
      'node.frame === frame && node.end - 1',
      'node.end - 1',
    ],
    ['the largest loop around is the innermost', 'loop.size < best.size', 'loop.size > best.size'],
  ),
  ...mutantsOf(
    'loops.ts',
    ['inlined functions share their points', 'return frame * this.#program.insns.length + at;', 'return at;'],
    ['what stands before a may_goto may always be done again', "row?.kind !== 'ld_imm64' && (", 'false && ('],
  ),
];
