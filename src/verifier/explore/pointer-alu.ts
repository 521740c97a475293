import type { Instruction } from '../../isa/instruction.ts';
import type { AluOpcode } from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';
import { MAX_VARIABLE_OFFSET } from '../memory/stack-bounds.ts';
import { alu } from '../scalar/alu.ts';
import { typeName } from '../state/print.ts';
import { MAYBE_NULL, PTR_UNTRUSTED, type Reg, type RegKind, UNKNOWN_SCALAR } from '../state/reg.ts';

/**
 * A pointer plus or minus a number (Linux: adjust_ptr_min_max_vals). A known number goes into the pointer's fixed offset,
 * an unknown one into its variable part; offsets stay below 2^29 either way.
 */

/** Pointers that take offsets. */
const MOVABLE: readonly RegKind[] = [
  'ctx',
  'map_value',
  'map_key',
  'fp',
  'pkt_meta',
  'pkt',
  'tp_buffer',
  'btf_id',
  'mem',
  'buf',
  'func',
  'dynptr',
];

export const isPacket = (reg: Reg) => reg.kind === 'pkt' || reg.kind === 'pkt_meta';

/** @param swapped whether the instruction's dst is the number: scalar += pointer. */
export function addToPointer(
  env: Env,
  { dst }: Instruction,
  row: AluOpcode,
  pointer: Reg,
  number: Reg,
  swapped: boolean,
): void {
  const known = number.scalar.isConst();
  const by = number.scalar.sminNumber();
  if (row.width !== 64) {
    if (row.op !== 'sub') throw env.reject('EACCES', `R${dst} 32-bit pointer arithmetic prohibited`);
    env.setReg(dst, UNKNOWN_SCALAR);
    return;
  }
  const name = typeName(pointer);
  const prohibited = `R${dst} pointer arithmetic on ${name} prohibited`;
  if (pointer.has(MAYBE_NULL)) throw env.reject('EACCES', `${prohibited}, null-check it first`);
  // Read through probes, wherever it points: no offset needs to be known.
  if (pointer.kind === 'mem' && pointer.has(PTR_UNTRUSTED)) {
    env.setReg(dst, pointer);
    return;
  }
  const stays =
    (pointer.kind === 'flow_keys' && known) ||
    ((pointer.kind === 'map_ptr' || pointer.kind === 'flow_keys') && known && by === 0 && row.op === 'add');
  if (!stays && !MOVABLE.includes(pointer.kind)) throw env.reject('EACCES', prohibited);
  checkOffset(env, number, name);
  checkOffset(env, pointer, name);
  const result = moved(env, dst, row, pointer, number, swapped);
  checkOffset(env, result, name);
  env.setReg(dst, result);
}

function moved(env: Env, dst: number, row: AluOpcode, pointer: Reg, number: Reg, swapped: boolean): Reg {
  const by = number.scalar.sminNumber();
  const fixed = (off: number) => number.scalar.isConst() && off === (off | 0);
  switch (row.op) {
    case 'add': {
      const off = pointer.off + by;
      if (fixed(off)) return pointer.with({ off });
      const scalar = alu('add', 64, pointer.scalar, number.scalar);
      return isPacket(pointer)
        ? pointer.with({ scalar, id: env.newId(), range: 0 })
        : pointer.with({ scalar });
    }
    case 'sub': {
      if (swapped) throw env.reject('EACCES', `R${dst} tried to subtract pointer from scalar`);
      if (pointer.kind === 'fp')
        throw env.reject('EACCES', `R${dst} subtraction from stack pointer prohibited`);
      const off = pointer.off - by;
      if (fixed(off)) return pointer.with({ off });
      const scalar = alu('sub', 64, pointer.scalar, number.scalar);
      if (!isPacket(pointer)) return pointer.with({ scalar });
      // Going back keeps what was proven of the bytes ahead.
      return pointer.with({ scalar, id: env.newId(), range: by < 0 ? 0 : pointer.range });
    }
    case 'and':
    case 'or':
    case 'xor':
      throw env.reject('EACCES', `R${dst} bitwise operator ${row.symbol} on pointer prohibited`);
    default:
      throw env.reject('EACCES', `R${dst} pointer arithmetic with ${row.symbol} operator prohibited`);
  }
}

/** Refuses offsets that could leave what 32-bit arithmetic holds (Linux: check_reg_sane_offset). */
function checkOffset(env: Env, { scalar, off }: Reg, name: string): void {
  const min = scalar.sminNumber();
  const far = Math.abs(min) >= MAX_VARIABLE_OFFSET;
  if (scalar.isConst() && far)
    throw env.reject('EINVAL', `math between ${name} pointer and ${scalar.smin()} is not allowed`);
  if (Math.abs(off) >= MAX_VARIABLE_OFFSET)
    throw env.reject('EINVAL', `${name} pointer offset ${off} is not allowed`);
  if (min === -(2 ** 63)) {
    const problem = 'register with unbounded min value is not allowed';
    throw env.reject('EINVAL', `math between ${name} pointer and ${problem}`);
  }
  if (far) throw env.reject('EINVAL', `value ${scalar.smin()} makes ${name} pointer be out of bounds`);
}
