import { matchesStruct } from '../btf-walk.ts';
import { type Env, Rejection } from '../env.ts';
import { markPrecise } from '../explore/precision.ts';
import { processSpinLock } from '../locks.ts';
import { isAllocated, isNonOwning } from '../memory/btf-access.ts';
import { restoreIrqFlag, saveIrqFlag } from '../memory/irq-flag.ts';
import { checkIteratorArgument, type IteratorUse } from '../memory/iterator.ts';
import { noteAddress } from '../memory/stack-bounds.ts';
import { recordOf } from '../record-of.ts';
import { inRcuSection } from '../regions.ts';
import { isIterator } from '../rules.ts';
import { typeName } from '../state/print.ts';
import { MAYBE_NULL, MEM_ALLOC, MEM_PERCPU, MEM_RCU, PTR_UNTRUSTED, type Reg } from '../state/reg.ts';
import { hasUnsafeFlags, isTrusted, KERNEL_TYPES } from '../trust.ts';
import { isNull } from '../values.ts';
import { checkArgumentOffset } from './argument.ts';
import { checkConstantString } from './constant-string.ts';
import { KERNEL_CONTEXTS } from './context-names.ts';
import { checkGraphNode, checkGraphRoot } from './graph.ts';
import { checkKfuncDynptr } from './kfunc-dynptr.ts';
import { isNumber, type PointerRule, pointerRule, type Target, targetOf, typeText } from './kfunc-kinds.ts';
import type { KfuncMeta } from './kfunc-meta.ts';
import { checkMapField } from './map-field.ts';
import { checkMemoryArgument, checkSizeArgument } from './memory-argument.ts';

/** The arguments of a kfunc call, by its prototype (Linux: check_kfunc_args). */

const MAX_ARGUMENTS = 5;

export function checkKfuncArguments(env: Env, meta: KfuncMeta): void {
  const { params } = meta.proto;
  if (params.length > MAX_ARGUMENTS)
    throw env.reject('EINVAL', `Function ${meta.name} has ${params.length} > ${MAX_ARGUMENTS} args`);
  for (let index = 0; index < params.length; index++) {
    const { name, type } = params[index];
    if (name.endsWith('__ign') || name.endsWith('__prog')) {
      noteAddress(env, env.reg(index + 1));
      continue;
    }
    const id = meta.btf.resolve(type);
    if (isNumber(meta.btf, id)) checkNumber(env, meta, index);
    else if (meta.btf.kindOf(id) === 'ptr') {
      // A size that was looked at with its memory is done.
      if (checkPointer(env, meta, index)) index++;
    } else throw env.reject('EINVAL', `Unrecognized arg#${index} type ${typeText(meta.btf, id)}`);
  }
  if (meta.has('KF_RELEASE') && meta.releaseRegister === 0) {
    const rule = 'expects refcounted PTR_TO_BTF_ID';
    throw env.reject('EINVAL', `release kernel function ${meta.name} ${rule}`);
  }
}

function checkNumber(env: Env, meta: KfuncMeta, index: number): void {
  const number = index + 1;
  const reg = env.reg(number);
  if (reg.kind !== 'scalar') throw env.reject('EINVAL', `R${number} is not a scalar`);
  if (!meta.proto.params[index].name.endsWith('__k')) return;
  noteConstant(env, meta, number);
  markPrecise(env, number);
}

function noteConstant(env: Env, meta: KfuncMeta, number: number): void {
  const { scalar } = env.reg(number);
  if (!scalar.isConst()) throw env.reject('EINVAL', `R${number} must be a known constant`);
  meta.constant = scalar;
}

