import type { Env } from '../env.ts';
import { structFields } from '../fields.ts';
import { mayHoldLock } from '../record-of.ts';
import { acquireReference } from '../state/references.ts';
import {
  MAYBE_NULL,
  MEM_ALLOC,
  MEM_PERCPU,
  MEM_RCU,
  MEM_RDONLY,
  NOT_INIT,
  PTR_TRUSTED,
  PTR_UNTRUSTED,
  pointer,
  type Reg,
  UNKNOWN_SCALAR,
  ZERO_SCALAR,
} from '../state/reg.ts';
import { asNonOwning, nodeReg } from './graph.ts';
import { isNumber, isStructOfNumbers, targetOf, typeText } from './kfunc-kinds.ts';
import type { KfuncMeta } from './kfunc-meta.ts';

/** What r0 holds after a kfunc call, by its prototype and its arguments (Linux: check_kfunc_call, check_special_kfunc). */
export function kfuncResult(env: Env, meta: KfuncMeta): Reg {
  const { btf, proto } = meta;
  const id = btf.resolve(proto.type);
  if (id === 0) return NOT_INIT;
  if (isNumber(btf, id)) return /^bpf_res_spin_lock/.test(meta.name) ? ZERO_SCALAR : UNKNOWN_SCALAR;
  const target = targetOf(btf, proto.type);
  let reg = special(env, meta) ?? (target.isVoid ? UNKNOWN_SCALAR : typed(env, meta));
  if (reg.kind === 'scalar') return reg;
  // Who owns an object gets another reference for certain.
  const nullable = meta.has('KF_RET_NULL') && !(meta.name === 'bpf_refcount_acquire_impl' && meta.owningRef);
  if (nullable) reg = reg.with({ flags: reg.flags | MAYBE_NULL, id: env.newId() });
  if (meta.has('KF_ACQUIRE')) {
    const refId = acquireReference(env);
    reg = reg.with({ refId, id: nullable ? refId : reg.id });
  } else if (target.name === 'bpf_rb_node' || target.name === 'bpf_list_node') {
    reg = asNonOwning(env, reg);
  }
  return reg.id === 0 && mayHoldLock(env, reg) ? reg.with({ id: env.newId() }) : reg;
}

/** Results that the prototype does not tell. */
function special(env: Env, meta: KfuncMeta): Reg | undefined {
  switch (meta.name) {
    case 'bpf_obj_new_impl':
      return newObject(env, meta, false);
    case 'bpf_percpu_obj_new_impl':
      return newObject(env, meta, true);
    case 'bpf_refcount_acquire_impl': {
      const { argBtf: btf, argBtfId: id } = meta;
      if (btf === undefined) return undefined;
      return pointer('btf_id', { flags: MEM_ALLOC, of: { kind: 'btf', btf, id } });
    }
    case 'bpf_list_pop_front':
    case 'bpf_list_pop_back':
    case 'bpf_list_front':
    case 'bpf_list_back':
    case 'bpf_rbtree_remove':
    case 'bpf_rbtree_first':
    case 'bpf_rbtree_root':
    case 'bpf_rbtree_left':
    case 'bpf_rbtree_right':
      return nodeReg(env, meta.root);
    case 'bpf_cast_to_kern_ctx':
      return pointer('btf_id', {
        flags: PTR_TRUSTED,
        of: { kind: 'btf', btf: meta.btf, id: meta.returnId },
      });
    case 'bpf_session_cookie':
      return pointer('mem', { of: { kind: 'mem', size: 8 } });
    case 'bpf_rdonly_cast':
      return readOnlyCast(env, meta);
    case 'bpf_dynptr_slice':
    case 'bpf_dynptr_slice_rdwr':
      return slice(env, meta);
    default:
      return undefined;
  }
}

/** Bytes of an object that is there for each CPU (Linux: BPF_GLOBAL_PERCPU_MA_MAX_SIZE). */
const MAX_PERCPU = 512;

