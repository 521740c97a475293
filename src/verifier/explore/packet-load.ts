import type { Instruction } from '../../isa/instruction.ts';
import type { PacketOpcode } from '../../isa/opcodes.ts';
import { returnToo } from '../calls/subprogram.ts';
import type { Env } from '../env.ts';
import { checkUnmoved } from '../memory/context-access.ts';
import { UNKNOWN_SCALAR, ZERO_SCALAR } from '../state/reg.ts';
import { forgetArguments, readReg } from './registers.ts';
import { checkResourceLeak } from './resource-leak.ts';

/**
 * Loads from a packet by BPF_ABS and BPF_IND (Linux: check_ld_abs): they read r6, the context, clobber r0 to r5, and leave
 * the function, with 0, when the packet is too short.
 *
 * @returns the slot to go on at.
 */
export function checkPacketLoad(env: Env, { src }: Instruction, { kind }: PacketOpcode): number {
  const what = 'BPF_LD_[ABS|IND]';
  if (!env.rules.loadsPacket)
    throw env.reject('EINVAL', `${what} instructions not allowed for this program type`);
  readReg(env, 6);
  checkResourceLeak(env, what);
  if (env.reg(6).kind !== 'ctx')
    throw env.reject('EINVAL', 'at the time of BPF_LD_ABS|IND R6 != pointer to skb');
  if (kind === 'ld_ind') readReg(env, src);
  checkUnmoved(env, 6);
  forgetArguments(env);
  env.setReg(0, UNKNOWN_SCALAR);
  return returnToo(env, ZERO_SCALAR);
}
