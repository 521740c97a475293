import { BPF_F_INNER_MAP } from '../../object/map-flags.ts';
import type { Env } from '../env.ts';
import type { HelperPrototype } from '../helpers/prototype.ts';
import { isArrayType, isSocketMap } from '../map-rules.ts';
import { fromSignedRange } from '../scalar/scalar.ts';
import { acquireReference } from '../state/references.ts';
import {
  MAYBE_NULL,
  MEM_ALLOC,
  MEM_PERCPU,
  MEM_RCU,
  MEM_RDONLY,
  MEM_RINGBUF,
  NOT_INIT,
  PTR_TRUSTED,
  pointer,
  type Reg,
  UNKNOWN_SCALAR,
} from '../state/reg.ts';
import type { CallMeta } from './meta.ts';

/** What r0 holds behind a helper call (Linux: check_helper_call, from ret_type on). */

/** CPUs that there may be (CONFIG_NR_CPUS of the embedded kernel). */
const MAX_CPUS = 64;
const MAX_ERRNO = 4095;

export function resultOf(env: Env, row: HelperPrototype, meta: CallMeta): Reg {
  let reg = bareResult(env, row, meta);
  if (reg.maybeNull) reg = reg.withId(env.newId());
  if (row.casts || row.name === 'dynptr_data') return reg.with({ refId: meta.refId });
  const finds = row.name === 'map_lookup_elem' && meta.map !== undefined && isSocketMap(meta.map.type);
  if (!row.acquires && !finds) return reg;
  const id = acquireReference(env);
  return reg.with({ id, refId: id });
}

function bareResult(env: Env, row: HelperPrototype, meta: CallMeta): Reg {
  switch (row.returns) {
    case 'integer':
    case 'u32':
    case 'u64':
      return integerOf(row, meta);
    case 'void':
      return NOT_INIT;
    case 'map_value':
    case 'map_value_or_null':
      return mapValue(env, row, meta);
    case 'sock_or_null':
      return pointer('sock', { flags: MAYBE_NULL });
    case 'sock_common_or_null':
      return pointer('sock_common', { flags: MAYBE_NULL });
    case 'tcp_sock_or_null':
      return pointer('tcp_sock', { flags: MAYBE_NULL });
    case 'ringbuf_mem_or_null':
      return pointer('mem', { flags: MAYBE_NULL | MEM_RINGBUF, of: { kind: 'mem', size: meta.memSize } });
    case 'dynptr_mem_or_null': {
      const slice = { id: meta.dynptrId, packet: false };
      return pointer('mem', { flags: MAYBE_NULL, of: { kind: 'mem', size: meta.memSize, slice } });
    }
    case 'mem_or_btf_id':
      return percpuValue(env, meta, MEM_RDONLY);
    case 'mem_or_btf_id_or_null':
      return percpuValue(env, meta, MEM_RDONLY | MAYBE_NULL);
    case 'btf_id':
      return kernelObject(env, row, 0);
    case 'btf_id_or_null':
      if (row.name === 'kptr_xchg') return exchangedKptr(env, meta);
      return kernelObject(env, row, MAYBE_NULL);
    case 'btf_id_trusted':
      return kernelObject(env, row, PTR_TRUSTED);
  }
}

/** Numbers of which something is known (Linux: do_refine_retval_range). */
function integerOf({ name }: HelperPrototype, { maxSize }: CallMeta): Reg {
  switch (name) {
    case 'get_stack':
    case 'get_task_stack':
    case 'probe_read_str':
    case 'probe_read_kernel_str':
    case 'probe_read_user_str':
      return UNKNOWN_SCALAR.withScalar(fromSignedRange(-MAX_ERRNO, maxSize));
    case 'get_smp_processor_id':
      return UNKNOWN_SCALAR.withScalar(fromSignedRange(0, MAX_CPUS - 1));
    default:
      return UNKNOWN_SCALAR;
  }
}

function mapValue(env: Env, row: HelperPrototype, { map, mapUid, constantKey }: CallMeta): Reg {
  if (map === undefined) throw env.unsupported(`bpf_${row.name} without a map`);
  const there =
    row.returns === 'map_value' ||
    (row.name === 'map_lookup_elem' &&
      isArrayType(map.type) &&
      // What is found in a map of maps may have fewer elements than the one that it is described by.
      (map.flags & BPF_F_INNER_MAP) === 0 &&
      constantKey >= 0 &&
      constantKey < map.maxEntries);
  // Which value's lock is taken is told apart by the pointer's id.
  const locks = map.fields?.fields.some(({ kind }) => kind === 'spin_lock' || kind === 'res_spin_lock');
  const id = there && locks ? env.newId() : 0;
  const of = { kind: 'map', map, uid: mapUid } as const;
  return pointer('map_value', { flags: there ? 0 : MAYBE_NULL, id, of });
}

/** A CPU's copy of a variable of the kernel's, or of an object: an object again, or plain memory. */
function percpuValue(env: Env, { returnBtf: btf, returnBtfId, percpuObject }: CallMeta, flags: number): Reg {
  if (btf === undefined) throw env.unsupported('it reads a variable of the kernel that is not known');
  const id = btf.resolve(returnBtfId);
  if (percpuObject)
    return pointer('btf_id', {
      flags: MEM_ALLOC | MEM_RCU | (flags & MAYBE_NULL),
      of: { kind: 'btf', btf, id },
    });
  if (btf.type(id).kind === 'struct')
    return pointer('btf_id', { flags: flags & ~MEM_RDONLY, of: { kind: 'btf', btf, id } });
  return pointer('mem', { flags, of: { kind: 'mem', size: btf.sizeOf(id) } });
}

/** What was in the map before. */
function exchangedKptr(env: Env, { kptr }: CallMeta): Reg {
  if (kptr?.pointee === undefined) throw env.unsupported('a kptr of unknown type');
  const { btf, id } = kptr.pointee;
  let flags = MAYBE_NULL;
  if (btf !== env.program.kernelBtf) flags |= MEM_ALLOC | (kptr.kind === 'kptr_percpu' ? MEM_PERCPU : 0);
  return pointer('btf_id', { flags, of: { kind: 'btf', btf, id } });
}

function kernelObject(env: Env, { name, returnsType = '' }: HelperPrototype, flags: number): Reg {
  const btf = env.program.kernelBtf;
  const id = btf?.idOf(returnsType, 'struct');
  if (btf === undefined || id === undefined)
    throw env.unsupported(`bpf_${name} returns a pointer to struct ${returnsType}, which is not known here`);
  return pointer('btf_id', { flags, of: { kind: 'btf', btf, id } });
}
