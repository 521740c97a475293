import type { Features } from '../kernel.ts';
import { RUNNABLE_KFUNCS } from './helpers/kfunc-table.ts';
import { RUNNABLE_HELPERS } from './helpers/table.ts';
import { RUNNABLE_ITERATORS } from './iterators/walks.ts';
import { EmbeddedKernel } from './kernel.ts';
import { SUPPORTED_MAP_TYPES } from './maps/types.ts';
import type { EmbeddedOptions } from './options.ts';
import { runRaw } from './raw.ts';
import { RUNNABLE_PROGRAM_TYPES } from './runnable.ts';

/** The embedded kernel's room: make one with {@link embedded}. */

export type { EmbeddedKernel, EmbeddedOptions, Features };
export { runRaw };

/** A new embedded kernel. It needs no privileges; close it, or let `using` do it. */
export function embedded(options?: EmbeddedOptions): EmbeddedKernel {
  return new EmbeddedKernel(options);
}

/** What the embedded kernel has. */
export function embeddedFeatures(): Features {
  return {
    kernel: 'embedded',
    // Of tracing programs the iterators.
    programTypes: [...RUNNABLE_PROGRAM_TYPES, 'tracing'],
    iterators: [...RUNNABLE_ITERATORS],
    mapTypes: [...SUPPORTED_MAP_TYPES],
    helpers: RUNNABLE_HELPERS.map(({ id, name }) => ({ id, name: `bpf_${name}` })).sort(
      (a, b) => a.id - b.id,
    ),
    kfuncs: [...RUNNABLE_KFUNCS],
  };
}
