import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { IndexSet } from './index-set.ts';
import { RangeTree } from './range-tree.ts';

const SEED = 20261122;

/** The rule in its plainest form: a list of free ranges, the newest last. */
class Model {
  ranges: { start: number; count: number }[] = [];

  find(count: number): number {
    const fitting = this.ranges.filter((range) => range.count >= count);
    const smallest = Math.min(...fitting.map((range) => range.count));
    return fitting.findLast((range) => range.count === smallest)?.start ?? -1;
  }

  isFree(start: number, count: number): boolean {
    return this.ranges.some((range) => range.start <= start && range.start + range.count >= start + count);
  }

  clear(start: number, count: number): void {
    const end = start + count;
    for (const range of [...this.ranges].sort((a, b) => a.start - b.start)) {
      const rangeEnd = range.start + range.count;
      if (range.start >= end || rangeEnd <= start) continue;
      this.ranges.splice(this.ranges.indexOf(range), 1);
      if (range.start < start) this.ranges.push({ start: range.start, count: start - range.start });
      if (rangeEnd > end) this.ranges.push({ start: end, count: rangeEnd - end });
    }
  }

  set(start: number, count: number): void {
    if (this.isFree(start, count)) return;
    this.clear(start, count);
    const left = this.ranges.find((range) => range.start + range.count === start);
    const right = this.ranges.find((range) => range.start === start + count);
    this.ranges = this.ranges.filter((range) => range !== left && range !== right);
    const first = left?.start ?? start;
    this.ranges.push({ start: first, count: start + count + (right?.count ?? 0) - first });
  }
}

describe('IndexSet', () => {
  it('finds the nearest members at every size, also across word and level boundaries', () => {
    for (const size of [1, 31, 32, 33, 1024, 1025, 40_000, 2 ** 20]) {
      const set = new IndexSet(new Int32Array(IndexSet.words(size)), size);
      assert.equal(set.next(0), -1);
      assert.equal(set.previous(size - 1), -1);
      const members = [0, 5, 31, 32, 1023, 1024, 32_768, size - 1].filter((member) => member < size);
      for (const member of members) set.add(member);
      const sorted = [...new Set(members)].sort((a, b) => a - b);
      for (const probe of [...sorted, ...sorted.map((member) => member + 1)].filter((at) => at < size)) {
        assert.equal(
          set.next(probe),
          sorted.find((member) => member >= probe) ?? -1,
          `next(${probe}) of ${size}`,
        );
        assert.equal(set.previous(probe), sorted.findLast((member) => member <= probe) ?? -1);
      }
      for (const member of members) set.delete(member);
      assert.equal(set.next(0), -1);
    }
  });
});

describe('RangeTree', () => {
  const fresh = (pages: number) => {
    const tree = new RangeTree(new Int32Array(RangeTree.words(pages)), pages);
    tree.set(0, pages);
    return tree;
  };

  it('hands out a fresh arena from its start', () => {
    const tree = fresh(100);
    assert.equal(tree.find(3), 0);
    tree.clear(0, 3);
    assert.equal(tree.find(3), 3);
  });

  it('chooses the smallest range that is large enough, and of equals the one freed last', () => {
    const tree = fresh(100);
    tree.clear(0, 100);
    for (const start of [10, 30, 20]) tree.set(start, 2);
    tree.set(50, 5);
    assert.equal(tree.find(2), 20);
    assert.equal(tree.find(3), 50);
    assert.equal(tree.find(6), -1);
  });

  it('does what the plain model does, for any sequence of operations', () => {
    const pages = 200;
    const operation = fc.record({
      kind: fc.constantFrom('alloc', 'set', 'clear'),
      start: fc.nat(pages - 1),
      count: fc.integer({ min: 1, max: 20 }),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const tree = fresh(pages);
        const model = new Model();
        model.set(0, pages);
        for (const { kind, start, count } of operations) {
          const clipped = Math.min(count, pages - start);
          const at = kind === 'alloc' ? model.find(count) : start;
          if (kind === 'alloc') assert.equal(tree.find(count), at);
          if (at < 0) continue;
          const change = kind === 'set' ? 'set' : 'clear';
          const amount = kind === 'alloc' ? count : clipped;
          tree[change](at, amount);
          model[change](at, amount);
          assert.equal(tree.isFree(start, clipped), model.isFree(start, clipped));
        }
        const expected = model.ranges.sort((a, b) => a.start - b.start);
        assert.deepEqual([...tree.ranges()], expected);
        assert.equal(
          tree.free,
          expected.reduce((sum, range) => sum + range.count, 0),
        );
      }),
      { seed: SEED, numRuns: 2_000 },
    );
  });
});
