import { matchesStruct } from '../btf-walk.ts';
import type { Env } from '../env.ts';
import { FIELD_KINDS, type FieldKind, type SpecialField } from '../field-kinds.ts';
import { isAllocationLocked } from '../locks.ts';
import { isAllocated, isNonOwning } from '../memory/btf-access.ts';
import { recordOf } from '../record-of.ts';
import { holdsLock } from '../regions.ts';
import { dropReference, holdsReference } from '../state/references.ts';
import { MEM_ALLOC, MEM_RCU, NON_OWN_REF, pointer, type Reg } from '../state/reg.ts';
import type { KfuncMeta } from './kfunc-meta.ts';

/**
 * Lists and trees of a program's objects (Linux: __process_kf_arg_ptr_to_graph_root and its neighbours). Putting an object
 * in gives it away: the program keeps pointers that may be used while the lock is held.
 */

/** A list head or tree root: in a map's value or an owned object, with the lock beside it held. */
export function checkGraphRoot(
  env: Env,
  number: number,
  kind: 'list_head' | 'rb_root',
  meta: KfuncMeta,
): void {
  const reg = env.reg(number);
  const { name } = FIELD_KINDS[kind];
  const plain = reg.kind === 'btf_id' && reg.flags === MEM_ALLOC;
  if (!(reg.kind === 'map_value' && reg.flags === 0) && !plain)
    throw env.reject('EINVAL', `arg#${number - 1} expected pointer to map value or allocated object`);
  if (plain && reg.refId === 0) throw env.reject('EINVAL', 'allocated object must be referenced');
  const off = constantOffset(env, number, name);
  const record = recordOf(env, reg);
  const field = record?.find(off, kind);
  if (record === undefined || field === undefined)
    throw env.reject('EINVAL', `${name} not found at offset=${off}`);
  if (!isAllocationLocked(env, number)) {
    const rule = `must be held for ${name}`;
    throw env.reject('EINVAL', `bpf_spin_lock at off=${record.offsetOf('spin_lock')} ${rule}`);
  }
  meta.root = field;
}

function constantOffset(env: Env, number: number, name: string): number {
  const reg = env.reg(number);
  if (reg.scalar.isConst()) return reg.off + reg.scalar.sminNumber();
  const rule = `${name} has to be at the constant offset`;
  throw env.reject('EINVAL', `R${number} doesn't have constant offset. ${rule}`);
}

/** A node that is put into a list, or taken out of a tree. */
export function checkGraphNode(
  env: Env,
  number: number,
  kind: 'list_node' | 'rb_node',
  meta: KfuncMeta,
): void {
  const reg = env.reg(number);
  const adds = kind === 'list_node' || meta.name === 'bpf_rbtree_add_impl';
  if (adds) {
    if (reg.kind !== 'btf_id' || reg.flags !== MEM_ALLOC)
      throw env.reject('EINVAL', `arg#${number - 1} expected pointer to allocated object`);
    if (reg.refId === 0) throw env.reject('EINVAL', 'allocated object must be referenced');
  } else {
    if (!isNonOwning(reg) && reg.refId === 0) {
      const rule = 'can only take non-owning or refcounted bpf_rb_node pointer';
      throw env.reject('EINVAL', `${meta.name} ${rule}`);
    }
    if (inTreeCallback(env)) throw env.reject('EINVAL', `${meta.name} not allowed in rbtree cb`);
  }
  const { name } = FIELD_KINDS[kind];
  const off = constantOffset(env, number, name);
  if (recordOf(env, reg)?.find(off, kind) === undefined)
    throw env.reject('EINVAL', `${name} not found at offset=${off}`);
  checkBelongs(env, number, kind, off, meta);
}

/** The object is one that the list or tree holds, and so is the node in it. */
function checkBelongs(env: Env, number: number, kind: FieldKind, off: number, meta: KfuncMeta): void {
  const reg = env.reg(number);
  const root = meta.root?.root;
  if (root === undefined || reg.of?.kind !== 'btf')
    throw env.unsupported('a list or tree of unknown objects');
  const { btf, id } = reg.of;
  const node = FIELD_KINDS[kind].name;
  const held = root.btf.nameOf(root.valueId);
  if (!matchesStruct({ btf, id }, 0, { btf: root.btf, id: root.valueId }, true, false)) {
    const wanted = `expects arg#1 ${node} at offset=${root.nodeOff} in struct ${held}`;
    const found = `arg is at offset=${off} in struct ${btf.nameOf(id)}`;
    const head = FIELD_KINDS[kind === 'list_node' ? 'list_head' : 'rb_root'].name;
    throw env.reject('EINVAL', `operation on ${head} ${wanted}, but ${found}`);
  }
  meta.argBtf = btf;
  meta.argBtfId = id;
  if (off === root.nodeOff) return;
  const expected = `expected ${node} at offset=${root.nodeOff} in struct ${held}`;
  throw env.reject('EINVAL', `arg#1 offset=${off}, but ${expected}`);
}

/** Whether the code at hand compares two nodes of a tree (Linux: in_rbtree_lock_required_cb). */
export function inTreeCallback(env: Env): boolean {
  const { frame } = env;
  if (frame.role !== 'callback') return false;
  const { imm } = env.insns[frame.callsite];
  return /^bpf_rbtree_/.test(env.program.kernelBtf?.nameOf(imm) ?? '');
}

/** What a list or tree hands out: a pointer to the node in the object (Linux: mark_reg_graph_node). */
export function nodeReg(env: Env, field: SpecialField | undefined): Reg {
  const root = field?.root;
  if (root === undefined) throw env.unsupported('a list or tree of unknown objects');
  const of = { kind: 'btf', btf: root.btf, id: root.valueId } as const;
  return pointer('btf_id', { flags: MEM_ALLOC, off: root.nodeOff, of });
}

/** The pointer does not own its object, which the lock keeps where it is (Linux: ref_set_non_owning). */
export function asNonOwning(env: Env, reg: Reg): Reg {
  if (!holdsLock(env)) throw env.reject('EFAULT', 'verifier bug: ref_set_non_owning w/o active lock');
  const counted = recordOf(env, reg)?.has('refcount') === true;
  return reg.with({ flags: reg.flags | NON_OWN_REF | (counted ? MEM_RCU : 0) });
}

/** The program gives an object away, and keeps pointers to it while the lock is held. */
export function giveAway(env: Env, refId: number): void {
  if (!holdsReference(env, refId))
    throw env.reject('EFAULT', 'verifier bug: ref state missing for ref_obj_id');
  env.eachReg((reg) =>
    reg.refId === refId && isAllocated(reg) ? asNonOwning(env, reg.with({ refId: 0 })) : reg,
  );
  dropReference(env, refId);
}
