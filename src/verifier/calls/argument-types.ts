import type { Env } from '../env.ts';
import type { ArgumentBase, ArgumentRule } from '../helpers/arguments.ts';
import { typeName } from '../state/print.ts';
import {
  MAYBE_NULL,
  MEM_ALLOC,
  MEM_PERCPU,
  MEM_RCU,
  MEM_RDONLY,
  MEM_RINGBUF,
  PTR_TRUSTED,
  pointer,
  type Reg,
  type RegKind,
} from '../state/reg.ts';
import { matchesKernelType } from './kernel-types.ts';

/** Which registers an argument takes (Linux: compatible_reg_types, check_reg_type). */

const kinds = (...names: (RegKind | readonly [RegKind, number])[]): readonly Reg[] =>
  names.map((each) => (typeof each === 'string' ? pointer(each) : pointer(each[0], { flags: each[1] })));

const MEMORY = kinds('fp', 'pkt', 'pkt_meta', 'map_key', 'map_value', 'mem', ['mem', MEM_RINGBUF], 'buf', [
  'btf_id',
  PTR_TRUSTED,
]);
const NUMBER = kinds('scalar');
const SOCKETS = kinds('sock_common', 'sock', 'tcp_sock', 'xdp_sock');

/** By argument, in the order in which Linux lists them. */
const EXPECTED: Readonly<Record<Exclude<ArgumentBase, 'unchecked' | 'anything'>, readonly Reg[]>> = {
  scalar: NUMBER,
  size: NUMBER,
  alloc_size: NUMBER,
  const_map_ptr: kinds('map_ptr'),
  map_key: MEMORY,
  map_value: MEMORY,
  mem: MEMORY,
  ctx: kinds('ctx'),
  sock: kinds('sock'),
  sock_common: SOCKETS,
  btf_sock_common: [...SOCKETS, ...kinds('btf_id', ['btf_id', PTR_TRUSTED])],
  btf_id: kinds('btf_id', ['btf_id', PTR_TRUSTED], ['btf_id', MEM_RCU]),
  percpu_btf_id: kinds(
    ['btf_id', MEM_PERCPU],
    ['btf_id', MEM_PERCPU | MEM_RCU],
    ['btf_id', MEM_PERCPU | PTR_TRUSTED],
  ),
  spin_lock: kinds('map_value', ['btf_id', MEM_ALLOC]),
  timer: kinds('map_value'),
  kptr_dest: kinds('map_value', ['btf_id', MEM_ALLOC]),
  func: kinds('func'),
  stack: kinds('fp'),
  const_str: kinds('map_value'),
  ringbuf_mem: kinds(['mem', MEM_RINGBUF]),
  dynptr: kinds('fp', 'dynptr'),
};

/** Flags of objects of the program's, and of per-CPU ones, that any argument of their kind takes. */
const OBJECTS: readonly number[] = [
  MEM_ALLOC,
  MEM_ALLOC | MEM_PERCPU,
  MEM_PERCPU,
  MEM_PERCPU | MEM_RCU,
  MEM_PERCPU | PTR_TRUSTED,
];

/** Refuses a register that the argument does not take. @param helper its name, `kptr_xchg`. */
export function checkArgumentType(env: Env, number: number, rule: ArgumentRule, helper: string): void {
  if (rule.base === 'unchecked' || rule.base === 'anything') return;
  const expected = EXPECTED[rule.base];
  const reg = env.reg(number);
  let { flags } = reg;
  if (rule.readOnly) flags &= ~MEM_RDONLY;
  if (rule.nullable) flags &= ~MAYBE_NULL;
  // Objects that the program made itself may be put into a map too.
  if (helper === 'kptr_xchg' && number === 2) flags &= ~(MEM_ALLOC | MEM_PERCPU);
  if (!expected.some((each) => each.kind === reg.kind && each.flags === flags))
    throw wrongType(env, number, expected.map(typeName).join(', '));
  if (reg.kind !== 'btf_id') return;
  if (expected === MEMORY) {
    if (rule.readOnly) return;
    const problem = `bpf_${helper}() may write into memory pointed by R${number} type=${typeName(reg)}`;
    throw env.reject('EACCES', problem);
  }
  if (reg.has(MEM_ALLOC | MEM_PERCPU)) {
    if (OBJECTS.includes(reg.flags)) return;
    throw env.reject('EFAULT', 'verifier bug: invalid PTR_TO_BTF_ID register for type match');
  }
  if (reg.maybeNull && (!rule.nullable || rule.release))
    throw env.reject('EACCES', `Possibly NULL pointer passed to helper arg${number}`);
  // What fits a kernel pointer depends on where it is put: see kptr.
  if (helper === 'kptr_xchg' || rule.type === undefined) return;
  const strict = rule.release === true && helper !== 'sk_release';
  matchesKernelType(env, number, rule.type, strict);
}

export function wrongType(env: Env, number: number, expected: string): Error {
  return env.reject('EACCES', `R${number} type=${typeName(env.reg(number))} expected=${expected}`);
}
