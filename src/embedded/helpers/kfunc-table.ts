import { KFUNCS, type KfuncName, type KfuncPrototype } from '../../verifier/kfuncs.ts';
import { bpf_arena_alloc_pages, bpf_arena_free_pages, bpf_arena_reserve_pages } from './arena.ts';

/** What each kfunc does, by its name in the prototypes' table. A row without a function does not compile. */

/** A kfunc's function, as the caller that reads the row at run time sees it. */
type KfuncFunction = (...args: never[]) => number | undefined;

const FUNCTIONS: Readonly<Record<KfuncName, KfuncFunction>> = {
  bpf_arena_alloc_pages,
  bpf_arena_free_pages,
  bpf_arena_reserve_pages,
};

export interface Kfunc {
  readonly row: KfuncPrototype;
  readonly call: (...args: unknown[]) => number | undefined;
}

/** All kfuncs, in the order of their prototypes. */
export const KFUNC_TABLE: readonly Kfunc[] = KFUNCS.map((row) => ({
  row,
  call: FUNCTIONS[row.name] as (...args: unknown[]) => number | undefined,
}));
