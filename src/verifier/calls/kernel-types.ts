import { matchesStruct } from '../btf-walk.ts';
import type { Env } from '../env.ts';
import { MEM_ALLOC } from '../state/reg.ts';

/** Pointers to the kernel's structures as arguments of helpers. */

/**
 * Refuses register `number`, a pointer to a kernel type, unless it points to a structure of this name, or into one at whose
 * place such a one lies. @param strict it must be that one.
 */
export function matchesKernelType(env: Env, number: number, name: string, strict: boolean): void {
  const reg = env.reg(number);
  const { kernelBtf } = env.program;
  const id = kernelBtf?.idOf(name, 'struct');
  const { of } = reg;
  if (kernelBtf === undefined || id === undefined || of?.kind !== 'btf')
    throw env.unsupported(`R${number} points to a kernel type that is not known, or struct ${name} is not`);
  if (matchesStruct(of, reg.off, { btf: kernelBtf, id }, strict, !reg.has(MEM_ALLOC))) return;
  const type = of.btf.nameOf(of.id);
  throw env.reject('EACCES', `R${number} is of type ${type} but ${name} is expected`);
}
