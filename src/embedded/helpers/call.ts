import { ARGUMENTS, type ArgumentBase, type HelperArgument } from '../../verifier/helpers/arguments.ts';
import type { HelperPrototype, HelperResult } from '../../verifier/helpers.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';

/**
 * How helpers are called: arguments arrive checked and in the form that the prototype's row implies, in both engines. Only what
 * may need all 64 bits is a BigInt, which costs more than a call; a row that says `u32`, `int` or `flags` spares it.
 */

/** What a function in this folder gets for an argument. */
interface Values {
  map: EmbeddedMap;
  /** Where in kernel memory a pointer leads; 0 for NULL. */
  offset: KernelOffset;
  /** The low half, unsigned. */
  u32: number;
  /** The low half, signed. */
  int: number;
  /** Unsigned; rounded above 2^53, where no flag is. */
  number: number;
  bigint: bigint;
}

export type Form = keyof Values;

/** By the row's word. */
const BY_WORD = { flags: 'number', u32: 'u32', int: 'int' } as const satisfies Partial<
  Record<HelperArgument, Form>
>;

/** By what the argument is to the verifier; everything else is memory. */
const BY_BASE = {
  const_map_ptr: 'map',
  size: 'u32',
  alloc_size: 'number',
  // The number of a function of the program.
  func: 'u32',
  anything: 'bigint',
  scalar: 'bigint',
  unchecked: 'bigint',
  // What a callback gets.
  stack: 'bigint',
} as const satisfies Partial<Record<ArgumentBase, Form>>;

type BaseForm<Base extends ArgumentBase> = Base extends keyof typeof BY_BASE
  ? (typeof BY_BASE)[Base]
  : 'offset';
type FormOf<Argument extends HelperArgument> = Argument extends keyof typeof BY_WORD
  ? (typeof BY_WORD)[Argument]
  : BaseForm<(typeof ARGUMENTS)[Argument]['base']>;

/** In which form a helper gets an argument. */
export function formOf(argument: HelperArgument): Form {
  const { base } = ARGUMENTS[argument];
  return (
    BY_WORD[argument as keyof typeof BY_WORD] ??
    (BY_BASE as Partial<Record<ArgumentBase, Form>>)[base] ??
    'offset'
  );
}

/** What a helper's function returns, and how it becomes r0. */
export type ResultKind = 'nothing' | 'number' | 'bigint' | 'offset';

const RESULTS = {
  void: 'nothing',
  integer: 'number',
  u32: 'number',
  u64: 'bigint',
} as const satisfies Partial<Record<HelperResult, ResultKind>>;

/** Other results than numbers are pointers into kernel memory. */
export function resultOf(returns: HelperResult): ResultKind {
  return (RESULTS as Partial<Record<HelperResult, ResultKind>>)[returns] ?? 'offset';
}

type Forms<Args extends readonly HelperArgument[]> = {
  [Index in keyof Args]: Values[FormOf<Args[Index]>];
};

/** A helper's function. Where it returns a pointer: its offset in kernel memory, or 0. */
export type HelperFunction<Row extends HelperPrototype> = (
  cpu: Cpu,
  ...args: Forms<Row['args']>
) => Row['returns'] extends 'u64' ? bigint | number : Row['returns'] extends 'void' ? void : number;
