import type { Env } from './env.ts';
import { ADD_CONST } from './state/print.ts';
import { MAYBE_NULL, type Reg } from './state/reg.ts';
import { isTrusted } from './trust.ts';

/** Small questions about registers that many checks ask. */

/** A scalar that is zero: NULL (Linux: register_is_null). */
export function isNull(reg: Reg): boolean {
  return reg.kind === 'scalar' && reg.scalar.isConst() && reg.scalar.uminLo === 0 && reg.scalar.uminHi === 0;
}

/**
 * Gives a scalar an id before it is copied, so that what a branch tells of one holds for both (Linux:
 * assign_scalar_id_before_mov). Constants need none.
 */
export function withScalarId(env: Env, number: number): Reg {
  const reg = env.reg(number);
  if (reg.kind !== 'scalar' || reg.scalar.isConst()) return reg;
  // A register that is another's plus a constant cannot stand for it.
  const base = (reg.id & ADD_CONST) !== 0 ? reg.untied() : reg;
  const tied = base.id === 0 ? base.withId(env.newId()) : base;
  env.frame.regs[number] = tied;
  return tied;
}

/** A pointer that cannot be NULL (Linux: type_may_be_null and reg_not_null). */
export function isNotNull(reg: Reg): boolean {
  if (reg.kind === 'scalar' || reg.kind === 'not_init' || (reg.flags & MAYBE_NULL) !== 0) return false;
  return (
    reg.kind === 'sock' ||
    reg.kind === 'tcp_sock' ||
    reg.kind === 'map_value' ||
    reg.kind === 'map_key' ||
    reg.kind === 'sock_common' ||
    reg.kind === 'mem' ||
    reg.kind === 'map_ptr' ||
    (reg.kind === 'btf_id' && isTrusted(reg))
  );
}
