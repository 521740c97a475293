import type { Code } from '../../jit/encode/code.ts';
import type { Expression } from '../../jit/encode/expressions.ts';
import type { RoutineCall } from '../../jit/index.ts';

/**
 * What helpers do in WebAssembly, where programs call them often: the same steps on the same bytes as the JavaScript of the
 * map, so that programs, user space and other CPUs cannot tell which of them was there. A routine does the common case; where it
 * meets another (a lock that is held, flags that are seldom, a full map) it has changed nothing yet and calls the JavaScript.
 */

/** A routine before it is known what it falls back on. */
export interface Routine extends Pick<RoutineCall, 'args' | 'result'> {
  /** Of the routine among those of its helper: which map it is for. */
  readonly variant: string;
  /** Whether it ever has to call the helper's function. */
  readonly complete?: true;
  /** As {@link RoutineCall.write}. */
  write(code: Code, otherwise: Expression): void;
}

/** The registers of a helper on a map: the map, and what else it takes. */
export const MAP_ARGS = {
  key: [
    { register: 1, form: 'low' },
    { register: 2, form: 'low' },
  ],
  update: [
    { register: 1, form: 'low' },
    { register: 2, form: 'low' },
    { register: 3, form: 'low' },
    { register: 4, form: 'wide' },
  ],
} as const satisfies Readonly<Record<string, RoutineCall['args']>>;

/** Parameters of these, by what they are. */
export const [, KEY, VALUE, FLAGS] = MAP_ARGS.update.keys();
