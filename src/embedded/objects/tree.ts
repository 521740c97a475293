import type { KernelMemory } from '../kernel-memory.ts';

/**
 * Trees of objects: struct bpf_rb_root and struct bpf_rb_node, both opaque to programs, which hold the lock that guards them. They
 * are red-black trees as the textbooks have them, so that a program that walks one finds the shape it has on Linux.
 *
 * Layout, words: a root has its node and the leftmost one, 0 for none; a node its parent, right and left child, its colour, and
 * the root that it is in.
 */

const NODE = 0;
const LEFTMOST = 1;
const PARENT = 0;
const RIGHT = 1;
const LEFT = 2;
const COLOUR = 3;
/** Of a node: bytes 24 to 27, as Linux's `owner`. */
const OWNER = 6;
const RED = 1;
const BLACK = 0;

type Side = typeof LEFT | typeof RIGHT;
const other = (side: Side): Side => (side === LEFT ? RIGHT : LEFT);

/** A tree that a root in kernel memory holds. Nodes are offsets; 0 is none. */
export class Tree {
  readonly #words: Int32Array;
  readonly #root: number;

  constructor({ int32 }: KernelMemory, root: number) {
    this.#words = int32;
    this.#root = root;
  }

  get root(): number {
    return this.#words[(this.#root >>> 2) + NODE] >>> 0;
  }

  get first(): number {
    return this.#words[(this.#root >>> 2) + LEFTMOST] >>> 0;
  }

  /** Whether a node is in this tree. */
  has(node: number): boolean {
    return node !== 0 && this.#words[(node >>> 2) + OWNER] === (this.#root | 0);
  }

  left(node: number): number {
    return this.#get(node, LEFT);
  }

  right(node: number): number {
    return this.#get(node, RIGHT);
  }

