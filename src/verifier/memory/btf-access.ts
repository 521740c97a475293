import type { Btf } from '../../btf/index.ts';
import { walkStruct } from '../btf-walk.ts';
import type { Env } from '../env.ts';
import { FIELD_KINDS, structFields } from '../fields.ts';
import { isGplCompatible } from '../license.ts';
import { inRcuSection } from '../regions.ts';
import {
  MAYBE_NULL,
  MEM_ALLOC,
  MEM_PERCPU,
  MEM_RCU,
  MEM_RDONLY,
  MEM_USER,
  NON_OWN_REF,
  PTR_TRUSTED,
  PTR_UNTRUSTED,
  pointer,
  type Reg,
  UNKNOWN_SCALAR,
} from '../state/reg.ts';
import { isTrusted } from '../trust.ts';
import type { Access } from './access.ts';
import { tnumText } from './stack.ts';

/**
 * Loads and stores through typed pointers (Linux: check_ptr_to_btf_access): fields of kernel structures may be read, those
 * of objects that the program allocated be written too. How far a loaded pointer can be trusted follows from the one it was
 * loaded through.
 */

/** @returns what a load gives. */
export function accessBtf(env: Env, base: number, off: number, size: number, access: Access): Reg {
  const reg = env.reg(base);
  const { of } = reg;
  if (of?.kind !== 'btf') throw env.unsupported(`R${base} points to a type that is not known`);
  const { btf, id } = of;
  const name = btf.nameOf(id);
  const local = reg.has(MEM_ALLOC);
  if (!isGplCompatible(env.program.license) && btf === env.program.kernelBtf)
    throw env.reject('EINVAL', `Cannot access kernel 'struct ${name}' from non-GPL compatible program`);
  const refuse = (problem: string) => env.reject('EACCES', `R${base} is ptr_${name} ${problem}`);
  if (off < 0) throw refuse(`invalid negative access: off=${off}`);
  if (!reg.scalar.isConst() || reg.scalar.smaxNumber() !== 0)
    throw refuse(`invalid variable offset: off=${off}, var_off=${tnumText(reg.scalar)}`);
  if (reg.has(MEM_USER)) throw refuse(`access user memory: off=${off}`);
  if (reg.has(MEM_PERCPU)) throw refuse(`access percpu memory: off=${off}`);
  if (access === 'write') {
    if (reg.has(PTR_UNTRUSTED)) throw env.reject('EACCES', 'only read is supported');
    if (!local) {
      checkKernelWrite(env, btf, id, off, size);
      return UNKNOWN_SCALAR;
    }
  }
  return fieldAt(env, reg, btf, id, off, size);
}

/** Programs that see packets may mark connections (Linux: nf_conntrack_btf_struct_access). */
function checkKernelWrite(env: Env, btf: Btf, id: number, off: number, size: number): void {
  const { type = 'syscall' } = env.program;
  const connection = /^nf_conn(___init)?$/.test(btf.nameOf(id));
  if (!connection || (type !== 'xdp' && type !== 'sched_cls' && type !== 'sched_act'))
    throw env.reject('EACCES', 'only read is supported');
  const conn = btf.type(btf.idOf('nf_conn', 'struct') ?? 0);
  const mark = conn.kind === 'struct' ? conn.members.find((each) => each.name === 'mark') : undefined;
  const at = (mark?.bitOffset ?? 0) / 8;
  if (mark === undefined || off !== at)
    throw env.reject('EACCES', `no write support to nf_conn at off ${off}`);
  if (size <= 4) return;
  const where = `off ${off} with size ${size} beyond the member of nf_conn ended at ${at + 4}`;
  throw env.reject('EACCES', `write access at ${where}`);
}

/** What is there (Linux: btf_struct_access), and how far a pointer that is there can be trusted. */
function fieldAt(env: Env, reg: Reg, btf: Btf, start: number, off: number, size: number): Reg {
  const local = reg.has(MEM_ALLOC);
  if (local) checkSpecialFields(env, btf, start, off, size);
  let id = start;
  let at = off;
  let flags = 0;
  for (;;) {
    const walked = walkStruct(btf, id, at, size, !local, flags);
    switch (walked.found) {
      case 'scalar':
        return UNKNOWN_SCALAR;
      case 'nothing':
        throw env.reject(walked.code, walked.message);
      case 'struct':
        id = walked.id;
        flags = walked.flags;
        at = 0;
        continue;
      case 'other pointer':
        // Nothing is known of what it points to; a load through it is safe anyway.
        return pointer('mem', { flags: MEM_RDONLY | PTR_UNTRUSTED, of: { kind: 'mem', size: 0 } });
      case 'pointer': {
        if (local) return UNKNOWN_SCALAR;
        const trust = trustOf(env, reg, walked.field, walked.id, walked.flags, btf);
        const nullable = (trust & MAYBE_NULL) !== 0;
        return pointer('btf_id', {
          flags: trust,
          id: nullable ? env.newId() : 0,
          of: { kind: 'btf', btf, id: walked.id },
        });
      }
    }
  }
}

/** Locks, nodes and their like in an object of the program's are not for loads and stores. */
function checkSpecialFields(env: Env, btf: Btf, id: number, off: number, size: number): void {
  for (const field of structFields(btf, id, env.program.kernelBtf)?.fields ?? []) {
    if (off < field.off + field.size && field.off < off + size)
      throw env.reject('EACCES', `direct access to ${FIELD_KINDS[field.kind].name} is disallowed`);
  }
}

