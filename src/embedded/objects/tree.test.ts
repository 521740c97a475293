import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { KernelMemory } from '../kernel-memory.ts';
import { Tree } from './tree.ts';

/** Red-black trees in kernel memory: order, and the rules that keep them shallow. */

const NODE_BYTES = 32;
const RED = 1;

class TestTree implements Disposable {
  readonly memory = KernelMemory.open();
  readonly #start = this.memory.allocate(1 << 16);
  readonly tree = new Tree(this.memory, this.#start);

  /** The node of a key. */
  node(key: number): number {
    return this.#start + NODE_BYTES * (key + 1);
  }

  key(node: number): number {
    return (node - this.#start) / NODE_BYTES - 1;
  }

  add(key: number): boolean {
    return this.tree.add(this.node(key), (a, b) => a < b);
  }

  /** Keys in order, and that no red node has a red child and all paths have as many black ones. */
  check(): number[] {
    const keys: number[] = [];
    const walk = (node: number, parentIsRed: boolean): number => {
      if (node === 0) return 0;
      const isRed = this.memory.int32[(node >>> 2) + 3] === RED;
      assert.ok(!(isRed && parentIsRed), 'a red node has a red child');
      const left = walk(this.tree.left(node), isRed);
      keys.push(this.key(node));
      const right = walk(this.tree.right(node), isRed);
      assert.equal(left, right, 'paths differ in black nodes');
      return left + (isRed ? 0 : 1);
    };
    walk(this.tree.root, true);
    assert.equal(this.tree.first, keys.length === 0 ? 0 : this.node(keys[0]));
    return keys;
  }

  [Symbol.dispose](): void {
    this.memory.close();
  }
}

describe('a tree of objects', () => {
  it('is in order and balanced after any additions and removals', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 150 }), (steps) => {
        using test = new TestTree();
        const model = new Set<number>();
        for (const key of steps) {
          if (model.delete(key)) test.tree.remove(test.node(key));
          else {
            model.add(key);
            assert.equal(test.add(key), true);
          }
          assert.deepEqual(
            test.check(),
            [...model].sort((a, b) => a - b),
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it('takes a node once, and knows its own', () => {
    using test = new TestTree();
    assert.deepEqual([test.add(1), test.add(1)], [true, false]);
    assert.deepEqual(
      [test.tree.has(test.node(1)), test.tree.has(test.node(2)), test.tree.has(0)],
      [true, false, false],
    );
    test.tree.remove(test.node(1));
    assert.deepEqual([test.tree.has(test.node(1)), test.tree.root, test.tree.first], [false, 0, 0]);
  });
});
