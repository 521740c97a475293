import type { Env } from '../env.ts';
import { tnumText } from '../memory/stack.ts';
import { typeName } from '../state/print.ts';
import { MEM_ALLOC, MEM_RCU, NON_OWN_REF, PTR_TRUSTED, type RegKind } from '../state/reg.ts';

/** Which offsets a pointer argument may have (Linux: check_func_arg_reg_off, __check_ptr_off_reg). */

/** Kinds whose memory is checked with their offsets, whatever those are. */
const ANY_OFFSET: readonly RegKind[] = [
  'fp',
  'pkt',
  'pkt_meta',
  'map_key',
  'map_value',
  'mem',
  'buf',
  'arena',
  'scalar',
];

/** Flags with which typed pointers take fixed offsets. */
const FIXED_OFFSET: readonly number[] = [
  0,
  MEM_ALLOC,
  PTR_TRUSTED,
  MEM_RCU,
  MEM_ALLOC | NON_OWN_REF,
  MEM_ALLOC | NON_OWN_REF | MEM_RCU,
];

export function checkKfuncOffset(env: Env, number: number, releases: boolean): void {
  const reg = env.reg(number);
  if (releases) {
    if (reg.off !== 0) {
      const rule = 'must have zero offset when passed to release func or trusted arg to kfunc';
      throw env.reject('EINVAL', `R${number} ${rule}`);
    }
    checkFixed(env, number, false);
    return;
  }
  if (ANY_OFFSET.includes(reg.kind)) return;
  checkFixed(env, number, reg.kind === 'btf_id' && FIXED_OFFSET.includes(reg.flags));
}

function checkFixed(env: Env, number: number, fixedAllowed: boolean): void {
  const reg = env.reg(number);
  const name = typeName(reg);
  if (reg.off < 0)
    throw env.reject('EACCES', `negative offset ${name} ptr R${number} off=${reg.off} disallowed`);
  if (!fixedAllowed && reg.off !== 0)
    throw env.reject('EACCES', `dereference of modified ${name} ptr R${number} off=${reg.off} disallowed`);
  if (!reg.scalar.isConst() || reg.scalar.smaxNumber() !== 0)
    throw env.reject('EACCES', `variable ${name} access var_off=${tnumText(reg.scalar)} disallowed`);
}
