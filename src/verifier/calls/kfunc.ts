import type { Btf, BtfFuncProto } from '../../btf/index.ts';
import type { Instruction } from '../../isa/instruction.ts';
import { BPF_PSEUDO_KFUNC_CALL, opcode } from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';
import { pushBranch } from '../explore/branches.ts';
import { forgetArguments } from '../explore/registers.ts';
import type { ObjectFact } from '../facts.ts';
import type { ProgramToVerify } from '../input.ts';
import { kfuncNamed, mayCall } from '../kfuncs.ts';
import { distrustIterators, stepIterator } from '../memory/iterator.ts';
import { forgetPacketPointers } from '../memory/packet-pointers.ts';
import { inRcuSection, sleeplessRegion } from '../regions.ts';
import { fromSignedRange } from '../scalar/scalar.ts';
import { holdsReference, releaseReference } from '../state/references.ts';
import { MAYBE_NULL, MEM_RCU, NOT_INIT, PTR_UNTRUSTED, UNKNOWN_SCALAR } from '../state/reg.ts';
import { type CallbackShape, enterCallback } from './callbacks.ts';
import { asNonOwning, giveAway, inTreeCallback, nodeReg } from './graph.ts';
import { checkKfuncArguments } from './kfunc-arguments.ts';
import { KfuncMeta } from './kfunc-meta.ts';
import { kfuncResult } from './kfunc-result.ts';

/** Calls of kfuncs: what an argument must be follows from its type and the end of its name (Linux: check_kfunc_call). */

/** The prototype behind a BTF id. */
function prototypeOf(btf: Btf | undefined, id: number): BtfFuncProto | undefined {
  if (btf === undefined || id <= 0 || id >= btf.count) return undefined;
  const func = btf.type(id);
  const proto = func.kind === 'func' ? btf.type(func.type) : undefined;
  return proto?.kind === 'func_proto' ? proto : undefined;
}

/** The last one stays, for V8's sake: see KEPT in verify.ts. */
const KEPT: { meta?: KfuncMeta } = {};

/** The kfunc that a call names by its BTF id; throws when this kernel does not have it. */
function kfuncOf(env: Env, insn: Instruction): KfuncMeta {
  const { kernelBtf: btf, type = 'syscall', attachType } = env.program;
  const proto = prototypeOf(btf, insn.imm);
  if (btf === undefined || proto === undefined)
    throw env.reject('EINVAL', `kernel btf_id ${insn.imm} is not a function`);
  const name = btf.nameOf(insn.imm);
  const row = kfuncNamed(name);
  if (row === undefined || !mayCall(row, type, attachType))
    throw env.reject('EACCES', `calling kernel function ${name} is not allowed`);
  KEPT.meta = new KfuncMeta(row, proto, btf);
  return KEPT.meta;
}

/** How many of r1 to r5 a kfunc call reads; all of them where it is none that the program may call. */
export function kfuncArguments(
  { kernelBtf: btf, type = 'syscall', attachType }: ProgramToVerify,
  insn: Instruction,
): number {
  const row = kfuncNamed(btf?.nameOf(insn.imm) ?? '');
  if (row === undefined || !mayCall(row, type, attachType)) return 5;
  return prototypeOf(btf, insn.imm)?.params.length ?? 5;
}

/** Kfuncs of network devices need a program that is bound to one, which there is none of here (Linux: add_kfunc_call). */
export function checkDeviceKfuncs(env: Env): void {
  const { kernelBtf } = env.program;
  env.insns.forEach((insn, index) => {
    if (insn.src !== BPF_PSEUDO_KFUNC_CALL || opcode(insn.code)?.kind !== 'call') return;
    if (/^bpf_xdp_metadata_/.test(kernelBtf?.nameOf(insn.imm) ?? ''))
      throw env.reject('EINVAL', 'metadata kfuncs require device-bound program', index);
  });
}

/** Functions that a kfunc calls back. */
const CALLBACKS: Readonly<Record<string, CallbackShape>> = {
  bpf_rbtree_add_impl: 'rbtree_add',
  bpf_wq_set_callback_impl: 'wq',
  bpf_task_work_schedule_signal_impl: 'task_work',
  bpf_task_work_schedule_resume_impl: 'task_work',
};

/** Those that put the object of their second argument into a list or tree. */
const INSERTS: readonly string[] = [
  'bpf_list_push_front_impl',
  'bpf_list_push_back_impl',
  'bpf_rbtree_add_impl',
];

