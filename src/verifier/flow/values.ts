import {
  type Instruction,
  imm64,
  isLdImm64,
  jumpTarget,
  slots,
  writtenRegister,
} from '../../isa/instruction.ts';
import {
  type AluOpcode,
  atomicOperation,
  BPF_ADDR_SPACE_CAST,
  CAST_KERN,
  type JumpOpcode,
  opcode,
} from '../../isa/opcodes.ts';
import { alu, neg } from '../scalar/alu.ts';
import { Bounds } from '../scalar/bounds.ts';
import { branchTaken, refine } from '../scalar/compare.ts';
import { compareSigned, compareUnsigned } from '../scalar/int64.ts';
import { constant, equal, Scalar, sext, sext32, truncate, UNKNOWN, zext32 } from '../scalar/scalar.ts';
import { Tnum, tnumUnion } from '../scalar/tnum.ts';

/**
 * Ranges and known bits of registers, before each instruction, on every run. Exploration cannot tell: where it prunes, a
 * number that nothing relied on may be any. So this goes over the instructions once more, joining what arrives (abstract
 * interpretation), for the JIT: which upper halves are clear, which low bits are zero, which shifts and offsets are small.
 * Pointers count as the numbers that they are at run time.
 */

const REGISTERS = 11;
/** Rounds after which ranges that still grow are given up; known bits go on, there are 64 at most. */
const PATIENCE = 3;

type Values = Scalar[];

/** The program, as far as values depend on it. */
export interface ValueSource {
  readonly insns: readonly Instruction[];
  /** Where functions begin: nothing is known of their arguments. */
  readonly entries: readonly number[];
  /** Instructions that the verifier saw; others are not looked at. */
  readonly seen: Uint8Array;
  /** Whether 64-bit arithmetic at this slot computes with an arena pointer on every path, and clears the upper half. */
  readonly isArenaArithmetic: (insn: number) => boolean;
  readonly isContextAccess: (insn: number) => boolean;
}

/** @returns for each slot the values of r0 to r10 before it; undefined where it is not reached. */
export function registerValues(source: ValueSource): readonly (readonly Scalar[] | undefined)[] {
  const { insns, entries, seen } = source;
  const before: (Values | undefined)[] = new Array(insns.length);
  const visits = new Uint8Array(insns.length);
  const pending: number[] = [];
  const arrive = (at: number, values: Values) => {
    if (at >= insns.length || seen[at] === 0) return;
    const old = before[at];
    const next = old === undefined ? values : join(old, values, visits[at] > PATIENCE);
    if (next === old) return;
    before[at] = next;
    visits[at] = Math.min(255, visits[at] + 1);
    pending.push(at);
  };
  for (const entry of entries) arrive(entry, new Array<Scalar>(REGISTERS).fill(UNKNOWN));
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const insn = insns[at];
    const values = before[at] as Values;
    const row = opcode(insn.code);
    if (row?.kind === 'exit') continue;
    const target = jumpTarget(insn, at);
    if (row?.kind === 'jump' && target !== undefined) {
      const right = row.source === 'X' ? values[insn.src] : constant(insn.imm);
      const taken = branchTaken(row.op, row.width, values[insn.dst], right);
      if (taken !== true) arrive(at + 1, compared(values, insn, row, right, false));
      if (taken !== false) arrive(target, compared(values, insn, row, right, true));
      continue;
    }
    if (target !== undefined) arrive(target, values);
    if (row?.kind !== 'goto') arrive(at + slots(insn), after(source, values, at));
  }
  return before;
}

/** What two ways that meet have in common; the old values when nothing changed. */
function join(old: Values, values: Values, impatient: boolean): Values {
  let result = old;
  for (let i = 0; i < REGISTERS; i++) {
    if (old[i] === values[i] || old[i] === UNKNOWN) continue;
    const joined = hull(old[i], values[i], impatient);
    if (equal(joined, old[i])) continue;
    if (result === old) result = old.slice();
    result[i] = joined;
  }
  return result;
}

