import type { Btf } from '../../btf/index.ts';
import type { Env } from '../env.ts';

/** Pointers to the kernel's structures as arguments of helpers (Linux: btf_struct_ids_match). */

/** Refuses register `number`, a pointer to a kernel type, unless it points to one of this name. */
export function matchesKernelType(env: Env, number: number, name: string, strict: boolean): void {
  const { of, off } = env.reg(number);
  if (of?.kind !== 'btf') throw env.unsupported(`R${number} points to a kernel type that is not known`);
  const type = of.btf.nameOf(of.id);
  if (off === 0 && type === name) return;
  if (!strict && holdsAt(of.btf, of.id, off, name)) return;
  throw env.reject('EACCES', `R${number} is of type ${type} but ${name} is expected`);
}

/** Whether a structure has one of this name at an offset in bytes, at any depth. */
function holdsAt(btf: Btf, id: number, off: number, name: string): boolean {
  const resolved = btf.resolve(id);
  const type = btf.type(resolved);
  if (off === 0 && btf.nameOf(resolved) === name && (type.kind === 'struct' || type.kind === 'union'))
    return true;
  if (type.kind !== 'struct') return false;
  for (const member of type.members) {
    const at = member.bitOffset / 8;
    if (!Number.isInteger(at) || off < at) continue;
    const inner = btf.resolve(member.type);
    if (btf.type(inner).kind !== 'struct' || off >= at + btf.sizeOf(inner)) continue;
    if (holdsAt(btf, inner, off - at, name)) return true;
  }
  return false;
}
