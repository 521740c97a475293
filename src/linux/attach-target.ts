import type { BtfKind } from '../btf/index.ts';
import { BpfError } from '../errors.ts';
import type { KernelType } from '../object/fill-in.ts';
import type { ProgramSpec } from '../object/object.ts';
import type { AttachType } from '../object/program-types.ts';
import type { KernelTypes } from './kernel-types.ts';

/**
 * What a program is verified against: BPF_PROG_LOAD of tracing and lsm programs wants the type of what they will be
 * attached to (libbpf: find_kernel_btf_id), though nothing is attached yet.
 */

/** How the type of a target is called. Rows as in libbpf's btf_get_kernel_prefix_kind. */
const TARGETS: Partial<Record<AttachType, readonly [prefix: string, kind: BtfKind]>> = {
  trace_raw_tp: ['btf_trace_', 'typedef'],
  lsm_mac: ['bpf_lsm_', 'func'],
  lsm_cgroup: ['bpf_lsm_', 'func'],
  trace_iter: ['bpf_iter_', 'func'],
  trace_fentry: ['', 'func'],
  trace_fexit: ['', 'func'],
  modify_return: ['', 'func'],
};

/** A type of the kernel's; of a struct_ops program the structure, and which of its members. */
export type AttachTarget = KernelType & { readonly member?: number };

/** The type to verify a program against; undefined for programs that need none. Throws EINVAL, ESRCH. */
export function attachTarget(spec: ProgramSpec, types: KernelTypes): AttachTarget | undefined {
  if (spec.type === 'struct_ops') return operation(spec, types);
  if (spec.type !== 'tracing' && spec.type !== 'lsm') return undefined;
  const row = spec.attachType && TARGETS[spec.attachType];
  if (row === undefined) return undefined;
  if (spec.attachTo === undefined) {
    const advice = `write SEC("${spec.section}/…"), or set attachTo before load`;
    throw new BpfError('EINVAL', `program '${spec.name}': what it is for is not said; ${advice}`);
  }
  const [prefix, kind] = row;
  const found = types.find(`${prefix}${spec.attachTo}`, kind);
  if (found !== undefined) return found;
  const problem = `'${spec.attachTo}' is not in the kernel's BTF (no ${kind} '${prefix}${spec.attachTo}')`;
  throw new BpfError('ESRCH', `program '${spec.name}': ${problem}`);
}

/** The operation of a structure that a program is (libbpf: bpf_map__init_kern_struct_ops). */
function operation({ name, attachTo }: ProgramSpec, types: KernelTypes): AttachTarget {
  const [structure, member] = attachTo?.split('.') ?? [];
  if (member === undefined) {
    const advice =
      'put it into a variable of SEC(".struct_ops"), or set attachTo to STRUCT.MEMBER before load';
    throw new BpfError('EINVAL', `program '${name}': whose operation it is, is not said; ${advice}`);
  }
  const found = types.findMember(structure, member);
  if (found !== undefined) return found;
  throw new BpfError(
    'ESRCH',
    `program '${name}': 'struct ${structure}' of this kernel has no '${member}', or is not there`,
  );
}
