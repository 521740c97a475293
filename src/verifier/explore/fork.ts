import type { Env } from '../env.ts';
import { constant, type Scalar, withLowHalf } from '../scalar/scalar.ts';
import { type Reg, scalarReg } from '../state/reg.ts';
import { pushBranch } from './branches.ts';

/**
 * A sign that was shifted down is 0 or −1, and is used as a mask mostly: both are followed, each as the number that it is
 * (Linux: maybe_fork_scalars).
 *
 * @returns what register `dst` is on the current way; the other way meets the same instruction again, with 0.
 */
export function forkSign(env: Env, dst: number, reg: Reg): Reg {
  const { scalar } = reg;
  const whole = scalar.sminNumber() === -1 && scalar.smaxNumber() === 0;
  if (!whole && (scalar.s32min !== -1 || scalar.s32max !== 0)) return reg;
  const as = (value: number): Reg => {
    if (whole) return scalarReg(constant(value), reg.precise);
    const half: Scalar = withLowHalf(scalar, value);
    return reg.withScalar(half);
  };
  pushBranch(env, env.at, env.at).frame.regs[dst] = as(0);
  const current = as(-1);
  env.frame.regs[dst] = current;
  return current;
}
