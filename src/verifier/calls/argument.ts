import type { Env } from '../env.ts';
import { markPrecise } from '../explore/precision.ts';
import { readReg } from '../explore/registers.ts';
import { ARGUMENTS, type ArgumentRule, type HelperArgument } from '../helpers/arguments.ts';
import type { HelperPrototype } from '../helpers/prototype.ts';
import type { MapInfo } from '../input.ts';
import { checkAlignment } from '../memory/alignment.ts';
import { checkUnmoved } from '../memory/context-access.ts';
import { processDynptr, stackObjectSlot } from '../memory/dynptr.ts';
import { matchKptr } from '../memory/kptr-access.ts';
import { noteAddress } from '../memory/stack-bounds.ts';
import { MEM_ALLOC, MEM_RCU, NON_OWN_REF, PTR_TRUSTED, type Reg, type RegKind } from '../state/reg.ts';
import { isNull } from '../values.ts';
import { checkArgumentType } from './argument-types.ts';
import { constantKey } from './constant-key.ts';
import { checkConstantString } from './constant-string.ts';
import { checkMemoryArgument, checkSizeArgument } from './memory-argument.ts';
import type { CallMeta } from './meta.ts';
import { processKptr, processLock, processTimer } from './special-arguments.ts';

/** One argument of a helper call (Linux: check_func_arg). What it tells of other arguments and the result goes into `meta`. */

const BPF_MAP_TYPE_SOCKMAP = 15;
const BPF_MAP_TYPE_SOCKHASH = 18;
const BPF_MAP_TYPE_BLOOM_FILTER = 30;

const ruleOf = (name: HelperArgument): ArgumentRule => ARGUMENTS[name];

export function checkArgument(env: Env, row: HelperPrototype, index: number, meta: CallMeta): void {
  const number = index + 1;
  let rule = ruleOf(row.args[index]);
  const reg = env.reg(number);
  if (rule.base === 'unchecked' || rule.base === 'anything') noteAddress(env, reg);
  if (rule.base === 'unchecked') return;
  readReg(env, number);
  if (rule.base === 'anything') return;
  const { readsPacket, anyHelperReadsPacket } = env.rules;
  if (isPacket(reg) && !(readsPacket && (row.packetAccess || anyHelperReadsPacket)))
    throw env.reject('EACCES', 'helper access to the packet is not allowed');
  if (rule.base === 'map_value') rule = mapValueRule(env, row, rule, meta);
  if (isNull(reg) && rule.nullable) {
    markPrecise(env, number);
  } else {
    checkArgumentType(env, number, rule, row.name);
    if (meta.kptr !== undefined && number === 2) matchKptr(env, number, meta.kptr);
    checkArgumentOffset(env, number, rule);
  }
  noteRelease(env, number, rule, meta);
  if (reg.refId !== 0 && rule.base !== 'kptr_dest') {
    if (meta.refId !== 0) {
      const found = `R${number} ${reg.refId} ${meta.refId}`;
      throw env.reject('EACCES', `more than one arg with ref_obj_id ${found}`);
    }
    meta.refId = reg.refId;
  }
  checkContent(env, row, index, rule, meta);
}

function isPacket({ kind }: Reg): boolean {
  return kind === 'pkt' || kind === 'pkt_meta' || kind === 'pkt_end';
}

/** Maps of sockets take sockets for values, and a bloom filter's value is read by peek (Linux: resolve_map_arg_type). */
function mapValueRule(env: Env, row: HelperPrototype, rule: ArgumentRule, { map }: CallMeta): ArgumentRule {
  if (map === undefined) throw env.reject('EACCES', 'invalid map_ptr to access map->type');
  if (map.type === BPF_MAP_TYPE_SOCKMAP || map.type === BPF_MAP_TYPE_SOCKHASH) {
    if (rule.nullable || rule.uninit) throw env.reject('EINVAL', 'invalid arg_type for sockmap/sockhash');
    return ruleOf('btf_sock_common');
  }
  return map.type === BPF_MAP_TYPE_BLOOM_FILTER && row.name === 'map_peek_elem' ? ruleOf('map_value') : rule;
}

/** Pointers that arguments take at any offset. */
const ANYWHERE: readonly RegKind[] = [
  'fp',
  'pkt',
  'pkt_meta',
  'map_key',
  'map_value',
  'mem',
  'buf',
  'arena',
  'scalar',
];

/** Kernel objects that arguments take at a fixed offset, by their flags. */
const FIXED: readonly number[] = [
  0,
  MEM_ALLOC,
  PTR_TRUSTED,
  MEM_RCU,
  MEM_ALLOC | NON_OWN_REF,
  MEM_ALLOC | NON_OWN_REF | MEM_RCU,
];

