import type { Instruction } from '../../isa/instruction.ts';
import {
  type AluOpcode,
  BPF_ADDR_SPACE_CAST,
  CAST_KERN,
  type EndianOpcode,
  type NegOpcode,
} from '../../isa/opcodes.ts';
import { arenaOf } from '../arena.ts';
import type { Env } from '../env.ts';
import { fitsIn } from '../memory/stack.ts';
import { alu, neg } from '../scalar/alu.ts';
import { bswap, constant, type Scalar, sext, sext32, truncate, UNKNOWN, zext32 } from '../scalar/scalar.ts';
import { ADD_CONST, ADD_CONST32, ADD_CONST64 } from '../state/print.ts';
import { ARENA_REG, type Reg, scalarReg, UNKNOWN_SCALAR } from '../state/reg.ts';
import { withScalarId } from '../values.ts';
import { forkSign } from './fork.ts';
import { addToPointer } from './pointer-alu.ts';
import { markPrecise } from './precision.ts';
import { readReg, writeReg } from './registers.ts';

/**
 * Arithmetic (Linux: check_alu_op): moves keep what is known, scalars go through the scalar domain, pointers only take
 * offsets, and arena pointers take anything.
 */

export function checkAlu(env: Env, insn: Instruction, row: AluOpcode): void {
  if (row.op === 'mov') {
    if (row.source === 'K') moveImmediate(env, insn, row);
    else moveRegister(env, insn, row);
    return;
  }
  const { dst, src, imm } = insn;
  if (row.source === 'X') readReg(env, src);
  readReg(env, dst);
  const dividing = row.op === 'div' || row.op === 'mod';
  if (dividing && row.source === 'K' && imm === 0) throw env.reject('EINVAL', 'div by zero');
  const shifting = row.op === 'lsh' || row.op === 'rsh' || row.op === 'arsh';
  if (shifting && row.source === 'K' && (imm < 0 || imm >= row.width))
    throw env.reject('EINVAL', `invalid shift ${imm}`);
  writeReg(env, dst);
  adjust(env, insn, row);
}

function moveImmediate(env: Env, { dst, imm }: Instruction, { width }: AluOpcode): void {
  writeReg(env, dst);
  env.setReg(dst, scalarReg(constant(width === 64 ? imm : imm >>> 0)));
}

function moveRegister(env: Env, insn: Instruction, { width }: AluOpcode): void {
  const { dst, src, off, imm } = insn;
  readReg(env, src);
  writeReg(env, dst);
  if (width === 64 && off === BPF_ADDR_SPACE_CAST) {
    cast(env, insn, imm);
    return;
  }
  const reg = env.reg(src);
  if (width === 64) {
    if (off === 0) env.setReg(dst, withScalarId(env, src));
    else if (reg.kind !== 'scalar') {
      // Sign-extending a pointer would leak it for those who may not see it; for others it is a number.
      env.setReg(dst, UNKNOWN_SCALAR);
    } else env.setReg(dst, extended(env, src, off, 64));
    return;
  }
  if (reg.kind !== 'scalar') {
    env.setReg(dst, UNKNOWN_SCALAR.withScalar(zext32(UNKNOWN)));
    return;
  }
  if (off !== 0) {
    env.setReg(dst, extended(env, src, off, 32));
    return;
  }
  const same = fitsIn(reg.scalar, 4);
  const value = same ? withScalarId(env, src) : reg.untied();
  env.setReg(dst, value.withScalar(zext32(value.scalar)));
}

/** dst = (s8)src and its like: linked to src when no bit changed. */
function extended(env: Env, src: number, bits: number, width: 32 | 64): Reg {
  const { scalar } = env.reg(src);
  const unchanged = scalar.umaxHi === 0 && scalar.umaxLo >>> 0 < 2 ** (bits - 1);
  const reg = unchanged ? withScalarId(env, src) : env.reg(src).untied();
  return reg.withScalar(width === 64 ? sext(reg.scalar, bits) : sext32(reg.scalar, bits));
}

