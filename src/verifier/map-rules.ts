/** Map types by their numbers, where the verifier asks. */

const BPF_MAP_TYPE_ARRAY = 2;
const BPF_MAP_TYPE_PERCPU_ARRAY = 6;

/** Arrays have an element for every index below max_entries. */
export function isArrayType(type: number): boolean {
  return type === BPF_MAP_TYPE_ARRAY || type === BPF_MAP_TYPE_PERCPU_ARRAY;
}