function hull(a: Scalar, b: Scalar, impatient: boolean): Scalar {
  const bounds = new Bounds();
  bounds.t = tnumUnion(a.t, b.t);
  if (!impatient) {
    const low = compareUnsigned(a.uminLo, a.uminHi, b.uminLo, b.uminHi) <= 0 ? a : b;
    const top = compareUnsigned(a.umaxLo, a.umaxHi, b.umaxLo, b.umaxHi) >= 0 ? a : b;
    const least = compareSigned(a.sminLo, a.sminHi, b.sminLo, b.sminHi) <= 0 ? a : b;
    const most = compareSigned(a.smaxLo, a.smaxHi, b.smaxLo, b.smaxHi) >= 0 ? a : b;
    [bounds.uminLo, bounds.uminHi] = [low.uminLo, low.uminHi];
    [bounds.umaxLo, bounds.umaxHi] = [top.umaxLo, top.umaxHi];
    [bounds.sminLo, bounds.sminHi] = [least.sminLo, least.sminHi];
    [bounds.smaxLo, bounds.smaxHi] = [most.smaxLo, most.smaxHi];
    bounds.u32min = a.u32min >>> 0 <= b.u32min >>> 0 ? a.u32min : b.u32min;
    bounds.u32max = a.u32max >>> 0 >= b.u32max >>> 0 ? a.u32max : b.u32max;
    bounds.s32min = Math.min(a.s32min, b.s32min);
    bounds.s32max = Math.max(a.s32max, b.s32max);
  }
  bounds.sync();
  const { t } = bounds;
  return (t.maskLo & t.maskHi) === -1 && equal(new Scalar(bounds), UNKNOWN) ? UNKNOWN : new Scalar(bounds);
}

/** What a jump, taken or not, tells of the registers that it compares. */
function compared(
  values: Values,
  { dst, src }: Instruction,
  row: JumpOpcode,
  right: Scalar,
  taken: boolean,
): Values {
  const byReg = row.source === 'X';
  const { a, b } = refine(row.op, row.width, values[dst], right, taken, byReg && dst === src);
  if (a === values[dst] && (!byReg || b === values[src])) return values;
  const result = values.slice();
  result[dst] = a;
  if (byReg) result[src] = b;
  return result;
}

/** The values behind an instruction that does not jump. */
function after(source: ValueSource, values: Values, at: number): Values {
  const insn = source.insns[at];
  const row = opcode(insn.code);
  const { dst, imm } = insn;
  const set = (value: Scalar): Values => {
    const result = values.slice();
    result[dst] = value;
    return result;
  };
  switch (row?.kind) {
    case 'alu': {
      const value = computed(values, insn, row);
      return set(source.isArenaArithmetic(at) ? zext32(value) : value);
    }
    case 'neg':
      return set(neg(row.width, values[dst]));
    case 'endian':
      return set(imm === 64 ? UNKNOWN : truncate(UNKNOWN, imm / 8));
    case 'load':
      // Four bytes of context may stand for a pointer of eight.
      if (source.isContextAccess(at)) return set(UNKNOWN);
      return set(row.signed ? sext(UNKNOWN, 8 * row.size) : truncate(UNKNOWN, row.size));
    case 'ld_imm64':
      return set(isLdImm64(insn) && insn.src === 0 ? constant(imm64(source.insns, at)) : UNKNOWN);
    case 'atomic': {
      const operation = atomicOperation(imm, row.size);
      const written = operation?.op === 'load_acquire' ? dst : writtenRegister(insn);
      if (written === undefined) return values;
      // In the arena it may keep what it held.
      const result = values.slice();
      result[written] = UNKNOWN;
      return result;
    }
    case 'call':
    case 'ld_abs':
    case 'ld_ind':
      return [...new Array<Scalar>(6).fill(UNKNOWN), ...values.slice(6)];
    default:
      return values;
  }
}

function computed(values: Values, insn: Instruction, { op, width, source }: AluOpcode): Scalar {
  const { dst, src, off, imm } = insn;
  const operand = source === 'X' ? values[src] : constant(imm);
  if (op !== 'mov') {
    const result = alu(op, width, values[dst], operand);
    return width === 32 ? zext32(result) : result;
  }
  if (source === 'K') return width === 64 ? operand : constant(imm >>> 0);
  if (off === 0) return width === 64 ? operand : zext32(operand);
  if (width === 32) return sext32(operand, off);
  if (off !== BPF_ADDR_SPACE_CAST) return sext(operand, off);
  return imm === CAST_KERN ? zext32(operand) : withUpperHalf(operand);
}

/** A user address: the low half, and of the upper one nothing is known. */
function withUpperHalf({ t }: Scalar): Scalar {
  const bounds = new Bounds();
  bounds.t = new Tnum(t.valueLo, 0, t.maskLo, -1);
  bounds.sync();
  return new Scalar(bounds);
}