/** cast_kern makes an arena pointer of anything, cast_user a number. */
function cast(env: Env, { dst }: Instruction, imm: number): void {
  if (arenaOf(env) === undefined) {
    const rule = 'addr_space_cast insn can only be used in a program that has an associated arena';
    throw env.reject('EINVAL', rule);
  }
  env.setReg(dst, imm === CAST_KERN ? ARENA_REG : UNKNOWN_SCALAR);
}

export function checkNeg(env: Env, { dst }: Instruction, { width }: NegOpcode): void {
  readReg(env, dst);
  writeReg(env, dst);
  const reg = env.reg(dst);
  env.setReg(dst, reg.kind === 'scalar' ? scalarReg(neg(width, reg.scalar), reg.precise) : UNKNOWN_SCALAR);
}

/** Byte order, of a machine that is little-endian: `le` only truncates. */
export function checkEndian(env: Env, { dst, imm }: Instruction, { op }: EndianOpcode): void {
  readReg(env, dst);
  writeReg(env, dst);
  const reg = env.reg(dst);
  if (reg.kind !== 'scalar') env.setReg(dst, UNKNOWN_SCALAR);
  else if (op !== 'le') env.setReg(dst, scalarReg(bswap(reg.scalar, imm), reg.precise));
  else if (imm !== 64) env.setReg(dst, scalarReg(truncate(reg.scalar, imm / 8), reg.precise));
}

/** Linux: adjust_reg_min_max_vals. */
function adjust(env: Env, insn: Instruction, row: AluOpcode): void {
  const { dst, src, imm } = insn;
  const old = env.reg(dst);
  const operand = row.source === 'X' ? env.reg(src) : scalarReg(constant(imm));
  const arena = old.kind === 'arena' || operand.kind === 'arena';
  env.facts.noteArithmetic(env.at, arena);
  if (arena) {
    // Whatever is computed with an arena pointer stays in the arena: its low 32 bits are what counts.
    env.setReg(dst, ARENA_REG);
  } else if (operand.kind !== 'scalar') {
    if (old.kind === 'scalar') {
      // scalar += pointer: the sum is a pointer.
      markPrecise(env, dst);
      addToPointer(env, insn, row, operand, old, true);
    } else if (row.op === 'sub') {
      env.setReg(dst, UNKNOWN_SCALAR);
    } else {
      throw env.reject('EACCES', `R${dst} pointer ${row.symbol} pointer prohibited`);
    }
  } else if (old.kind !== 'scalar') {
    if (row.source === 'X') markPrecise(env, src);
    addToPointer(env, insn, row, old, operand, false);
  } else {
    const { op } = row as { op: Exclude<AluOpcode['op'], 'mov'> };
    const masks = (op === 'and' || op === 'or') && operand.scalar.isConst();
    const value = masks ? forkSign(env, dst, old) : old;
    const result = alu(op, row.width, value.scalar, operand.scalar);
    env.setReg(dst, linked(row, value, operand.scalar, row.source === 'X' && dst === src, result));
  }
}

/**
 * A linked scalar plus or minus a constant stays linked: `off` says what was added (Linux: BPF_ADD_CONST). Of 32-bit sums
 * only those of numbers whose upper half is clear.
 */
function linked({ op, width }: AluOpcode, old: Reg, operand: Scalar, itself: boolean, result: Scalar): Reg {
  const known = operand.isConst() ? (width === 64 ? operand.sminNumber() : operand.s32min) : Number.NaN;
  const off = op === 'add' ? known : op === 'sub' ? 0 - known : Number.NaN;
  const fits = known === (known | 0) && off === (off | 0) && (width === 64 || old.scalar.umaxHi === 0);
  if (!fits || itself || old.id === 0 || (old.id & ADD_CONST) !== 0) return scalarReg(result, old.precise);
  return old.with({ scalar: result, id: old.id | (width === 64 ? ADD_CONST64 : ADD_CONST32), off });
}
