import type { Btf } from '../../btf/index.ts';
import { bpf_arena_alloc_pages, bpf_arena_free_pages, bpf_arena_reserve_pages } from './arena.ts';

/**
 * What each kfunc does that can be run, by its name. The verifier knows more of them: a program that calls one of the
 * others is verified, and cannot be loaded to run.
 */

type KfuncFunction = (...args: never[]) => number | undefined;

const FUNCTIONS: Readonly<Record<string, KfuncFunction>> = {
  bpf_arena_alloc_pages,
  bpf_arena_free_pages,
  bpf_arena_reserve_pages,
};

/** How a register becomes an argument: a map, a pointer that is not looked at, a number. */
export type ArgumentForm = 'map' | 'pointer' | 'u32' | 's32' | 'u64';

/** A kfunc as the caller that reads its prototype at run time sees it. */
export interface Kfunc {
  readonly name: string;
  readonly args: readonly ArgumentForm[];
  /** The result is an arena address, or -1 for NULL. */
  readonly returnsArena: boolean;
  readonly call: (...args: unknown[]) => number | undefined;
}

/** The kfuncs that can be run. */
export const RUNNABLE_KFUNCS: readonly string[] = Object.keys(FUNCTIONS);

/** The kfuncs that can be run, by their ids in the kernel's types. */
export function kfuncsById(btf: Btf): Map<number, Kfunc> {
  return new Map(RUNNABLE_KFUNCS.map((name) => [btf.idOf(name, 'func') ?? 0, readKfunc(btf, name)]));
}

function readKfunc(btf: Btf, name: string): Kfunc {
  const func = btf.type(btf.idOf(name, 'func') ?? 0);
  const proto = func.kind === 'func' ? btf.type(func.type) : undefined;
  if (proto?.kind !== 'func_proto') throw new TypeError(`the kernel's types do not have ${name}`);
  const args = proto.params.map((param): ArgumentForm => {
    if (param.name.endsWith('__map')) return 'map';
    const type = btf.type(btf.resolve(param.type));
    if (type.kind !== 'int') return 'pointer';
    return type.size === 8 ? 'u64' : type.signed ? 's32' : 'u32';
  });
  return {
    name,
    args,
    returnsArena: btf.kindOf(btf.resolve(proto.type)) === 'ptr',
    call: FUNCTIONS[name] as Kfunc['call'],
  };
}