/** @returns whether the next argument is the size of this one, and done. */
function checkPointer(env: Env, meta: KfuncMeta, index: number): boolean {
  const number = index + 1;
  const reg = env.reg(number);
  const param = meta.proto.params[index];
  const nullable = /__(nullable|opt)$/.test(param.name);
  if ((isNull(reg) || reg.maybeNull) && !nullable)
    throw env.reject('EACCES', `Possibly NULL pointer passed to trusted arg${index}`);
  if (reg.refId !== 0) {
    if (meta.has('KF_RELEASE') && meta.refId !== 0) {
      const found = `R${number} ${reg.refId} ${meta.refId}`;
      throw env.reject('EFAULT', `verifier bug: more than one arg with ref_obj_id ${found}`);
    }
    meta.refId = reg.refId;
    if (meta.has('KF_RELEASE')) meta.releaseRegister = number;
  }
  const target = targetOf(meta.btf, param.type);
  const rule = pointerRule(env, meta, index, target);
  if (rule === 'null') return false;
  if (rule === 'map') noteMap(env, meta, number);
  if (rule === 'map' || rule === 'alloc_btf_id' || rule === 'btf_id') checkTrust(env, meta, number);
  const releases = meta.has('KF_RELEASE') && reg.refId !== 0;
  checkArgumentOffset(env, number, releases ? { base: 'btf_id', release: true } : { base: 'btf_id' });
  checkByRule(env, meta, index, rule, target);
  return rule === 'mem_size';
}

function noteMap(env: Env, meta: KfuncMeta, number: number): void {
  const reg = env.reg(number);
  const { map, of } = reg;
  if (map === undefined || of?.kind !== 'map') {
    // Linux keeps what these know where others have their map; what they are is looked at later.
    const passes = reg.kind === 'btf_id' || (of?.kind === 'mem' && of.size > 0);
    if (passes && meta.map === undefined) return;
    throw env.reject('EINVAL', `pointer in R${number} isn't map pointer`);
  }
  // Linux 6.18 looks into the fields of the second map, whether it has any or not, and crashes.
  if (meta.map !== undefined && map.fields === undefined)
    throw env.unsupported(`map '${map.name}' has no work queue, which Linux 6.18 does not survive`);
  if (meta.map !== undefined && map.fields?.has('wq', 'task_work')) {
    // Which lookup of an inner map each came from tells maps inside of maps apart.
    if (meta.map !== map || meta.mapUid !== of.uid) {
      const later = map.fields.has('task_work');
      const [what, a, b] = later ? ['bpf_task_work', 2, 3] : ['workqueue', 1, 2];
      const found = `pointer in R${a} map_uid=${meta.mapUid} doesn't match map pointer in R${b} map_uid=${of.uid}`;
      throw env.reject('EINVAL', `${what} ${found}`);
    }
  }
  meta.map = map;
  meta.mapUid = of.uid;
}

/** Every kfunc wants objects that live while it runs; some are content with what RCU keeps. */
function checkTrust(env: Env, meta: KfuncMeta, number: number): void {
  const reg = env.reg(number);
  if (isTrusted(reg)) return;
  if (!meta.has('KF_RCU')) throw env.reject('EINVAL', `R${number} must be referenced or trusted`);
  if (!reg.has(MEM_RCU)) throw env.reject('EINVAL', `R${number} must be a rcu pointer`);
}

