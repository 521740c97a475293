import type { Env } from '../env.ts';
import { markPrecise } from '../explore/precision.ts';
import { checkResourceLeak } from '../explore/resource-leak.ts';
import type { HelperPrototype } from '../helpers/prototype.ts';
import { dynptrOf } from '../memory/dynptr.ts';
import { typeName } from '../state/print.ts';
import type { Reg } from '../state/reg.ts';
import { isNull } from '../values.ts';
import { checkSnprintf } from './format.ts';
import type { CallMeta } from './meta.ts';

/**
 * Rules of single helpers that their prototypes do not say (Linux: the switch of check_helper_call).
 * @returns whether packet pointers are worth nothing behind this call, which for some helpers depends on an argument.
 */
export function checkSpecialHelper(env: Env, row: HelperPrototype, meta: CallMeta): boolean {
  switch (row.name) {
    case 'tail_call':
      checkResourceLeak(env, 'tail_call');
      return false;
    case 'get_local_storage':
      if (!isNull(env.reg(2)))
        throw env.reject('EINVAL', "get_local_storage() doesn't support non-zero flags");
      markPrecise(env, 2);
      return false;
    case 'snprintf':
      checkSnprintf(env);
      return false;
    case 'dynptr_from_mem':
      if (env.reg(1).kind !== 'map_value') {
        const type = typeName(env.reg(1));
        throw env.reject('EACCES', `Unsupported reg type ${type} for bpf_dynptr_from_mem data`);
      }
      return false;
    case 'dynptr_data': {
      const { reg, of } = dynptrArgument(env, env.reg(1));
      meta.dynptrId = reg.id;
      meta.refId = reg.refId;
      meta.dynptrType = of.type;
      return false;
    }
    case 'dynptr_write':
      return dynptrArgument(env, env.reg(1)).of.type === 'skb';
    default:
      return false;
  }
}

function dynptrArgument(env: Env, reg: Reg) {
  const found = dynptrOf(env, reg);
  if (found === undefined) throw env.unsupported('it calls a dynptr helper on what is none');
  return found;
}
