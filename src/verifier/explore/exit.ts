import type { Env } from '../env.ts';
import type { Scalar } from '../scalar/scalar.ts';
import { typeName } from '../state/print.ts';
import { readReg } from './registers.ts';

/** What must hold where a function ends (Linux: check_return_code, check_reference_leak). */
export function checkExit(env: Env): void {
  const { state, subprog } = env;
  if (state.depth > 0) {
    return;
  }
  for (const held of state.held) {
    env.say(`Unreleased reference id=${held.id} alloc_insn=${held.insn}`);
    throw env.reject('EINVAL', 'BPF_EXIT instruction in main prog would lead to reference leak');
  }
  if (subprog !== 0) {
    readReg(env, 0);
    const result = env.reg(0);
    if (result.kind !== 'scalar') {
      const found = `the register R0 is not a scalar value (${typeName(result)})`;
      throw env.reject('EINVAL', `At subprogram exit ${found}`);
    }
    return;
  }
  readReg(env, 0);
  const range = env.rules.returns?.(env.program.attachType);
  if (range === undefined) return;
  const { kind, scalar } = env.reg(0);
  if (kind !== 'scalar')
    throw env.reject(
      'EINVAL',
      `At program exit the register R0 is not a known value (${typeName(env.reg(0))})`,
    );
  const [min, max] = range;
  if (scalar.s32min >= min && scalar.s32max <= max) return;
  throw env.reject('EINVAL', outOfRange('At program exit', 'R0', scalar, range));
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
