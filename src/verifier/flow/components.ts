import type { Instruction } from '../../isa/instruction.ts';
import { slots } from '../../isa/instruction.ts';
import type { CallKindOf } from '../calls/call-kinds.ts';
import { successors } from './successors.ts';

/**
 * Loops: the strongly connected components of a program's control flow (Linux: compute_scc), by Tarjan's algorithm with
 * a stack of its own.
 *
 * @returns for each slot the number of its component, from 1 on; 0 where nothing repeats.
 */
export function findComponents(insns: readonly Instruction[]): Int32Array {
  const size = insns.length;
  const component = new Int32Array(size);
  const order = new Int32Array(size);
  const low = new Int32Array(size);
  const onStack = new Uint8Array(size);
  const members: number[] = [];
  let count = 0;
  let components = 0;
  for (let root = 0; root < size; root += slots(insns[root])) {
    if (order[root] !== 0) continue;
    const path: { at: number; next: number }[] = [{ at: root, next: 0 }];
    while (path.length > 0) {
      const top = path[path.length - 1];
      const { at } = top;
      if (top.next === 0) {
        order[at] = low[at] = ++count;
        members.push(at);
        onStack[at] = 1;
      }
      const to = successors(insns, at);
      let deeper = false;
      while (top.next < to.length) {
        const next = to[top.next];
        if (next >= size) {
          top.next++;
        } else if (order[next] === 0) {
          path.push({ at: next, next: 0 });
          deeper = true;
          top.next++;
          break;
        } else {
          if (onStack[next] !== 0) low[at] = Math.min(low[at], order[next]);
          top.next++;
        }
      }
      if (deeper) continue;
      if (to.length === 0) top.next = 1;
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) low[parent.at] = Math.min(low[parent.at], low[at]);
      if (low[at] !== order[at]) continue;
      const several = members[members.length - 1] !== at || to.includes(at);
      if (several) components++;
      for (let member = -1; member !== at; ) {
        member = members.pop() as number;
        onStack[member] = 0;
        if (several) component[member] = components;
      }
    }
  }
  return component;
}

/**
 * The same with a component for each call that calls back and is in no other: it is a loop by itself, which Linux numbers
 * since 6.19 only.
 */
export function findLoops(
  insns: readonly Instruction[],
  components: Int32Array,
  callKind: CallKindOf,
): Int32Array {
  const loops = components.slice();
  let count = components.reduce((most, each) => Math.max(most, each), 0);
  for (let at = 0; at < insns.length; at += slots(insns[at]))
    if (loops[at] === 0 && callKind(insns[at]) === 'callback') loops[at] = ++count;
  return loops;
}
