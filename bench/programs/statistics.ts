/** Medians and quartiles: what is left of a measurement when a busy machine has spoilt some of its rounds. */

export interface Summary {
  readonly median: number;
  /** Quartiles. */
  readonly low: number;
  readonly high: number;
}

export function summarize(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), low: quantile(sorted, 0.25), high: quantile(sorted, 0.75) };
}

/** Of the rounds' own ratios: what disturbs a whole round cancels out. */
export function ratio(of: readonly number[], to: readonly number[]): Summary {
  return summarize(of.map((value, round) => value / to[round]));
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Between the two values around it, in proportion. */
function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q;
  const below = Math.floor(at);
  const above = sorted[Math.min(below + 1, sorted.length - 1)];
  return sorted[below] + (above - sorted[below]) * (at - below);
}
