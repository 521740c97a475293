import type { HelperArgument, HelperPrototype } from '../../verifier/helpers.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';

/**
 * How helpers are called: arguments arrive checked and in the form that the prototype's row implies. Only what may need
 * all 64 bits, `anything`, `scalar` and `unchecked` arguments, what callbacks get and `u64` results, is a BigInt.
 */

interface ArgumentForms {
  const_map_ptr: EmbeddedMap;
  /** Bytes. */
  size: number;
  size_or_zero: number;
  alloc_size: number;
  /** Unsigned; rounded above 2^53, where no flag is. */
  flags: number;
  anything: bigint;
  scalar: bigint;
  unchecked: bigint;
  /** The number of a function of the program. */
  func: bigint;
  stack_or_null: bigint;
}

/** Everything else is memory. */
type FormOf<Argument extends HelperArgument> = Argument extends keyof ArgumentForms
  ? ArgumentForms[Argument]
  : KernelOffset;

type Forms<Args extends readonly HelperArgument[]> = {
  [Index in keyof Args]: FormOf<Args[Index]>;
};

/** A helper's function. For `map_value_or_null` it returns the value's offset or 0. */
export type HelperFunction<Row extends HelperPrototype> = (
  cpu: Cpu,
  ...args: Forms<Row['args']>
) => Row['returns'] extends 'u64' ? bigint : number;
