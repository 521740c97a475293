import type { Instruction } from '../../isa/instruction.ts';
import type { Env } from '../env.ts';
import { forgetArguments } from '../explore/registers.ts';
import { KFUNCS, type KfuncPrototype } from '../kfuncs.ts';
import { NOT_INIT, UNKNOWN_SCALAR } from '../state/reg.ts';

/** Calls of kfuncs: what an argument must be follows from its type and the end of its name (Linux: check_kfunc_call). */

const BY_NAME = new Map<string, KfuncPrototype>(KFUNCS.map((row) => [row.name, row]));

/** The kfunc that a call names by its BTF id; throws when this kernel does not have it. */
function kfuncOf(env: Env, insn: Instruction): KfuncPrototype {
  const name = env.program.kernelBtf?.nameOf(insn.imm);
  const row = name === undefined ? undefined : BY_NAME.get(name);
  if (row === undefined) throw env.reject('EINVAL', `kernel btf_id ${insn.imm} is not a function`);
  return row;
}

/** How many of r1 to r5 a kfunc call reads. */
export function kfuncArguments(btf: { nameOf(id: number): string } | undefined, insn: Instruction): number {
  const row = BY_NAME.get(btf?.nameOf(insn.imm) ?? '');
  return row === undefined ? 5 : Object.keys(row.params).length;
}

/** @returns the slot to go on at. */
export function checkKfuncCall(env: Env, insn: Instruction): number {
  const row = kfuncOf(env, insn);
  if (row.sleepable && !env.sleepable)
    throw env.reject('EACCES', `program must be sleepable to call sleepable kfunc ${row.name}`);
  Object.entries(row.params).forEach(([name, type], index) => {
    const number = index + 1;
    const { kind } = env.reg(number);
    if (name.endsWith('__ign')) return;
    if (name.endsWith('__map')) {
      if (kind === 'scalar' && env.reg(number).scalar.uminNumber() === 0 && env.reg(number).scalar.isConst())
        throw env.reject('EACCES', `Possibly NULL pointer passed to trusted arg${index}`);
      if (kind !== 'map_ptr' && kind !== 'map_value' && kind !== 'map_key')
        throw env.reject('EINVAL', `pointer in R${number} isn't map pointer`);
      if (kind !== 'map_ptr') {
        const found = 'expected pointer to STRUCT bpf_map but R';
        throw env.reject('EINVAL', `arg#${index} ${found}${number} has a pointer to UNKNOWN `);
      }
      return;
    }
    void type;
    if (kind !== 'scalar') throw env.reject('EINVAL', `R${number} is not a scalar`);
  });
  forgetArguments(env);
  // An arena pointer comes back as a number: it goes through cast_kern before it is dereferenced.
  env.setReg(0, row.returns === 'void' ? NOT_INIT : UNKNOWN_SCALAR);
  return env.at + 1;
}
