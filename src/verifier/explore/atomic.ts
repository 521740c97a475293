import type { Instruction } from '../../isa/instruction.ts';
import { type AtomicOpcode, atomicOperation } from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';
import { checkAccess } from '../memory/access.ts';
import { typeName } from '../state/print.ts';
import { readReg, writeReg } from './registers.ts';

/** Atomic operations (Linux: check_atomic): read, changed, written, in one instruction. */

/** Memory that atomics may not change: what it holds belongs to the kernel. */
const FORBIDDEN: readonly string[] = [
  'ctx',
  'pkt',
  'pkt_meta',
  'flow_keys',
  'sock',
  'sock_common',
  'tcp_sock',
  'xdp_sock',
];

export function checkAtomic(env: Env, insn: Instruction, row: AtomicOpcode): void {
  const { dst, src, off, imm } = insn;
  const { size } = row;
  const operation = atomicOperation(imm, size);
  if (operation === undefined)
    throw env.reject('EINVAL', `BPF_ATOMIC uses invalid atomic opcode ${hex(imm)}`);
  const { op, fetch } = operation;
  if (op === 'load_acquire') {
    readReg(env, src);
    writeReg(env, dst);
    refuseForbidden(env, src, 'BPF_ATOMIC loads from');
    checkAccess(env, { access: 'read', base: src, off, size, value: dst, strict: true });
    return;
  }
  readReg(env, src);
  if (op === 'cmpxchg') readReg(env, 0);
  readReg(env, dst);
  const target = env.reg(dst);
  refuseForbidden(env, dst, 'BPF_ATOMIC stores into');
  if (op === 'store_release') {
    checkAccess(env, { access: 'write', base: dst, off, size, value: src, strict: true });
    return;
  }
  // x86-64 makes a loop of these three, which cannot be restarted where a page is absent.
  if (target.kind === 'arena' && fetch && (op === 'and' || op === 'or' || op === 'xor'))
    throw env.reject('EACCES', `BPF_ATOMIC stores into R${dst} arena is not allowed`);
  const loads = fetch ? (op === 'cmpxchg' ? 0 : src) : -1;
  if (loads >= 0) writeReg(env, loads);
  const strict = true;
  const before = env.reg(dst);
  checkAccess(env, { access: 'read', base: dst, off, size, value: loads, strict });
  const loaded = loads >= 0 ? env.reg(loads) : undefined;
  // The address is that of before the register was loaded.
  if (loads === dst) env.setReg(dst, before);
  checkAccess(env, { access: 'write', base: dst, off, size, value: -1, strict });
  if (loaded !== undefined) env.setReg(loads, loaded);
}

function hex(value: number): string {
  return (value >>> 0).toString(16);
}

function refuseForbidden(env: Env, number: number, what: string): void {
  const reg = env.reg(number);
  if (FORBIDDEN.includes(reg.kind))
    throw env.reject('EACCES', `${what} R${number} ${typeName(reg)} is not allowed`);
}
