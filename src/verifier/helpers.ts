/**
 * The helpers of the embedded kernel by their prototypes: one row each, in the words of Linux's `struct bpf_func_proto`.
 * What a helper does stands in src/embedded/helpers, under the same name.
 */

/**
 * What an argument must be. `const_map_ptr` a map; `map_key` and `map_value` memory of that map's key and value size;
 * `mem` memory of the size that the next argument, `size`, gives in bytes; `flags` and `value` plain numbers.
 */
export type HelperArgument = 'const_map_ptr' | 'map_key' | 'map_value' | 'mem' | 'size' | 'flags' | 'value';

/** What r0 holds afterwards: a pointer or NULL, a C int or long, or an unsigned number. */
export type HelperResult = 'map_value_or_null' | 'integer' | 'u32' | 'u64';

export interface HelperPrototype {
  /** `enum bpf_func_id`. */
  readonly id: number;
  readonly name: string;
  readonly args: readonly HelperArgument[];
  readonly returns: HelperResult;
  /** Only for maps that programs may write. */
  readonly changesMap?: true;
}

export const HELPERS = [
  { id: 1, name: 'map_lookup_elem', args: ['const_map_ptr', 'map_key'], returns: 'map_value_or_null' },
  {
    id: 2,
    name: 'map_update_elem',
    args: ['const_map_ptr', 'map_key', 'map_value', 'flags'],
    returns: 'integer',
    changesMap: true,
  },
  {
    id: 3,
    name: 'map_delete_elem',
    args: ['const_map_ptr', 'map_key'],
    returns: 'integer',
    changesMap: true,
  },
  { id: 5, name: 'ktime_get_ns', args: [], returns: 'u64' },
  { id: 6, name: 'trace_printk', args: ['mem', 'size', 'value', 'value', 'value'], returns: 'integer' },
  { id: 7, name: 'get_prandom_u32', args: [], returns: 'u32' },
  { id: 8, name: 'get_smp_processor_id', args: [], returns: 'u32' },
  { id: 14, name: 'get_current_pid_tgid', args: [], returns: 'u64' },
] as const satisfies readonly HelperPrototype[];

export type HelperName = (typeof HELPERS)[number]['name'];
