/**
 * The kfuncs of the embedded kernel by their prototypes: one row each. The kernel's BTF and the calls of programs are
 * made from these rows; what a kfunc does stands in src/embedded/helpers. Parameter names carry meaning as on Linux:
 * `__map` is a map, `__ign` is not checked by the verifier.
 */

/** C types that kfunc prototypes use. */
export type KfuncType = 'void' | 'int' | 'u32' | 'u64' | 'void *' | 'void __arena *';

export interface KfuncPrototype {
  readonly name: string;
  readonly returns: KfuncType;
  /** In order, by parameter name. */
  readonly params: Readonly<Record<string, Exclude<KfuncType, 'void'>>>;
  /** May sleep: only programs that may sleep can call it. */
  readonly sleepable: boolean;
}

export const KFUNCS = [
  {
    name: 'bpf_arena_alloc_pages',
    returns: 'void __arena *',
    params: { p__map: 'void *', addr__ign: 'void __arena *', page_cnt: 'u32', node_id: 'int', flags: 'u64' },
    sleepable: true,
  },
  {
    name: 'bpf_arena_free_pages',
    returns: 'void',
    params: { p__map: 'void *', ptr__ign: 'void __arena *', page_cnt: 'u32' },
    sleepable: true,
  },
  {
    name: 'bpf_arena_reserve_pages',
    returns: 'int',
    params: { p__map: 'void *', ptr__ign: 'void __arena *', page_cnt: 'u32' },
    sleepable: true,
  },
] as const satisfies readonly KfuncPrototype[];

export type KfuncName = (typeof KFUNCS)[number]['name'];
