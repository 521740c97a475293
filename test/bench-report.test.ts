import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chart } from '../bench/programs/chart.ts';
import { means, resultOf, tables } from '../bench/programs/report.ts';
import { ratio, summarize } from '../bench/programs/statistics.ts';
import type { Workload } from '../bench/programs/workloads.ts';

/** What the benchmark makes of its samples. */

const workload = (name: string, rest: Partial<Workload> = {}): Workload => ({
  name,
  object: 'none',
  checksum: '0',
  setup: [],
  operation: 'step',
  operations: 10,
  native: true,
  ...rest,
});

const samples = (jit: number[], linux: number[]) =>
  new Map([
    ['jit', jit],
    ['linux', linux],
  ]);

const results = [
  resultOf(workload('a'), samples([100, 200, 300], [200, 400, 600])),
  resultOf(workload('b'), samples([800, 800, 800], [400, 400, 400])),
  resultOf(workload('page_churn'), samples([1, 1, 1], [1000, 1000, 1000])),
  resultOf(workload('c', { informative: true }), samples([9, 9, 9], [1, 1, 1])),
];

describe('the benchmark', () => {
  it('takes median and quartiles, between values where none is at the place', () => {
    assert.deepEqual(summarize([4, 1, 3, 2]), { median: 2.5, low: 1.75, high: 3.25 });
  });

  it('takes ratios round by round, so that a slow round counts as any other', () => {
    assert.deepEqual(ratio([1, 100, 2], [2, 200, 4]), { median: 0.5, low: 0.5, high: 0.5 });
  });

  it('gives times for one operation', () => {
    assert.equal(results[0].times.jit.median, 20);
  });

  it('leaves informative workloads out of the means, and says what they are without page allocation', () => {
    const { all, withoutPages } = means(results)['jit/linux'];
    assert.equal(withoutPages.toFixed(6), '1.000000');
    assert.equal(all.toFixed(6), '0.100000');
  });

  it('prints tables that are Markdown, with a column for each option that was switched off', () => {
    const without = resultOf(workload('a'), samples([100], [100]).set('without promotion', [150]));
    assert.match(
      tables([without]),
      /^\| time without +\| +promotion \|\n\| -+ \| -+: \|\n\| a +\| 1\.50 \(1\.50–1\.50\) \|$/m,
    );
  });

  it('draws a bar for each engine that was measured', () => {
    const bars = chart(results, 'title').match(/<rect x="150" y="(5[6-9]|[6-9]\d|\d{3})"/g);
    assert.equal(bars?.length, results.length);
  });
});
