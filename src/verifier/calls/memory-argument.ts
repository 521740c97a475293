import type { Env } from '../env.ts';
import { markPrecise } from '../explore/precision.ts';
import type { Access } from '../memory/access.ts';
import { checkMapAccess, mayAccessMap } from '../memory/map-access.ts';
import { checkPacket, checkRegion } from '../memory/region.ts';
import { checkStackRange } from '../memory/stack.ts';
import { typeName } from '../state/print.ts';
import { MEM_RDONLY } from '../state/reg.ts';
import { isNull } from '../values.ts';

/** Memory that a helper reads through an argument (Linux: check_helper_mem_access, check_mem_size_reg). */

/** Kinds of pointer that helpers take for memory, as Linux lists them. */
const MEMORY = 'fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_';

/** @param access `write` for memory that the callee may change too. */
export function checkMemoryArgument(
  env: Env,
  number: number,
  size: number,
  zeroAllowed: boolean,
  access: Access = 'read',
): void {
  const reg = env.reg(number);
  const { off } = reg;
  if (zeroAllowed && size === 0 && isNull(reg)) return;
  if (reg.maybeNull) throw wrongType(env, number, MEMORY);
  switch (reg.kind) {
    case 'pkt':
    case 'pkt_meta':
      if (access === 'write' && !env.rules.writesPacket)
        throw env.reject('EACCES', 'cannot write into packet');
      checkPacket(env, number, off, size, zeroAllowed);
      return;
    case 'map_key':
      checkRegion(env, number, off, size, reg.map?.keySize ?? 0, zeroAllowed);
      return;
    case 'map_value':
      mayAccessMap(env, number, off, size, access);
      checkMapAccess(env, number, off, size, zeroAllowed);
      return;
    case 'mem':
      if (access === 'write' && reg.has(MEM_RDONLY))
        throw env.reject('EACCES', `R${number} cannot write into ${typeName(reg)}`);
      checkRegion(env, number, off, size, reg.of?.kind === 'mem' ? reg.of.size : 0, zeroAllowed);
      return;
    case 'fp':
      checkStackRange(env, number, off, size, zeroAllowed, access);
      return;
    default:
      throw wrongType(env, number, MEMORY);
  }
}

export function wrongType(env: Env, number: number, expected: string): Error {
  return env.reject('EACCES', `R${number} type=${typeName(env.reg(number))} expected=${expected}`);
}

/** Linux: BPF_MAX_VAR_SIZ. */
const MAX_SIZE = 2 ** 29;

/** The register `number` is the size of the memory that the one before it points to. */
export function checkSizeArgument(env: Env, number: number): void {
  const { kind, scalar } = env.reg(number);
  if (kind !== 'scalar') throw wrongType(env, number, 'scalar');
  if (scalar.sminNumber() < 0) {
    const advice = "min value is negative, either use unsigned or 'var &= const'";
    throw env.reject('EACCES', `R${number} ${advice}`);
  }
  if (scalar.uminNumber() === 0) {
    const range = `u64=[${scalar.umin()},${scalar.umax()}]`;
    throw env.reject('EACCES', `R${number} invalid zero-sized read: ${range}`);
  }
  if (scalar.umaxNumber() >= MAX_SIZE) {
    const advice = "unbounded memory access, use 'var &= const' or 'if (var < const)'";
    throw env.reject('EACCES', `R${number} ${advice}`);
  }
  checkMemoryArgument(env, number - 1, scalar.umaxNumber(), false);
  markPrecise(env, number);
}
