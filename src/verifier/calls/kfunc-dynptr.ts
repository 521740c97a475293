import type { Env } from '../env.ts';
import { dynptrOf, processDynptr } from '../memory/dynptr.ts';
import type { DynptrType } from '../state/reg.ts';
import type { KfuncMeta } from './kfunc-meta.ts';

/** Dynptr arguments of kfuncs (Linux: check_kfunc_args, KF_ARG_PTR_TO_DYNPTR). */

/** What a dynptr that a kfunc makes points into. */
const MAKES: Readonly<Record<string, DynptrType>> = {
  bpf_dynptr_from_skb: 'skb',
  bpf_dynptr_from_xdp: 'xdp',
  bpf_dynptr_from_skb_meta: 'skb_meta',
};

export function checkKfuncDynptr(env: Env, meta: KfuncMeta, number: number): void {
  const reg = env.reg(number);
  const uninit = meta.proto.params[number - 1].name.endsWith('__uninit');
  const made = Object.hasOwn(MAKES, meta.name) ? MAKES[meta.name] : undefined;
  const type = meta.name === 'bpf_dynptr_clone' && uninit ? meta.dynptrType : made;
  processDynptr(
    env,
    number,
    {
      ...(type !== undefined && { dynptr: type }),
      ...(uninit && { uninit: true as const }),
      ...(reg.kind === 'dynptr' && { readOnly: true as const }),
    },
    meta.dynptrRefId,
  );
  if (uninit) return;
  const found = dynptrOf(env, reg);
  if (found === undefined) throw env.unsupported('a dynptr that is not there');
  meta.dynptrId = found.reg.id;
  meta.dynptrType = found.of.type;
  meta.dynptrRefId = found.reg.refId;
}
