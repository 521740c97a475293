import type { Env } from '../env.ts';
import type { Scalar } from '../scalar/scalar.ts';
import { typeName } from '../state/print.ts';
import type { Reg } from '../state/reg.ts';
import { markPrecise } from './precision.ts';
import { readReg } from './registers.ts';
import { checkResourceLeak } from './resource-leak.ts';

/** What must hold where a function ends (Linux: process_bpf_exit_full, check_return_code). */
export function checkExit(env: Env): void {
  const { depth } = env.state;
  checkResourceLeak(env, 'BPF_EXIT instruction in main prog', { regions: depth === 0 });
  if (depth === 0) checkResult(env, 0);
}

/**
 * An exception leaves the program from wherever it is thrown.
 *
 * @param cookie what r1 held: the program's result, unless a callback makes it.
 */
export function checkThrow(env: Env, cookie: Reg): void {
  if (env.exceptionCallback === undefined) {
    env.frame.regs[1] = cookie;
    checkResult(env, 1);
  }
  checkResourceLeak(env, 'bpf_throw', { exception: true });
}

/** What a register holds that becomes the result of the program, or of a function that is verified by itself. */
function checkResult(env: Env, number: number): void {
  readReg(env, number);
  const reg = env.reg(number);
  const { role, subprog } = env.state.frames[0];
  if (role === 'async') {
    enforceRange(env, number, 'At async callback return', [0, 0]);
    return;
  }
  if (subprog !== 0 && role !== 'exception') {
    if (reg.kind === 'scalar') return;
    const found = `the register R${number} is not a scalar value (${typeName(reg)})`;
    throw env.reject('EINVAL', `At subprogram exit ${found}`);
  }
  const range = env.rules.returns?.(env.program.attachType);
  if (range !== undefined) enforceRange(env, number, 'At program exit', range);
}

function enforceRange(env: Env, number: number, where: string, range: readonly [number, number]): void {
  const reg = env.reg(number);
  if (reg.kind !== 'scalar') {
    const found = `the register R${number} is not a known value (${typeName(reg)})`;
    throw env.reject('EINVAL', `${where} ${found}`);
  }
  markPrecise(env, number);
  if (isWithin(reg.scalar, range)) return;
  throw env.reject('EINVAL', outOfRange(where, `R${number}`, reg.scalar, range));
}

/** Linux: retval_range_within. */
export function isWithin(scalar: Scalar, [min, max]: readonly [number, number]): boolean {
  return scalar.sminNumber() >= min && scalar.smaxNumber() <= max;
}

/** Linux: verbose_invalid_scalar. */
export function outOfRange(
  where: string,
  register: string,
  scalar: Scalar,
  [min, max]: readonly [number, number],
): string {
  const known = [
    ...(scalar.smin() > -(2n ** 63n) ? [`smin=${scalar.smin()}`] : []),
    ...(scalar.smax() < 2n ** 63n - 1n ? [`smax=${scalar.smax()}`] : []),
  ];
  const has = known.length > 0 ? `has ${known.join(' ')}` : 'has unknown scalar value';
  return `${where} the register ${register} ${has} should have been in [${min}, ${max}]`;
}
