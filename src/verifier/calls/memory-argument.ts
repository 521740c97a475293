import type { Env } from '../env.ts';
import { markPrecise } from '../explore/precision.ts';
import type { Access } from '../memory/access.ts';
import { accessBtf } from '../memory/btf-access.ts';
import { accessBuffer } from '../memory/buffer-access.ts';
import { accessContext } from '../memory/context-access.ts';
import { checkMapAccess, mayAccessMap } from '../memory/map-access.ts';
import { checkPacket, checkRegion } from '../memory/region.ts';
import { checkStackRange } from '../memory/stack.ts';
import { typeName } from '../state/print.ts';
import { MEM_RDONLY } from '../state/reg.ts';
import { isNull } from '../values.ts';
import { wrongType } from './argument-types.ts';
import type { CallMeta } from './meta.ts';

/** Memory that a helper reads or writes through an argument (Linux: check_helper_mem_access, check_mem_size_reg). */

/**
 * @param access `write` for memory that the callee may change too.
 * @param meta notes stack that the callee fills, where it is said to (`raw`).
 */
export function checkMemoryArgument(
  env: Env,
  number: number,
  size: number,
  zeroAllowed: boolean,
  access: Access = 'read',
  meta?: CallMeta,
): void {
  const reg = env.reg(number);
  const { off } = reg;
  switch (reg.kind) {
    case 'pkt':
    case 'pkt_meta':
      checkPacket(env, number, off, size, zeroAllowed);
      return;
    case 'map_key':
      if (access === 'write') throw readOnly(env, number);
      checkRegion(env, number, off, size, reg.map?.keySize ?? 0, false);
      return;
    case 'map_value':
      mayAccessMap(env, number, off, size, access);
      checkMapAccess(env, number, off, size, zeroAllowed);
      return;
    case 'mem':
      if (access === 'write' && reg.has(MEM_RDONLY)) throw readOnly(env, number);
      checkRegion(env, number, off, size, reg.of?.kind === 'mem' ? reg.of.size : 0, zeroAllowed);
      return;
    case 'fp':
      checkStackRange(env, number, off, size, zeroAllowed, access, meta);
      return;
    case 'btf_id':
      accessBtf(env, number, off, size, 'read');
      return;
    case 'buf':
      accessBuffer(env, number, off, size, access);
      return;
    case 'ctx':
      if (!env.rules.bareContext) break;
      if (size === 0 && zeroAllowed) return;
      accessContext(env, number, off + size - 1, 1, access, false);
      return;
    default:
  }
  // NULL has no bytes.
  if (zeroAllowed && size === 0 && isNull(reg)) return;
  throw wrongType(env, number, 'fp');
}

function readOnly(env: Env, number: number): Error {
  return env.reject('EACCES', `R${number} cannot write into ${typeName(env.reg(number))}`);
}

/** Linux: BPF_MAX_VAR_SIZ. */
const MAX_SIZE = 2 ** 29;

/** The register `number` is the size of the memory that the one before it points to. */
export function checkSizeArgument(
  env: Env,
  number: number,
  zeroAllowed = false,
  access: Access = 'read',
  meta?: CallMeta,
): void {
  const { scalar } = env.reg(number);
  if (meta !== undefined) meta.maxSize = scalar.umaxNumber();
  if (scalar.sminNumber() < 0) {
    const advice = "min value is negative, either use unsigned or 'var &= const'";
    throw env.reject('EACCES', `R${number} ${advice}`);
  }
  if (scalar.uminNumber() === 0 && !zeroAllowed) {
    const range = `u64=[${scalar.umin()},${scalar.umax()}]`;
    throw env.reject('EACCES', `R${number} invalid zero-sized read: ${range}`);
  }
  if (scalar.umaxNumber() >= MAX_SIZE) {
    const advice = "unbounded memory access, use 'var &= const' or 'if (var < const)'";
    throw env.reject('EACCES', `R${number} ${advice}`);
  }
  // Memory that may be filled in part must be there before.
  const filled = scalar.isConst() ? meta : undefined;
  checkMemoryArgument(env, number - 1, scalar.umaxNumber(), zeroAllowed, access, filled);
  markPrecise(env, number);
}
