import type { Instruction } from '../../isa/instruction.ts';
import {
  type AluOpcode,
  BPF_ADDR_SPACE_CAST,
  CAST_KERN,
  type EndianOpcode,
  isSigned,
  type Opcode,
} from '../../isa/opcodes.ts';
import { OP, TYPE } from '../encode/opcodes.ts';
import type { Emitter } from './emitter.ts';

/**
 * Arithmetic (RFC 9669, sections 4.1 and 4.2). WebAssembly's operations are BPF's, shifts included, but for division: by
 * zero it traps, as it does for the smallest integer by −1. Arithmetic with arena pointers is done in 32 bits, as in
 * Linux; the verifier found out which that is. So is what nobody wants the upper half of (upper-halves.ts).
 */

type Simple = 'add' | 'sub' | 'mul' | 'or' | 'and' | 'xor' | 'lsh' | 'rsh' | 'arsh';

const WIDE: Readonly<Record<Simple, number>> = {
  add: OP.i64_add,
  sub: OP.i64_sub,
  mul: OP.i64_mul,
  or: OP.i64_or,
  and: OP.i64_and,
  xor: OP.i64_xor,
  lsh: OP.i64_shl,
  rsh: OP.i64_shr_u,
  arsh: OP.i64_shr_s,
};

const NARROW: Readonly<Record<Simple, number>> = {
  add: OP.i32_add,
  sub: OP.i32_sub,
  mul: OP.i32_mul,
  or: OP.i32_or,
  and: OP.i32_and,
  xor: OP.i32_xor,
  lsh: OP.i32_shl,
  rsh: OP.i32_shr_u,
  arsh: OP.i32_shr_s,
};

/** Emits an arithmetic instruction. @returns false when it is none. */
export function emitAlu(e: Emitter, at: number, insn: Instruction, row: Opcode, arena: boolean): boolean {
  switch (row.kind) {
    case 'alu':
      emitTwoOperands(e, at, insn, row, arena);
      return true;
    case 'neg':
      emitNegation(e, insn, row.width);
      return true;
    case 'endian':
      emitByteOrder(e, insn, row);
      return true;
    default:
      return false;
  }
}

function emitTwoOperands(e: Emitter, at: number, insn: Instruction, row: AluOpcode, arena: boolean): void {
  const { op } = row;
  if (op === 'mov') {
    emitMove(e, at, insn, row);
    return;
  }
  const wide = row.width === 64 && !arena && !e.isNarrow(at);
  if (op === 'div' || op === 'mod') {
    emitDivision(e, insn, row, wide);
    return;
  }
  if (wide) {
    e.get(insn.dst);
    if (row.source === 'X') e.get(insn.src);
    else e.code.i64(insn.imm);
    e.code.op(WIDE[op]);
    e.set(insn.dst);
  } else {
    e.getLow(insn.dst);
    pushLowOperand(e, insn, row);
    e.code.op(NARROW[op]);
    e.setLow(insn.dst);
  }
}

function pushLowOperand(e: Emitter, insn: Instruction, { source }: { source: 'K' | 'X' }): void {
  if (source === 'X') e.getLow(insn.src);
  else e.code.i32(insn.imm);
}

const EXTEND_WIDE: Readonly<Record<number, number>> = {
  8: OP.i64_extend8_s,
  16: OP.i64_extend16_s,
  32: OP.i64_extend32_s,
};
const EXTEND_NARROW: Readonly<Record<number, number>> = { 8: OP.i32_extend8_s, 16: OP.i32_extend16_s };

function emitMove(e: Emitter, at: number, insn: Instruction, row: AluOpcode): void {
  const { code } = e;
  const { dst, src, off, imm } = insn;
  if (row.source === 'K') {
    if (row.width === 64) code.i64(imm);
    else code.i64Unsigned(imm >>> 0);
    e.set(dst);
  } else if (row.width === 32) {
    e.getLow(src);
    if (off !== 0) code.op(EXTEND_NARROW[off]);
    e.setLow(dst);
  } else if (off === BPF_ADDR_SPACE_CAST) {
    emitCast(e, at, insn);
  } else {
    e.get(src);
    if (off !== 0) code.op(EXTEND_WIDE[off]);
    e.set(dst);
  }
}

/** cast_kern keeps the low half; cast_user adds the upper half of user_vm_start, but NULL stays NULL. */
function emitCast(e: Emitter, at: number, { dst, src, imm }: Instruction): void {
  const { code } = e;
  const known = e.lowConstant(at, src);
  if (known !== undefined && imm === CAST_KERN) {
    code.i64Unsigned(known >>> 0);
    e.set(dst);
    return;
  }
  e.getLow(src);
  e.setLow(dst);
  if (imm === CAST_KERN || e.isNarrow(at) || e.target.arena === undefined || e.arena.noUserConv) return;
  e.get(dst);
  e.userPointer();
  code.i64(0);
  e.getLow(dst);
  code.op(OP.select);
  e.set(dst);
}

