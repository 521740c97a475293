import type { LoopBudget } from '../interpreter/environment.ts';

/** How long the loops of a frame may go on that end by `may_goto`. */
export type LoopSettings = { readonly milliseconds: number } | { readonly iterations: number };

/** Linux: BPF_MAX_TIMED_LOOPS. */
const TIMED_LOOPS = 0xffff;

/** What engines ask. Deadlines are of the calling thread's clock. */
export function loopBudget(settings: LoopSettings): LoopBudget {
  if ('iterations' in settings) return { iterations: settings.iterations, refill: () => -1 };
  return {
    iterations: TIMED_LOOPS,
    refill(deadline) {
      const now = performance.now();
      if (deadline === 0) return now + settings.milliseconds;
      return now < deadline ? deadline : -1;
    },
  };
}
