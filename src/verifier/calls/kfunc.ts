import type { Btf, BtfFuncProto } from '../../btf/index.ts';
import type { Instruction } from '../../isa/instruction.ts';
import type { Env } from '../env.ts';
import { forgetArguments } from '../explore/registers.ts';
import { KF, type KfuncRow, kfuncNamed, mayCall } from '../kfuncs.ts';
import { NOT_INIT, UNKNOWN_SCALAR } from '../state/reg.ts';

/** Calls of kfuncs: what an argument must be follows from its type and the end of its name (Linux: check_kfunc_call). */

/** The prototype behind a BTF id. */
function prototypeOf(btf: Btf | undefined, id: number): BtfFuncProto | undefined {
  if (btf === undefined || id <= 0 || id >= btf.count) return undefined;
  const func = btf.type(id);
  const proto = func.kind === 'func' ? btf.type(func.type) : undefined;
  return proto?.kind === 'func_proto' ? proto : undefined;
}

/** The kfunc that a call names by its BTF id; throws when this kernel does not have it. */
function kfuncOf(env: Env, insn: Instruction): { row: KfuncRow; proto: BtfFuncProto; btf: Btf } {
  const { kernelBtf: btf, type = 'syscall' } = env.program;
  const proto = prototypeOf(btf, insn.imm);
  if (btf === undefined || proto === undefined)
    throw env.reject('EINVAL', `kernel btf_id ${insn.imm} is not a function`);
  const name = btf.nameOf(insn.imm);
  const row = kfuncNamed(name);
  if (row === undefined || !mayCall(row, type))
    throw env.reject('EACCES', `calling kernel function ${name} is not allowed`);
  return { row, proto, btf };
}

/** How many of r1 to r5 a kfunc call reads. */
export function kfuncArguments(btf: Btf | undefined, insn: Instruction): number {
  return prototypeOf(btf, insn.imm)?.params.length ?? 5;
}

/** @returns the slot to go on at. */
export function checkKfuncCall(env: Env, insn: Instruction): number {
  const { row, proto, btf } = kfuncOf(env, insn);
  if ((row.flags & KF.KF_SLEEPABLE) !== 0 && !env.sleepable)
    throw env.reject('EACCES', `program must be sleepable to call sleepable kfunc ${row.name}`);
  if (!row.name.startsWith('bpf_arena_')) throw env.unsupported(`kfunc ${row.name} is not judged yet`);
  proto.params.forEach(({ name, type }, index) => {
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
  env.setReg(0, btf.kindOf(proto.type) === 'void' ? NOT_INIT : UNKNOWN_SCALAR);
  return env.at + 1;
}
