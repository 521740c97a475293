import type { Btf, BtfParam } from '../../btf/index.ts';
import type { Env } from '../env.ts';
import { KERNEL_TYPES } from '../trust.ts';
import { isNull } from '../values.ts';
import { CONTEXTS } from './context-names.ts';
import type { KfuncMeta } from './kfunc-meta.ts';

/**
 * Which rule a kfunc's pointer argument is under: by the end of its name, by the type that it points to, or by what the
 * register holds (Linux: get_kfunc_ptr_arg_type).
 */

export type PointerRule =
  | 'ctx'
  | 'alloc_btf_id'
  | 'refcounted_kptr'
  | 'dynptr'
  | 'iter'
  | 'list_head'
  | 'list_node'
  | 'rb_root'
  | 'rb_node'
  | 'btf_id'
  | 'mem'
  | 'mem_size'
  | 'callback'
  | 'null'
  | 'const_str'
  | 'map'
  | 'wq'
  | 'task_work'
  | 'irq_flag'
  | 'res_spin_lock';

const SUFFIXES: readonly (readonly [suffix: string, rule: PointerRule])[] = [
  ['__alloc', 'alloc_btf_id'],
  ['__refcounted_kptr', 'refcounted_kptr'],
];

/** By the structure that the argument points to. */
const STRUCTURES: Readonly<Record<string, PointerRule>> = {
  bpf_list_head: 'list_head',
  bpf_list_node: 'list_node',
  bpf_rb_root: 'rb_root',
  bpf_rb_node: 'rb_node',
};

const LATER_STRUCTURES: Readonly<Record<string, PointerRule>> = {
  bpf_wq: 'wq',
  bpf_task_work: 'task_work',
};

/** What a pointer argument points to, without modifiers. */
export interface Target {
  readonly id: number;
  readonly name: string;
  readonly isStruct: boolean;
  readonly isVoid: boolean;
}

export function targetOf(btf: Btf, type: number): Target {
  const pointer = btf.type(btf.resolve(type));
  const id = pointer.kind === 'ptr' ? btf.resolve(pointer.type) : 0;
  const kind = btf.kindOf(id);
  const isStruct = kind === 'struct' || kind === 'union';
  return { id, name: btf.nameOf(id), isStruct, isVoid: id === 0 };
}

/** A kind of type as messages name it (Linux: btf_type_str): `STRUCT cgroup`. */
export function typeText(btf: Btf, id: number): string {
  return `${id === 0 ? 'UNKNOWN' : btf.kindOf(id).toUpperCase()} ${btf.nameOf(id)}`;
}

export function pointerRule(env: Env, meta: KfuncMeta, index: number, target: Target): PointerRule {
  const { btf, proto, name: kfunc } = meta;
  const param = proto.params[index];
  const reg = env.reg(index + 1);
  const ends = (suffix: string) => param.name.endsWith(suffix);
  if (kfunc === 'bpf_cast_to_kern_ctx') return 'ctx';
  if (target.isStruct && CONTEXTS[env.program.type ?? 'syscall'] === target.name) return 'ctx';
  if (ends('__nullable') && isNull(reg)) return 'null';
  for (const [suffix, rule] of SUFFIXES) if (ends(suffix)) return rule;
  if (target.isStruct && target.name === 'bpf_dynptr') return 'dynptr';
  if (meta.isIterator ? index === 0 : ends('__iter')) return 'iter';
  if (target.isStruct && Object.hasOwn(STRUCTURES, target.name)) return STRUCTURES[target.name];
  if (ends('__str')) return 'const_str';
  if (ends('__map')) return 'map';
  if (target.isStruct && Object.hasOwn(LATER_STRUCTURES, target.name)) return LATER_STRUCTURES[target.name];
  if (ends('__irq_flag')) return 'irq_flag';
  if (target.isStruct && target.name === 'bpf_res_spin_lock') return 'res_spin_lock';
  if (reg.kind === 'btf_id' || KERNEL_TYPES[reg.kind] !== undefined) {
    if (target.isStruct) return 'btf_id';
    const where = `${kfunc} args#${index} pointer type ${typeText(btf, target.id)}`;
    throw env.reject('EINVAL', `kernel function ${where} is not supported`);
  }
  if (isCallback(btf, param)) return 'callback';
  const sized = isSize(env, btf, proto.params[index + 1], index + 2);
  if (isNumber(btf, target.id) || isStructOfNumbers(btf, target.id)) return sized ? 'mem_size' : 'mem';
  if (sized && target.isVoid) return 'mem_size';
  const what = `must point to ${sized ? 'void, ' : ''}scalar, or struct with scalar`;
  throw env.reject('EINVAL', `arg#${index} pointer type ${typeText(btf, target.id)} ${what}`);
}

function isCallback(btf: Btf, param: BtfParam): boolean {
  const type = btf.type(btf.resolve(param.type));
  return type.kind === 'ptr' && btf.kindOf(btf.resolve(type.type)) === 'func_proto';
}

/** Whether the argument is the size of the one before it. */
function isSize(env: Env, btf: Btf, param: BtfParam | undefined, number: number): boolean {
  if (param === undefined || !isNumber(btf, btf.resolve(param.type))) return false;
  return env.reg(number).kind === 'scalar' && /__szk?$/.test(param.name);
}

export function isNumber(btf: Btf, id: number): boolean {
  const kind = btf.kindOf(id);
  return kind === 'int' || kind === 'enum' || kind === 'enum64';
}

/** Structures may be nested this deep (Linux: __btf_type_is_scalar_struct). */
const MAX_NESTING = 3;

/** Memory that holds numbers alone can be handed to the kernel. */
export function isStructOfNumbers(btf: Btf, id: number, depth = 0): boolean {
  const type = btf.type(id);
  if ((type.kind !== 'struct' && type.kind !== 'union') || depth > MAX_NESTING) return false;
  return type.members.every((member) => {
    let inner = btf.resolve(member.type);
    const kind = btf.kindOf(inner);
    if (kind === 'struct' || kind === 'union') return isStructOfNumbers(btf, inner, depth + 1);
    const array = btf.type(inner);
    if (array.kind === 'array') {
      if (array.nelems === 0) return false;
      inner = btf.resolve(array.type);
    }
    return isNumber(btf, inner);
  });
}
