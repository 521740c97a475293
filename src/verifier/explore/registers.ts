import { BPF_REG_10, MAX_BPF_REG } from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';
import { NOT_INIT } from '../state/reg.ts';

/** Whether an instruction may name a register (Linux: check_reg_arg). The log shows it behind the instruction. */

export function readReg(env: Env, number: number): void {
  if (number >= MAX_BPF_REG) throw env.reject('EINVAL', `R${number} is invalid`);
  env.scratchedRegs |= 1 << number;
  if (env.reg(number).kind === 'not_init') throw env.reject('EACCES', `R${number} !read_ok`);
}

export function writeReg(env: Env, number: number): void {
  if (number >= MAX_BPF_REG) throw env.reject('EINVAL', `R${number} is invalid`);
  if (number === BPF_REG_10) throw env.reject('EACCES', 'frame pointer is read only');
  env.scratchedRegs |= 1 << number;
}

/** After a call r1 to r5 hold nothing. */
export function forgetArguments(env: Env): void {
  for (let number = 1; number <= 5; number++) env.setReg(number, NOT_INIT);
}