function checkByRule(env: Env, meta: KfuncMeta, index: number, rule: PointerRule, target: Target): void {
  const number = index + 1;
  const reg = env.reg(number);
  const refuse = (what: string) => env.reject('EINVAL', `arg#${index} ${what}`);
  switch (rule) {
    case 'ctx':
      if (reg.kind !== 'ctx') throw refuse(`expected pointer to ctx, but got ${typeName(reg)}`);
      if (meta.name === 'bpf_cast_to_kern_ctx') meta.returnId = kernelContext(env, meta);
      return;
    case 'alloc_btf_id':
      checkAllocated(env, meta, index);
      return;
    case 'dynptr':
      checkKfuncDynptr(env, meta, number);
      return;
    case 'iter':
      checkIterator(env, meta, number, target);
      return;
    case 'list_head':
    case 'rb_root':
      checkGraphRoot(env, number, rule, meta);
      return;
    case 'list_node':
    case 'rb_node':
      checkGraphNode(env, number, rule, meta);
      return;
    case 'map':
      checkTyped(env, meta, index, targetNamed(env, meta, 'bpf_map'));
      return;
    case 'btf_id':
      if (
        (reg.kind !== 'btf_id' || (hasUnsafeFlags(reg) && !reg.has(MEM_RCU))) &&
        KERNEL_TYPES[reg.kind] === undefined
      ) {
        const trusted = reg.with({ flags: reg.flags & ~(MAYBE_NULL | PTR_UNTRUSTED | MEM_RCU | MEM_PERCPU) });
        throw refuse(`is ${typeName(reg)} expected ${typeName(trusted)} or socket`);
      }
      checkTyped(env, meta, index, target);
      return;
    case 'mem':
      checkMemory(env, number, meta.btf.sizeOf(target.id));
      return;
    case 'mem_size':
      checkSized(env, meta, index);
      return;
    case 'callback':
      if (reg.of?.kind !== 'func') throw env.reject('EINVAL', `arg${index} expected pointer to func`);
      meta.subprog = reg.of.subprog;
      return;
    case 'refcounted_kptr':
      checkRefcounted(env, meta, index);
      return;
    case 'const_str':
      if (reg.kind !== 'map_value') throw refuse("doesn't point to a const string");
      checkConstantString(env, number);
      return;
    case 'wq':
    case 'task_work':
      if (reg.kind !== 'map_value' || reg.flags !== 0) throw refuse("doesn't point to a map value");
      checkMapField(env, number, rule);
      meta.map = reg.map;
      meta.mapUid = reg.of?.kind === 'map' ? reg.of.uid : 0;
      return;
    case 'irq_flag': {
      if (reg.kind !== 'fp') throw refuse("doesn't point to an irq flag on stack");
      const family = meta.name.startsWith('bpf_res_spin_') ? 'lock' : 'native';
      if (/save$/.test(meta.name)) saveIrqFlag(env, number, family);
      else restoreIrqFlag(env, number, family);
      return;
    }
    case 'res_spin_lock': {
      const plain = reg.kind === 'btf_id' && reg.flags === MEM_ALLOC;
      if (!(reg.kind === 'map_value' && reg.flags === 0) && !plain)
        throw refuse("doesn't point to map value or allocated object");
      const locks = !meta.name.includes('unlock');
      processSpinLock(env, number, { locks, resilient: true, irq: meta.name.includes('irq') });
      return;
    }
    default:
  }
}

/** The kernel's own structure behind a context (Linux: get_kern_ctx_btf_id). */
function kernelContext(env: Env, { btf }: KfuncMeta): number {
  const { type = 'syscall' } = env.program;
  const name = KERNEL_CONTEXTS[type];
  const id = name === undefined ? undefined : btf.idOf(name, 'struct');
  if (id === undefined) throw env.reject('EINVAL', 'kern ctx type id 0 is not a struct');
  return id;
}

function targetNamed(env: Env, { btf }: KfuncMeta, name: string): Target {
  const id = btf.idOf(name, 'struct');
  if (id === undefined) throw env.unsupported(`struct ${name} is not known here`);
  return { id, name, isStruct: true, isVoid: false };
}

/** An object that the program allocated, to be given back. */
function checkAllocated(env: Env, meta: KfuncMeta, index: number): void {
  const reg = env.reg(index + 1);
  const percpu = reg.flags === (MEM_ALLOC | MEM_PERCPU);
  if (reg.kind !== 'btf_id' || (reg.flags !== MEM_ALLOC && !percpu))
    throw env.reject('EINVAL', `arg#${index} expected pointer to allocated object`);
  const drop = percpu ? 'bpf_percpu_obj_drop_impl' : 'bpf_obj_drop_impl';
  if (meta.name !== drop) throw env.reject('EINVAL', `arg#${index} expected for ${drop}()`);
  if (reg.refId === 0) throw env.reject('EINVAL', 'allocated object must be referenced');
  if (reg.of?.kind === 'btf') {
    meta.argBtf = reg.of.btf;
    meta.argBtfId = reg.of.id;
  }
}

function checkIterator(env: Env, meta: KfuncMeta, number: number, { id }: Target): void {
  if (meta.name === 'bpf_iter_css_task_new' && !env.sleepable && !isIterator(env.program)) {
    const rule = 'css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs';
    throw env.reject('EINVAL', rule);
  }
  const use: IteratorUse = meta.has('KF_ITER_NEW')
    ? 'new'
    : meta.has('KF_ITER_NEXT')
      ? 'next'
      : meta.has('KF_ITER_DESTROY')
        ? 'destroy'
        : 'use';
  const guard = !meta.has('KF_RCU_PROTECTED') ? 0 : inRcuSection(env) ? MEM_RCU : PTR_UNTRUSTED;
  meta.iterator = checkIteratorArgument(env, number, { btf: meta.btf, id }, use, meta.name, guard);
  meta.refId = meta.iterator.refId;
}