/** Fields whose pointers can be trusted, by structure (Linux: BTF_TYPE_SAFE_*). */
interface SafeFields {
  /** Under RCU, and never NULL. */
  readonly rcu?: readonly string[];
  /** Under RCU, or NULL. */
  readonly rcuOrNull?: readonly string[];
  /** Always, and never NULL. */
  readonly trusted?: readonly string[];
  readonly trustedOrNull?: readonly string[];
}

const SAFE: Readonly<Record<string, SafeFields>> = {
  task_struct: { rcu: ['cpus_ptr', 'cgroups', 'real_parent', 'group_leader'] },
  cgroup: { rcu: ['kn'] },
  css_set: { rcu: ['dfl_cgrp'] },
  cgroup_subsys_state: { rcu: ['cgroup'] },
  mm_struct: { rcuOrNull: ['exe_file'] },
  sk_buff: { rcuOrNull: ['sk'] },
  request_sock: { rcuOrNull: ['sk'] },
  bpf_iter_meta: { trusted: ['seq'] },
  bpf_iter__task: { trusted: ['meta', 'task'] },
  linux_binprm: { trusted: ['file'] },
  file: { trusted: ['f_inode'] },
  socket: { trustedOrNull: ['sk'] },
  vm_area_struct: { trustedOrNull: ['vm_mm', 'vm_file'] },
};

const TRUST = MEM_ALLOC | PTR_TRUSTED | MEM_RCU;

function trustOf(env: Env, reg: Reg, field: string, id: number, tags: number, btf: Btf): number {
  void id;
  if (reg.has(PTR_UNTRUSTED)) return PTR_UNTRUSTED;
  // What is loaded through a pointer of unknown standing has none itself, as of old.
  if (!isTrusted(reg) && !reg.has(MEM_RCU)) return tags & ~TRUST;
  const name = reg.of?.kind === 'btf' ? btf.nameOf(reg.of.id) : '';
  const safe = Object.hasOwn(SAFE, name) ? SAFE[name] : {};
  if (safe.trusted?.includes(field)) return tags | PTR_TRUSTED;
  if (safe.trustedOrNull?.includes(field)) return tags | PTR_TRUSTED | MAYBE_NULL;
  if (!inRcuSection(env) || reg.maybeNull) return PTR_UNTRUSTED;
  if (safe.rcu?.includes(field)) return tags | MEM_RCU;
  const orNull = safe.rcuOrNull?.includes(field) === true;
  if ((tags & MEM_RCU) !== 0 || orNull) return (orNull ? tags & ~PTR_UNTRUSTED : tags) | MEM_RCU | MAYBE_NULL;
  if ((tags & (MEM_PERCPU | MEM_USER)) !== 0) return tags;
  return tags & ~TRUST;
}

/** Linux: type_is_ptr_alloc_obj. */
export function isAllocated(reg: Reg): boolean {
  return reg.kind === 'btf_id' && reg.has(MEM_ALLOC);
}

/** Linux: type_is_non_owning_ref. */
export function isNonOwning(reg: Reg): boolean {
  return isAllocated(reg) && reg.has(NON_OWN_REF);
}

/** The structure of each map type (Linux: map_btf_id); fields of maps may be read. */
const MAP_STRUCTURES: Readonly<Record<number, string>> = {
  1: 'bpf_htab',
  2: 'bpf_array',
  3: 'bpf_array',
  4: 'bpf_array',
  5: 'bpf_htab',
  6: 'bpf_array',
  7: 'bpf_stack_map',
  8: 'bpf_array',
  9: 'bpf_htab',
  10: 'bpf_htab',
  11: 'lpm_trie',
  12: 'bpf_array',
  13: 'bpf_htab',
  14: 'bpf_dtab',
  15: 'bpf_stab',
  16: 'bpf_cpu_map',
  17: 'xsk_map',
  18: 'bpf_shtab',
  19: 'bpf_cgroup_storage_map',
  20: 'reuseport_array',
  21: 'bpf_cgroup_storage_map',
  22: 'bpf_queue_stack',
  23: 'bpf_queue_stack',
  24: 'bpf_local_storage_map',
  25: 'bpf_dtab',
  26: 'bpf_struct_ops_map',
  27: 'bpf_ringbuf_map',
  28: 'bpf_local_storage_map',
  29: 'bpf_local_storage_map',
  30: 'bpf_bloom_filter',
  31: 'bpf_ringbuf_map',
  32: 'bpf_local_storage_map',
  33: 'bpf_arena',
};

/** A load of a map's own fields (Linux: check_ptr_to_map_access). */
export function accessMapPointer(env: Env, base: number, off: number, size: number, access: Access): Reg {
  const { map } = env.reg(base);
  const { kernelBtf } = env.program;
  const name = MAP_STRUCTURES[map?.type ?? 0];
  if (name === undefined) throw env.unsupported(`the structure of map type ${map?.type} is not known`);
  if (off < 0) throw env.reject('EACCES', `R${base} is ${name} invalid negative access: off=${off}`);
  if (access === 'write') throw env.reject('EACCES', `only read from ${name} is supported`);
  const id = kernelBtf?.idOf(name, 'struct');
  if (kernelBtf === undefined || id === undefined) throw env.unsupported(`struct ${name} is not known here`);
  const walk = pointer('btf_id', { of: { kind: 'btf', btf: kernelBtf, id } });
  return fieldAt(env, walk, kernelBtf, id, off, size);
}
