import { MEM_ALLOC, NON_OWN_REF, PTR_TRUSTED, type Reg, type RegKind } from './state/reg.ts';

/** How far a pointer to a kernel object can be trusted (Linux: is_trusted_reg and its neighbours). */

/** Kinds that stand for a kernel type (Linux: reg2btf_ids). */
export const KERNEL_TYPES: Partial<Record<RegKind, string>> = {
  sock: 'sock',
  sock_common: 'sock_common',
  tcp_sock: 'tcp_sock',
  map_ptr: 'bpf_map',
};

const TRUSTED_FLAGS = MEM_ALLOC | PTR_TRUSTED | NON_OWN_REF;

/** Flags besides those that make a pointer trusted: none of them is safe (Linux: bpf_type_has_unsafe_modifiers). */
export function hasUnsafeFlags(reg: Reg): boolean {
  return (reg.flags & ~TRUSTED_FLAGS) !== 0;
}

/** It is referenced, or of a kind that is always valid, or marked so. */
export function isTrusted(reg: Reg): boolean {
  if (reg.refId !== 0) return true;
  if (KERNEL_TYPES[reg.kind] !== undefined && !hasUnsafeFlags(reg)) return true;
  return (reg.flags & TRUSTED_FLAGS) !== 0 && !hasUnsafeFlags(reg);
}
