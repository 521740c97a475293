import type { Instruction } from '../../isa/instruction.ts';
import { BPF_REG_6, type PacketOpcode } from '../../isa/opcodes.ts';
import { I64_TRUNC_SAT_F64_S, MISC_PREFIX, OP, TYPE } from '../encode/opcodes.ts';
import type { Emitter } from './emitter.ts';

/**
 * Loads from a packet by BPF_ABS and BPF_IND: the kernel looks where the byte is, and where there is none the function ends with 0.
 * Functions that have such a load are not inlined, so that they can.
 */
export function emitPacketLoad(e: Emitter, { src, imm }: Instruction, row: PacketOpcode): void {
  const { code } = e;
  const value = code.temporary(TYPE.f64);
  e.getLow(BPF_REG_6);
  if (row.kind === 'ld_ind') {
    e.getLow(src);
    code.i32(imm);
    code.op(OP.i32_add);
  } else code.i32(imm);
  code.i32(row.size);
  code.call(e.callees.import('loadPacket'));
  code.tee(value);
  code.zero(TYPE.f64);
  code.op(OP.f64_lt);
  code.if();
  code.i64(0);
  code.op(OP.return);
  code.end();
  code.get(value);
  code.op(MISC_PREFIX);
  code.op(I64_TRUNC_SAT_F64_S);
  e.set(0);
}