  /** Puts a node in. @param less whether the first comes before the second. @returns false when it is in a tree. */
  add(node: number, less: (a: number, b: number) => boolean): boolean {
    if (Atomics.compareExchange(this.#words, (node >>> 2) + OWNER, 0, this.#root) !== 0) return false;
    let parent = 0;
    let side: Side = LEFT;
    let leftmost = true;
    for (let at = this.root; at !== 0; at = this.#get(at, side)) {
      parent = at;
      side = less(node, at) ? LEFT : RIGHT;
      if (side === RIGHT) leftmost = false;
    }
    this.#set(node, PARENT, parent);
    this.#set(node, LEFT, 0);
    this.#set(node, RIGHT, 0);
    this.#set(node, COLOUR, RED);
    if (parent === 0) this.#setRoot(node);
    else this.#set(parent, side, node);
    if (leftmost) this.#words[(this.#root >>> 2) + LEFTMOST] = node;
    this.#balanceAdded(node);
    return true;
  }

  /** Takes a node out, which must be in this tree. */
  remove(node: number): void {
    if (this.first === node) this.#words[(this.#root >>> 2) + LEFTMOST] = this.#next(node);
    let colour = this.#get(node, COLOUR);
    let child: number;
    let parent = this.#get(node, PARENT);
    const [left, right] = [this.left(node), this.right(node)];
    if (left === 0 || right === 0) {
      child = left === 0 ? right : left;
      this.#replace(node, child);
    } else {
      let successor = right;
      while (this.left(successor) !== 0) successor = this.left(successor);
      colour = this.#get(successor, COLOUR);
      child = this.right(successor);
      parent = this.#get(successor, PARENT);
      if (parent === node) parent = successor;
      else {
        this.#replace(successor, child);
        this.#adopt(successor, RIGHT, right);
      }
      this.#replace(node, successor);
      this.#adopt(successor, LEFT, left);
      this.#set(successor, COLOUR, this.#get(node, COLOUR));
    }
    if (colour === BLACK) this.#balanceRemoved(child, parent);
    this.#words.fill(0, node >>> 2, (node >>> 2) + OWNER);
    Atomics.store(this.#words, (node >>> 2) + OWNER, 0);
  }

  #balanceAdded(node: number): void {
    for (;;) {
      const parent = this.#get(node, PARENT);
      if (parent === 0) {
        this.#set(node, COLOUR, BLACK);
        return;
      }
      if (this.#get(parent, COLOUR) === BLACK) return;
      const grandparent = this.#get(parent, PARENT);
      const side: Side = this.left(grandparent) === parent ? LEFT : RIGHT;
      const uncle = this.#get(grandparent, other(side));
      if (uncle !== 0 && this.#get(uncle, COLOUR) === RED) {
        this.#set(parent, COLOUR, BLACK);
        this.#set(uncle, COLOUR, BLACK);
        this.#set(grandparent, COLOUR, RED);
        node = grandparent;
        continue;
      }
      let top = parent;
      if (this.#get(parent, other(side)) === node) {
        this.#rotate(parent, side);
        top = node;
      }
      this.#set(top, COLOUR, BLACK);
      this.#set(grandparent, COLOUR, RED);
      this.#rotate(grandparent, other(side));
      return;
    }
  }

  /** A path through `node`, which may be none, has one black node less than the others. */
  #balanceRemoved(node: number, parent: number): void {
    while (parent !== 0 && (node === 0 || this.#get(node, COLOUR) === BLACK)) {
      const side: Side = this.left(parent) === node ? LEFT : RIGHT;
      let sibling = this.#get(parent, other(side));
      if (this.#get(sibling, COLOUR) === RED) {
        this.#set(sibling, COLOUR, BLACK);
        this.#set(parent, COLOUR, RED);
        this.#rotate(parent, side);
        sibling = this.#get(parent, other(side));
      }
      const near = this.#get(sibling, side);
      const far = this.#get(sibling, other(side));
      if (!this.#isRed(near) && !this.#isRed(far)) {
        this.#set(sibling, COLOUR, RED);
        node = parent;
        parent = this.#get(node, PARENT);
        continue;
      }
      if (!this.#isRed(far)) {
        this.#set(near, COLOUR, BLACK);
        this.#set(sibling, COLOUR, RED);
        this.#rotate(sibling, other(side));
        sibling = this.#get(parent, other(side));
      }
      this.#set(sibling, COLOUR, this.#get(parent, COLOUR));
      this.#set(parent, COLOUR, BLACK);
      this.#set(this.#get(sibling, other(side)), COLOUR, BLACK);
      this.#rotate(parent, side);
      node = this.root;
      break;
    }
    if (node !== 0) this.#set(node, COLOUR, BLACK);
  }

  /** The child on the other side comes up, and the node goes down to `side`. */
  #rotate(node: number, side: Side): void {
    const up = this.#get(node, other(side));
    this.#adopt(node, other(side), this.#get(up, side));
    this.#replace(node, up);
    this.#adopt(up, side, node);
  }

  /** Puts another node, or none, where one is. */
  #replace(node: number, by: number): void {
    const parent = this.#get(node, PARENT);
    if (parent === 0) this.#setRoot(by);
    else this.#set(parent, this.left(parent) === node ? LEFT : RIGHT, by);
    if (by !== 0) this.#set(by, PARENT, parent);
  }

  #adopt(parent: number, side: Side, child: number): void {
    this.#set(parent, side, child);
    if (child !== 0) this.#set(child, PARENT, parent);
  }

  #next(node: number): number {
    let at = this.right(node);
    if (at !== 0) {
      while (this.left(at) !== 0) at = this.left(at);
      return at;
    }
    at = node;
    let parent = this.#get(at, PARENT);
    while (parent !== 0 && this.right(parent) === at) {
      at = parent;
      parent = this.#get(at, PARENT);
    }
    return parent;
  }

  #isRed(node: number): boolean {
    return node !== 0 && this.#get(node, COLOUR) === RED;
  }

  #get(node: number, word: number): number {
    return this.#words[(node >>> 2) + word] >>> 0;
  }

  #set(node: number, word: number, value: number): void {
    this.#words[(node >>> 2) + word] = value;
  }

  #setRoot(node: number): void {
    this.#words[(this.#root >>> 2) + NODE] = node;
  }
}
