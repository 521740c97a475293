import { opcode } from '../../isa/opcodes.ts';
import { matchesStruct } from '../btf-walk.ts';
import type { Env } from '../env.ts';
import { markPrecise } from '../explore/precision.ts';
import { GRAPH_NODES, type SpecialField, structFields } from '../fields.ts';
import { inRcuSection } from '../regions.ts';
import { typeName } from '../state/print.ts';
import {
  MAYBE_NULL,
  MEM_ALLOC,
  MEM_PERCPU,
  MEM_RCU,
  NON_OWN_REF,
  PTR_TRUSTED,
  PTR_UNTRUSTED,
  pointer,
  type Reg,
} from '../state/reg.ts';
import { isNull } from '../values.ts';
import { checkUnmoved } from './context-access.ts';

/** Pointers to kernel objects that a map's value holds (Linux: check_map_kptr_access, map_kptr_match_type). */

/** Kernel types whose objects outlive the last reference to them by an RCU period (Linux: rcu_protected_types). */
const RCU_PROTECTED: readonly string[] = [
  'prog_test_ref_kfunc',
  'cgroup',
  'bpf_cpumask',
  'task_struct',
  'bpf_crypto_ctx',
];

/** A load or store of one. @returns what a load gives. */
export function accessKptr(env: Env, value: number, field: SpecialField): Reg | undefined {
  const insn = env.insns[env.at];
  const row = opcode(insn.code);
  if ((row?.kind !== 'load' && row?.kind !== 'store') || (row.kind === 'load' && row.signed === true))
    throw env.reject('EACCES', 'kptr in map can only be accessed using BPF_MEM instruction mode');
  if (row.kind === 'load') return loadedKptr(env, field);
  if (field.kind !== 'kptr_unref') throw env.reject('EACCES', 'store to referenced kptr disallowed');
  if (value < 0) {
    if (insn.imm === 0) return undefined;
    throw env.reject('EACCES', `BPF_ST imm must be 0 when storing to kptr at off=${field.off}`);
  }
  if (isNull(env.reg(value))) markPrecise(env, value);
  else matchKptr(env, value, field);
  return undefined;
}

/** What is loaded is NULL, or worth as much as RCU makes it (Linux: btf_ld_kptr_type). */
function loadedKptr(env: Env, field: SpecialField): Reg {
  const { pointee } = field;
  if (pointee === undefined) throw env.unsupported('a kptr of unknown type');
  const { btf, id } = pointee;
  const local = btf !== env.program.kernelBtf;
  const safe =
    field.kind === 'kptr_percpu' ||
    (field.kind === 'kptr_ref' && (local || RCU_PROTECTED.includes(btf.nameOf(id))));
  let flags = MAYBE_NULL;
  if (safe && inRcuSection(env)) {
    flags |= MEM_RCU;
    if (field.kind === 'kptr_percpu') flags |= MEM_PERCPU;
    else if (local) flags |= MEM_ALLOC;
    if (local && structFields(btf, id, env.program.kernelBtf)?.has(...GRAPH_NODES)) flags |= NON_OWN_REF;
  } else flags |= PTR_UNTRUSTED;
  return pointer('btf_id', { flags, id: env.newId(), of: { kind: 'btf', btf, id } });
}

/** Refuses to put register `number` where the field is. */
export function matchKptr(env: Env, number: number, field: SpecialField): void {
  const reg = env.reg(number);
  const { pointee, kind } = field;
  if (pointee === undefined) throw env.unsupported('a kptr of unknown type');
  const { of } = reg;
  const badType = (name: string) => {
    const wanted = pointee.btf.nameOf(pointee.id);
    const or = kind === 'kptr_unref' ? ` or untrusted_ptr_${wanted}` : '';
    const found = `R${number} type=${typeName(reg)}${name}`;
    return env.reject('EACCES', `invalid kptr access, ${found} expected=ptr_${wanted}${or}`);
  };
  if (reg.kind !== 'btf_id' || of?.kind !== 'btf') throw badType('');
  const local = of.btf !== env.program.kernelBtf;
  const allowed = local
    ? MAYBE_NULL | MEM_ALLOC | (kind === 'kptr_percpu' ? MEM_PERCPU : 0)
    : MAYBE_NULL | PTR_TRUSTED | MEM_RCU | (kind === 'kptr_unref' ? PTR_UNTRUSTED : 0);
  if ((reg.flags & ~allowed) !== 0) throw badType('');
  const name = of.btf.nameOf(of.id);
  checkUnmoved(env, number, true);
  if (!matchesStruct(of, reg.off, pointee, kind !== 'kptr_unref', !reg.has(MEM_ALLOC))) throw badType(name);
}