function newObject(env: Env, meta: KfuncMeta, percpu: boolean): Reg {
  const id = meta.constant?.uminNumber() ?? 0;
  const { btf, kernelBtf } = env.program;
  if (id > 0xffff_ffff) throw env.reject('EINVAL', 'local type ID argument must be in range [0, U32_MAX]');
  if (btf === undefined) throw env.reject('EINVAL', 'bpf_obj_new/bpf_percpu_obj_new requires prog BTF');
  const type = id < btf.count ? btf.type(id) : undefined;
  if (type?.kind !== 'struct')
    throw env.reject('EINVAL', 'bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct');
  if (percpu) {
    const what = 'bpf_percpu_obj_new type';
    if (type.size > MAX_PERCPU)
      throw env.reject('EINVAL', `${what} size (${type.size}) is greater than ${MAX_PERCPU}`);
    if (!isStructOfNumbers(btf, id))
      throw env.reject('EINVAL', `${what} ID argument must be of a struct of scalars`);
    if (structFields(btf, id, kernelBtf) !== undefined)
      throw env.reject('EINVAL', `${what} ID argument must not contain special fields`);
  }
  const flags = percpu ? MEM_ALLOC | MEM_PERCPU : MEM_ALLOC;
  return pointer('btf_id', { flags, of: { kind: 'btf', btf, id } });
}

function readOnlyCast(env: Env, { btf, constant }: KfuncMeta): Reg {
  const id = constant?.sminNumber() ?? 0;
  if (id < 0 || id >= btf.count)
    throw env.reject('EINVAL', `Unknown type ID ${id} passed to kfunc bpf_rdonly_cast`);
  const kind = btf.kindOf(id);
  if (kind === 'struct' || kind === 'union')
    return pointer('btf_id', { flags: PTR_UNTRUSTED, of: { kind: 'btf', btf, id } });
  if (kind === 'void')
    return pointer('mem', { flags: MEM_RDONLY | PTR_UNTRUSTED, of: { kind: 'mem', size: 0 } });
  throw env.reject('EINVAL', 'kfunc bpf_rdonly_cast type ID argument must be of a struct or void');
}

/** A part of what a dynptr points into, which ends with it. */
function slice(env: Env, meta: KfuncMeta): Reg {
  const size = meta.constant?.uminNumber() ?? 0;
  const readOnly = meta.name === 'bpf_dynptr_slice';
  if (!readOnly && !env.rules.writesPacket)
    throw env.reject('EINVAL', 'the prog does not allow writes to packet data');
  const { dynptrType: type } = meta;
  const packet = type === 'skb' || type === 'xdp' || type === 'skb_meta';
  return pointer('mem', {
    flags: readOnly ? MEM_RDONLY : 0,
    of: { kind: 'mem', size, slice: { id: meta.dynptrId, packet } },
  });
}

/** A pointer of the type that the prototype says. */
function typed(env: Env, meta: KfuncMeta): Reg {
  const { btf, proto } = meta;
  const target = targetOf(btf, proto.type);
  if (btf.kindOf(target.id) !== 'struct') {
    let size = 0;
    try {
      size = btf.sizeOf(target.id);
    } catch {
      // It has none.
    }
    if (size === 0) {
      const what = `returns pointer type ${typeText(btf, target.id)} is not supported`;
      throw env.reject('EINVAL', `kernel function ${meta.name} ${what}`);
    }
    return pointer('mem', { flags: MEM_RDONLY, refId: meta.refId, of: { kind: 'mem', size } });
  }
  let flags = 0;
  if (meta.name === 'bpf_get_kmem_cache') flags = PTR_UNTRUSTED;
  else if (meta.has('KF_ITER_NEXT')) flags = iteratorGuard(env, meta) === MEM_RCU ? MEM_RCU : PTR_TRUSTED;
  return pointer('btf_id', { flags, of: { kind: 'btf', btf, id: target.id } });
}

/** Whether RCU protects an iterator's elements. */
function iteratorGuard(env: Env, { iterator }: KfuncMeta): number {
  if (iterator === undefined) return 0;
  return (env.state.frames[iterator.frame].stack[iterator.slot]?.reg?.flags ?? 0) & MEM_RCU;
}