/** Whether the pointer lies where the argument may begin (Linux: check_func_arg_reg_off). */
export function checkArgumentOffset(env: Env, number: number, rule: ArgumentRule): void {
  const reg = env.reg(number);
  if (rule.release) {
    if (rule.base === 'dynptr' && reg.kind === 'fp') return;
    if (reg.off !== 0) {
      const when = 'when passed to release func or trusted arg to kfunc';
      throw env.reject('EINVAL', `R${number} must have zero offset ${when}`);
    }
    checkUnmoved(env, number);
    return;
  }
  if (ANYWHERE.includes(reg.kind)) return;
  const fixed = reg.kind === 'btf_id' && FIXED.includes(reg.flags);
  checkUnmoved(env, number, fixed);
}

function noteRelease(env: Env, number: number, rule: ArgumentRule, meta: CallMeta): void {
  if (!rule.release) return;
  const reg = env.reg(number);
  if (rule.base === 'dynptr') {
    if (reg.kind !== 'fp') throw env.reject('EINVAL', 'cannot release unowned const bpf_dynptr');
    const slot = stackObjectSlot(env, reg, 'dynptr', 2);
    const held = typeof slot === 'number' ? env.state.frames[reg.frame].stack[slot]?.reg?.refId : undefined;
    if (!held) throw env.reject('EINVAL', `arg ${number} is an unacquired reference`);
  } else if (reg.refId === 0 && !isNull(reg)) {
    throw env.reject('EINVAL', `R${number} must be referenced when passed to release function`);
  }
  meta.releaseRegister = number;
}

/** What the argument points to, and what it tells. */
function checkContent(
  env: Env,
  row: HelperPrototype,
  index: number,
  rule: ArgumentRule,
  meta: CallMeta,
): void {
  const number = index + 1;
  const reg = env.reg(number);
  const access = rule.writes ? 'write' : 'read';
  switch (rule.base) {
    case 'const_map_ptr':
      noteMap(env, reg, meta);
      return;
    case 'map_key':
      checkMemoryArgument(env, number, mapOf(env, meta, 'key').keySize, false);
      meta.constantKey = constantKey(env, mapOf(env, meta, 'key'), number) ?? -1;
      return;
    case 'map_value':
      if (rule.nullable && isNull(reg)) return;
      meta.raw = rule.uninit === true;
      checkMemoryArgument(env, number, mapOf(env, meta, 'value').valueSize, false, access, meta);
      return;
    case 'mem':
      meta.raw = rule.uninit === true;
      if (rule.bytes === undefined) return;
      checkMemoryArgument(env, number, rule.bytes, false, access, meta);
      if (rule.aligned) checkAlignment(env, reg, 0, rule.bytes, true);
      return;
    case 'size': {
      const writes = ruleOf(row.args[index - 1]).writes;
      checkSizeArgument(env, number, rule.zeroAllowed === true, writes ? 'write' : 'read', meta);
      return;
    }
    case 'alloc_size':
      if (!reg.scalar.isConst()) throw env.reject('EACCES', `R${number} is not a known constant'`);
      meta.memSize = reg.scalar.uminNumber();
      markPrecise(env, number);
      return;
    case 'percpu_btf_id':
      if (reg.of?.kind !== 'btf') throw env.reject('EACCES', `Helper has invalid btf_id in R${number}`);
      meta.returnBtf = reg.of.btf;
      meta.returnBtfId = reg.of.id;
      meta.percpuObject = reg.has(MEM_RCU);
      return;
    case 'spin_lock':
      processLock(env, number, row.name === 'spin_lock');
      return;
    case 'timer':
      processTimer(env, number, meta);
      return;
    case 'kptr_dest':
      processKptr(env, number, meta);
      return;
    case 'func':
      meta.subprog = reg.of?.kind === 'func' ? reg.of.subprog : -1;
      return;
    case 'const_str':
      checkConstantString(env, number);
      return;
    case 'dynptr':
      processDynptr(env, number, rule);
      return;
    default:
  }
}

function mapOf(env: Env, { map }: CallMeta, part: string): MapInfo {
  if (map === undefined) throw env.reject('EACCES', `invalid map_ptr to access map->${part}`);
  return map;
}

/** A timer lives in the map that the call names. */
function noteMap(env: Env, { of }: Reg, meta: CallMeta): void {
  if (of?.kind !== 'map') return;
  if (meta.map !== undefined && (meta.map !== of.map || meta.mapUid !== of.uid)) {
    const found = `R1 map_uid=${meta.mapUid} doesn't match map pointer in R2 map_uid=${of.uid}`;
    throw env.reject('EINVAL', `timer pointer in ${found}`);
  }
  meta.map = of.map;
  meta.mapUid = of.uid;
}
