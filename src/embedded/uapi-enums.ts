import { MAP_TYPES } from '../object/map-types.ts';
import { ATTACH_TYPES, PROGRAM_TYPES } from '../object/program-types.ts';
import { HELPERS } from '../verifier/helpers.ts';

/**
 * The enumerations of linux/bpf.h as C, made from our tables: programs ask by CO-RE whether the kernel has a helper or a type of maps
 * (`bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_loop)`). What the verifier judges is there, so that the same branch is taken
 * as on Linux.
 */
export const UAPI_ENUMS = [
  enumeration('bpf_func_id', 'BPF_FUNC_', [
    ['unspec', 0],
    ...HELPERS.map(({ name, id }) => [name, id] as const),
  ]),
  enumeration('bpf_map_type', 'BPF_MAP_TYPE_', [['unspec', 0], ...Object.entries(MAP_TYPES)]),
  enumeration('bpf_prog_type', 'BPF_PROG_TYPE_', Object.entries(PROGRAM_TYPES)),
  enumeration('bpf_attach_type', 'BPF_', Object.entries(ATTACH_TYPES)),
].join('\n');

function enumeration(name: string, prefix: string, rows: readonly (readonly [string, number])[]): string {
  const upper = prefix !== 'BPF_FUNC_';
  return `enum ${name} { ${rows.map(([row, value]) => `${prefix}${upper ? row.toUpperCase() : row} = ${value}`).join(', ')} };`;
}
