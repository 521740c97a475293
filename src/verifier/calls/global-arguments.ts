import { type Env, Rejection } from '../env.ts';
import type { ArgumentRule } from '../helpers/arguments.ts';
import { checkUnmoved } from '../memory/context-access.ts';
import { processDynptr } from '../memory/dynptr.ts';
import {
  MAYBE_NULL,
  MEM_RDONLY,
  PTR_TRUSTED,
  PTR_UNTRUSTED,
  pointer,
  type Reg,
  UNKNOWN_SCALAR,
} from '../state/reg.ts';
import { isNull } from '../values.ts';
import { checkArgumentOffset } from './argument.ts';
import { checkArgumentType } from './argument-types.ts';
import { argumentsOf, type GlobalArgument } from './global-prototype.ts';
import { checkMemoryArgument } from './memory-argument.ts';

/** Arguments of global functions: what a call must pass, and what the function may then rely on (Linux: btf_check_func_arg_match). */

/** What the registers hold when a global function begins. */
export function argumentRegs(env: Env, subprog: number): Reg[] {
  return argumentsOf(env, subprog).map((arg) => argumentReg(env, arg));
}

function argumentReg(env: Env, arg: GlobalArgument): Reg {
  switch (arg.kind) {
    case 'scalar':
      return UNKNOWN_SCALAR;
    case 'ctx':
      return pointer('ctx');
    case 'arena':
      // Any number may be passed: it is an arena pointer once it has been cast.
      return UNKNOWN_SCALAR;
    case 'dynptr':
      return pointer('dynptr', {
        id: env.newId(),
        of: { kind: 'dynptr', type: 'local', first: true, readOnly: false },
      });
    case 'untrusted_mem':
      return pointer('mem', {
        flags: MEM_RDONLY | PTR_UNTRUSTED,
        of: { kind: 'mem', size: 0 },
      });
    case 'mem':
      return pointer('mem', {
        flags: arg.nullable ? MAYBE_NULL : 0,
        id: arg.nullable ? env.newId() : 0,
        of: { kind: 'mem', size: arg.size },
      });
    case 'btf': {
      const btf = env.program.kernelBtf;
      if (btf === undefined) throw env.unsupported('the types of the kernel are not known here');
      const flags = (arg.trusted ? PTR_TRUSTED : PTR_UNTRUSTED) | (arg.nullable ? MAYBE_NULL : 0);
      return pointer('btf_id', { flags, id: env.newId(), of: { kind: 'btf', btf, id: arg.id } });
    }
  }
}

/** Whether a call keeps to the prototype. */
export function checkGlobalArguments(env: Env, subprog: number): void {
  const { name } = env.subprograms[subprog];
  try {
    argumentsOf(env, subprog).forEach((arg, index) => {
      checkGlobalArgument(env, arg, index);
    });
  } catch (error) {
    if (!(error instanceof Rejection) || error.code === 'EFAULT') throw error;
    throw env.reject(error.code, `Caller passes invalid args into func#${subprog} ('${name}')`);
  }
}

function checkGlobalArgument(env: Env, arg: GlobalArgument, index: number): void {
  const number = index + 1;
  const reg = env.reg(number);
  switch (arg.kind) {
    case 'scalar':
      if (reg.kind !== 'scalar') throw env.reject('EINVAL', `R${number} is not a scalar`);
      return;
    case 'ctx':
      if (reg.kind === 'ctx') checkUnmoved(env, number);
      else throw env.reject('EINVAL', `arg#${index} expects pointer to ctx`);
      return;
    case 'arena':
      // Any number may be taken for an arena pointer.
      if (reg.kind !== 'arena' && reg.kind !== 'scalar')
        throw env.reject('EINVAL', `R${number} is not a pointer to arena or scalar.`);
      return;
    case 'untrusted_mem':
      // A bad address gives zeroes.
      return;
    case 'mem':
      checkMemory(env, number, arg.size);
      // Linux 6.18 lets the number 0 through, and dies of it where the function relies on the tag.
      if (!arg.nullable && (reg.maybeNull || isNull(reg)))
        throw env.reject('EINVAL', `arg#${index} is expected to be non-NULL`);
      return;
    case 'dynptr':
      checkArgumentOffset(env, number, { base: 'dynptr' });
      processDynptr(env, number, { readOnly: true });
      return;
    case 'btf': {
      if (!arg.trusted || (arg.nullable && isNull(reg))) return;
      const type = env.program.kernelBtf?.nameOf(arg.id) ?? '';
      const expected = { base: 'btf_id', type } as const;
      const rule: ArgumentRule = arg.nullable ? { ...expected, nullable: true } : expected;
      checkArgumentType(env, number, rule, '');
      checkArgumentOffset(env, number, rule);
    }
  }
}

/** Memory that the function may read and write (Linux: check_mem_reg). */
function checkMemory(env: Env, number: number, size: number): void {
  const reg = env.reg(number);
  if (isNull(reg)) return;
  // Where it may be NULL, what it is otherwise counts.
  if (reg.maybeNull) env.frame.regs[number] = reg.with({ flags: reg.flags & ~MAYBE_NULL });
  try {
    checkMemoryArgument(env, number, size, true);
    checkMemoryArgument(env, number, size, true, 'write');
  } catch (error) {
    throw error instanceof Rejection ? new Rejection('EINVAL', error.message, error.insn) : error;
  }
  env.frame.regs[number] = reg;
}