/** @returns the slot to go on at. */
export function checkKfuncCall(env: Env, insn: Instruction): number {
  const meta = kfuncOf(env, insn);
  const { name } = meta;
  const sleeps = meta.has('KF_SLEEPABLE');
  if (name === '__bpf_trap')
    throw env.reject('EFAULT', 'unexpected __bpf_trap() due to uninitialized variable?');
  if (/^bpf_res_spin_lock/.test(name)) failToLock(env);
  if (sleeps && !env.sleepable)
    throw env.reject('EACCES', `program must be sleepable to call sleepable kfunc ${name}`);
  checkKfuncArguments(env, meta);
  const shape = Object.hasOwn(CALLBACKS, name) ? CALLBACKS[name] : undefined;
  if (shape !== undefined) {
    enterCallback(env, insn, shape, {
      subprog: meta.subprog,
      map: meta.map,
      mapUid: meta.mapUid,
      ...(shape === 'rbtree_add' && { node: asNonOwning(env, nodeReg(env, meta.root)) }),
    });
  }
  changeRcu(env, meta);
  changePreemption(env, meta);
  const region = sleeps ? sleeplessRegion(env) : undefined;
  if (region !== undefined) throw env.reject('EACCES', `kernel func ${name} is sleepable within ${region}`);
  if (meta.has('KF_RCU_PROTECTED') && !inRcuSection(env))
    throw env.reject('EACCES', `kernel func ${name} requires RCU critical section protection`);
  release(env, meta);
  if (INSERTS.includes(name)) giveAway(env, env.reg(2).refId);
  noteObject(env, meta);
  forgetArguments(env);
  env.setReg(0, NOT_INIT);
  env.setReg(0, kfuncResult(env, meta));
  if (meta.has('KF_ITER_NEXT') && meta.iterator !== undefined) stepIterator(env, meta.iterator);
  if (name === 'bpf_xdp_pull_data') forgetPacketPointers(env);
  return env.at + 1;
}

/** Linux hands the type's record to the kfunc: who runs the program has to know it, too. */
function noteObject(env: Env, meta: KfuncMeta): void {
  const object = objectOf(env, meta);
  if (object !== undefined && !env.facts.noteObject(env.at, object))
    throw env.unsupported(`${meta.name} with objects of different types`);
}

function objectOf(
  { program }: Env,
  { name, constant, root, argBtf, argBtfId }: KfuncMeta,
): ObjectFact | undefined {
  if (/^bpf_(percpu_)?obj_new_impl$/.test(name)) {
    const { btf } = program;
    return btf && { btf, id: constant?.uminNumber() ?? 0, nodeOff: 0 };
  }
  if (INSERTS.includes(name)) {
    const into = root?.root;
    return into && { btf: into.btf, id: into.valueId, nodeOff: into.nodeOff };
  }
  const takesObject = /^bpf_((percpu_)?obj_drop|refcount_acquire)_impl$/.test(name);
  return takesObject && argBtf !== undefined ? { btf: argBtf, id: argBtfId, nodeOff: 0 } : undefined;
}

/** The lock may not be had: another path goes on without it. */
function failToLock(env: Env): void {
  const { regs } = pushBranch(env, env.at + 1, env.at).frame;
  regs.fill(NOT_INIT, 0, 6);
  regs[0] = UNKNOWN_SCALAR.withScalar(fromSignedRange(-4095, -1));
}

function changeRcu(env: Env, { name }: KfuncMeta): void {
  const locks = name === 'bpf_rcu_read_lock';
  const unlocks = name === 'bpf_rcu_read_unlock';
  if (!locks && !unlocks) return;
  const { state } = env;
  if (state.rcuLocks > 0) {
    if (inTreeCallback(env)) {
      const rule = 'Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback';
      throw env.reject('EACCES', rule);
    }
    if (locks) throw env.reject('EINVAL', `nested rcu read lock (kernel function ${name})`);
    // What RCU protected is not any more.
    env.eachReg((reg) =>
      reg.has(MEM_RCU) ? reg.with({ flags: (reg.flags & ~(MEM_RCU | MAYBE_NULL)) | PTR_UNTRUSTED }) : reg,
    );
    distrustIterators(env);
    state.rcuLocks = 0;
  } else if (locks) state.rcuLocks = 1;
  else throw env.reject('EINVAL', `unmatched rcu read unlock (kernel function ${name})`);
}

function changePreemption(env: Env, { name }: KfuncMeta): void {
  const { state } = env;
  if (name === 'bpf_preempt_disable') state.preemptLocks++;
  if (name !== 'bpf_preempt_enable') return;
  if (state.preemptLocks === 0)
    throw env.reject('EINVAL', `unmatched attempt to enable preemption (kernel function ${name})`);
  state.preemptLocks--;
}

/** The object that an argument gives back. */
function release(env: Env, meta: KfuncMeta): void {
  if (meta.releaseRegister === 0) return;
  const { refId } = env.reg(meta.releaseRegister);
  if (holdsReference(env, refId)) releaseReference(env, refId);
  else throw env.reject('EINVAL', `kfunc ${meta.name} reference has not been acquired before`);
}
