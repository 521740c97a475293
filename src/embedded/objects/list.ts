import type { KernelMemory } from '../kernel-memory.ts';

/**
 * Lists of objects: struct bpf_list_head and struct bpf_list_node, both opaque to programs, which hold the lock that guards them.
 *
 * Layout, words: a head has its first and last node, 0 for none; a node the next and the previous one, and the head that it is in.
 */

const FIRST = 0;
const LAST = 1;
const NEXT = 0;
const PREVIOUS = 1;
/** Of a node: bytes 16 to 19, as Linux's `owner`. */
const OWNER = 4;

/** Puts a node in, at the front or the back. Offsets in kernel memory. @returns false when it is in a list. */
export function push({ int32 }: KernelMemory, head: number, node: number, front: boolean): boolean {
  const [list, entry] = [head >>> 2, node >>> 2];
  if (Atomics.compareExchange(int32, entry + OWNER, 0, head) !== 0) return false;
  const [near, far] = front ? [FIRST, LAST] : [LAST, FIRST];
  const [after, before] = front ? [NEXT, PREVIOUS] : [PREVIOUS, NEXT];
  const old = int32[list + near];
  int32[entry + after] = old;
  int32[entry + before] = 0;
  if (old === 0) int32[list + far] = node;
  else int32[(old >>> 2) + before] = node;
  int32[list + near] = node;
  return true;
}

/** Takes a node out. @returns 0 when there is none. */
export function pop({ int32 }: KernelMemory, head: number, front: boolean): number {
  const list = head >>> 2;
  const [near, far] = front ? [FIRST, LAST] : [LAST, FIRST];
  const [after, before] = front ? [NEXT, PREVIOUS] : [PREVIOUS, NEXT];
  const node = int32[list + near] >>> 0;
  if (node === 0) return 0;
  const entry = node >>> 2;
  const rest = int32[entry + after];
  int32[list + near] = rest;
  if (rest === 0) int32[list + far] = 0;
  else int32[(rest >>> 2) + before] = 0;
  int32[entry + after] = 0;
  Atomics.store(int32, entry + OWNER, 0);
  return node;
}

/** The first or last node, which stays; 0 when there is none. */
export function peek({ int32 }: KernelMemory, head: number, front: boolean): number {
  return int32[(head >>> 2) + (front ? FIRST : LAST)] >>> 0;
}
