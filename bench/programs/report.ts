import type { Samples } from './measure.ts';
import { geometricMean, ratio, type Summary, summarize } from './statistics.ts';
import { table } from './table.ts';
import type { Workload } from './workloads.ts';

/** From samples to tables. Times are per operation, so that they say something by themselves; ratios are what counts. */

export interface Result {
  readonly workload: Workload;
  /** By engine, nanoseconds for one operation. */
  readonly times: Readonly<Record<string, Summary>>;
  /** By {@link Ratio}'s name, and `without …/jit`: what switching off costs. */
  readonly ratios: Readonly<Record<string, Summary>>;
}

const RATIOS = [
  ['jit', 'linux'],
  ['jit', 'novec'],
  ['jit', 'native'],
  ['report', 'jit'],
  ['interpreter', 'jit'],
  ['novec', 'linux'],
] as const;

/** An engine of `--without`. */
export const WITHOUT = 'without ';

export function resultOf(workload: Workload, samples: Samples): Result {
  const pairs = [
    ...RATIOS,
    ...[...samples.keys()]
      .filter((label) => label.startsWith(WITHOUT))
      .map((label) => [label, 'jit'] as const),
  ];
  const ratios = pairs.flatMap(([of, to]): [string, Summary][] => {
    const [a, b] = [samples.get(of), samples.get(to)];
    return a && b ? [[`${of}/${to}`, ratio(a, b)]] : [];
  });
  const times = [...samples].map(([label, values]): [string, Summary] => [
    label,
    summarize(values.map((each) => each / workload.operations)),
  ]);
  return { workload, times: Object.fromEntries(times), ratios: Object.fromEntries(ratios) };
}

/** Over all workloads but the informative ones, and over those without page allocation, which dwarfs what else a JIT does. */
export function means(results: readonly Result[]): Record<string, { all: number; withoutPages: number }> {
  const counted = results.filter(({ workload }) => !workload.informative);
  const names = [...new Set(counted.flatMap(({ ratios }) => Object.keys(ratios)))];
  const mean = (name: string, of: readonly Result[]) =>
    geometricMean(of.flatMap(({ ratios }) => (ratios[name] ? [ratios[name].median] : [])));
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        all: mean(name, counted),
        withoutPages: mean(
          name,
          counted.filter(({ workload }) => workload.name !== 'page_churn'),
        ),
      },
    ]),
  );
}

/** Times, then ratios with their quartiles, then what each option of `--without` is worth. */
export function tables(results: readonly Result[]): string {
  const labels = [...new Set(results.flatMap(({ times }) => Object.keys(times)))];
  const engines = labels.filter((label) => !label.startsWith(WITHOUT));
  const names = [...new Set(results.flatMap(({ ratios }) => Object.keys(ratios)))];
  const compared = names.filter((name) => !name.startsWith(WITHOUT));
  const switched = names.filter((name) => name.startsWith(WITHOUT));
  const parts = [
    table(
      ['ns', 'for one', ...engines],
      results.map(({ workload, times }) => [
        nameOf(workload),
        workload.operation,
        ...engines.map((label) => cell(times[label], time)),
      ]),
    ),
  ];
  if (compared.length > 0) parts.push(ratioTable('ratio', results, compared, (name) => name));
  if (switched.length > 0)
    parts.push(
      ratioTable('time without', results, switched, (name) => name.slice(WITHOUT.length, -'/jit'.length)),
    );
  if (results.some(({ workload }) => workload.informative))
    parts.push('(in brackets: not part of the means)');
  return parts.join('\n\n');
}

function ratioTable(
  title: string,
  results: readonly Result[],
  names: readonly string[],
  head: (name: string) => string,
): string {
  const rows = results.map(({ workload, ratios }) => [
    nameOf(workload),
    ...names.map((name) => cell(ratios[name], spread)),
  ]);
  const mean = means(results);
  const meanRow = (words: string, of: 'all' | 'withoutPages') => [
    words,
    ...names.map((name) => (mean[name] ? mean[name][of].toFixed(2) : '')),
  ];
  if (results.length > 1) rows.push(meanRow('geometric mean', 'all'));
  if (results.length > 1 && results.some(({ workload }) => workload.name === 'page_churn'))
    rows.push(meanRow('the same without page_churn', 'withoutPages'));
  return table([title, ...names.map(head)], rows);
}

function nameOf({ name, informative }: Workload): string {
  return informative ? `(${name})` : name;
}

function cell(summary: Summary | undefined, print: (summary: Summary) => string): string {
  return summary === undefined ? '' : print(summary);
}

function time({ median }: Summary): string {
  return median >= 100 ? median.toFixed(0) : median.toPrecision(3);
}

function spread({ median, low, high }: Summary): string {
  const digits = median >= 10 ? 0 : 2;
  return `${median.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`;
}