/** Types of these names are the same, though neither is a part of the other (Linux: btf_type_ids_nocast_alias). */
function areAliases(a: string, b: string): boolean {
  return a === `${b}___init` || b === `${a}___init`;
}

/** Programs see these by another name than the kernel (Linux: btf_is_projection_of). */
const PROJECTIONS: Readonly<Record<string, string>> = { __sk_buff: 'sk_buff', xdp_md: 'xdp_buff' };

/** A pointer to a structure of the kernel's (Linux: process_kf_arg_ptr_to_btf_id). */
function checkTyped(env: Env, meta: KfuncMeta, index: number, target: Target): void {
  const reg = env.reg(index + 1);
  const { kernelBtf } = env.program;
  const kind = KERNEL_TYPES[reg.kind];
  const btf = reg.of?.kind === 'btf' ? reg.of.btf : kernelBtf;
  const id = reg.of?.kind === 'btf' ? reg.of.id : (kind && kernelBtf?.idOf(kind, 'struct')) || 0;
  if (btf === undefined) throw env.unsupported('the kernel has no types');
  const name = btf.nameOf(id);
  const strict = (meta.has('KF_RELEASE') && reg.refId !== 0) || areAliases(name, target.name);
  const same = matchesStruct(
    { btf, id },
    reg.off,
    { btf: meta.btf, id: target.id },
    strict,
    !reg.has(MEM_ALLOC),
  );
  if (same || PROJECTIONS[target.name] === name) return;
  const wanted = `args#${index} expected pointer to ${typeText(meta.btf, target.id)}`;
  const found = `R${index + 1} has a pointer to ${typeText(btf, id)}`;
  throw env.reject('EINVAL', `kernel function ${meta.name} ${wanted} but ${found}`);
}

/** Does something with a register as though it could not be NULL: what it tells must not be seen afterwards. */
function withoutNull(env: Env, number: number, check: () => void): void {
  const reg = env.reg(number);
  if (reg.maybeNull) env.frame.regs[number] = reg.with({ flags: reg.flags & ~MAYBE_NULL });
  check();
  if (reg.maybeNull) env.frame.regs[number] = reg;
}

/** Memory of a fixed size, which the kfunc may read and write (Linux: check_mem_reg). */
function checkMemory(env: Env, number: number, size: number): void {
  if (isNull(env.reg(number))) return;
  withoutNull(env, number, () => {
    checkMemoryArgument(env, number, size, true);
    checkMemoryArgument(env, number, size, true, 'write');
  });
}

function checkSized(env: Env, meta: KfuncMeta, index: number): void {
  const { params } = meta.proto;
  const number = index + 1;
  const optional = params[index].name.endsWith('__opt');
  if (!isNull(env.reg(number)) || !optional) {
    try {
      withoutNull(env, number, () => {
        checkSizeArgument(env, number + 1, true);
        checkSizeArgument(env, number + 1, true, 'write');
      });
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      const pair = `arg#${index} arg#${index + 1} memory, len pair`;
      throw env.reject(error.code, `${pair} leads to invalid memory access`);
    }
  }
  if (params[index + 1].name.endsWith('__szk')) noteConstant(env, meta, number + 1);
}

/** An object that counts its references. */
function checkRefcounted(env: Env, meta: KfuncMeta, index: number): void {
  const reg: Reg = env.reg(index + 1);
  if (!isAllocated(reg) || reg.of?.kind !== 'btf')
    throw env.reject('EINVAL', `arg#${index} is neither owning or non-owning ref`);
  if (!isNonOwning(reg) && reg.refId !== 0) meta.owningRef = true;
  const record = recordOf(env, reg);
  if (record === undefined) throw env.reject('EFAULT', "verifier bug: Couldn't find btf_record");
  if (!record.has('refcount'))
    throw env.reject('EINVAL', `arg#${index} doesn't point to a type with bpf_refcount field`);
  meta.argBtf = reg.of.btf;
  meta.argBtfId = reg.of.id;
}