/** Division by zero gives 0, modulo by zero the dividend; the smallest integer by −1 gives itself and no remainder. */
function emitDivision(e: Emitter, insn: Instruction, row: AluOpcode, wide: boolean): void {
  const { code } = e;
  const { dst, src, off, imm } = insn;
  const type = wide ? TYPE.i64 : TYPE.i32;
  const signed = isSigned(row, off);
  const isDivision = row.op === 'div';
  const pushDividend = () => (wide ? e.get(dst) : e.getLow(dst));
  const pushDivisor = () => {
    if (!wide) pushLowOperand(e, insn, row);
    else if (row.source === 'X') e.get(src);
    else code.i64(imm);
  };
  const negate = () => {
    if (wide) code.i64(0);
    else code.i32(0);
    pushDividend();
    code.op(wide ? OP.i64_sub : OP.i32_sub);
  };
  const divide = () => {
    pushDividend();
    pushDivisor();
    code.op(DIVISIONS[`${wide ? 'i64' : 'i32'}_${isDivision ? 'div' : 'rem'}_${signed ? 's' : 'u'}`]);
  };
  const constant = row.source === 'K';
  if (constant && imm !== 0) {
    if (signed && isDivision && imm === -1) negate();
    else divide();
  } else {
    pushDivisor();
    code.op(wide ? OP.i64_eqz : OP.i32_eqz);
    code.if(type, false);
    if (!isDivision) pushDividend();
    else if (wide) code.i64(0);
    else code.i32(0);
    code.else();
    if (signed && isDivision) {
      pushDivisor();
      if (wide) code.i64(-1);
      else code.i32(-1);
      code.op(wide ? OP.i64_eq : OP.i32_eq);
      code.if(type, false);
      negate();
      code.else();
      divide();
      code.end();
    } else divide();
    code.end();
  }
  if (wide) e.set(dst);
  else e.setLow(dst);
}

const DIVISIONS: Readonly<Record<string, number>> = {
  i64_div_u: OP.i64_div_u,
  i64_div_s: OP.i64_div_s,
  i64_rem_u: OP.i64_rem_u,
  i64_rem_s: OP.i64_rem_s,
  i32_div_u: OP.i32_div_u,
  i32_div_s: OP.i32_div_s,
  i32_rem_u: OP.i32_rem_u,
  i32_rem_s: OP.i32_rem_s,
};

function emitNegation(e: Emitter, { dst }: Instruction, width: 32 | 64): void {
  const { code } = e;
  if (width === 64) {
    code.i64(0);
    e.get(dst);
    code.op(OP.i64_sub);
    e.set(dst);
  } else {
    code.i32(0);
    e.getLow(dst);
    code.op(OP.i32_sub);
    e.setLow(dst);
  }
}

/** The machine is little-endian: `le` truncates, `be` and `bswap` reverse the bytes; both zero-extend. */
function emitByteOrder(e: Emitter, { dst, imm: bits }: Instruction, { op }: EndianOpcode): void {
  const { code } = e;
  if (op === 'le') {
    if (bits === 64) return;
    e.getLow(dst);
    if (bits === 16) mask(e, 0xffff);
    e.setLow(dst);
    return;
  }
  if (bits !== 64) {
    reverse(e, () => e.getLow(dst));
    if (bits === 16) {
      code.i32(16);
      code.op(OP.i32_shr_u);
    }
    e.setLow(dst);
    return;
  }
  reverse(e, () => e.getLow(dst));
  code.op(OP.i64_extend_i32_u);
  code.i64(32);
  code.op(OP.i64_shl);
  reverse(e, () => {
    e.get(dst);
    code.i64(32);
    code.op(OP.i64_shr_u);
    code.op(OP.i32_wrap_i64);
  });
  code.op(OP.i64_extend_i32_u);
  code.op(OP.i64_or);
  e.set(dst);
}

function mask(e: Emitter, bits: number): void {
  e.code.i32(bits);
  e.code.op(OP.i32_and);
}

/** Pushes four bytes in reverse order: two rotations bring each byte to its place, two masks pick it. */
function reverse(e: Emitter, push: () => void): void {
  const { code } = e;
  push();
  code.i32(8);
  code.op(OP.i32_rotl);
  mask(e, 0x00ff00ff);
  push();
  code.i32(24);
  code.op(OP.i32_rotl);
  mask(e, 0xff00ff00);
  code.op(OP.i32_or);
}
