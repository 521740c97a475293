/**
 * Instructions as clang's BPF assembly, word for word what `llvm-objdump -d --no-show-raw-insn` (LLVM 22) prints; the
 * parser reads it back. That text leaves out what kind of call a number means and the upper half of a pseudo
 * ld_imm64: the `lossless` option adds those, behind the text of LLVM.
 */

import type { Instruction } from './instruction.ts';
import { imm64, jumpTarget, slots, subprogramTarget } from './instruction.ts';
import type { AtomicOpcode, Opcode } from './opcodes.ts';
import {
  atomicOperation,
  BPF_ADDR_SPACE_CAST,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_KFUNC_CALL,
  ENDIAN_WIDTHS,
  isSigned,
  MAX_BPF_REG,
  opcode,
} from './opcodes.ts';

/** What LLVM prints for bytes that are no instruction. */
export const UNKNOWN = '<unknown>';

export interface FormatOptions {
  /** The name printed in angle brackets behind a jump to this slot, as `LBB0_3` or `main+0x10`; undefined prints none. */
  label?: (slot: number) => string | undefined;
  /**
   * Text that reassembles to the same bytes: marks calls that are no helper calls (`call 0x1 <pc+0x1>`,
   * `call 0x5 <kfunc>`), gives the upper half of pseudo ld_imm64, and writes what is no instruction as `.quad`.
   */
  lossless?: boolean;
}

/** A number as LLVM prints it: `0x1f`, `-0x1`. */
export function hex(value: number | bigint): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

/** A jump distance: always with its sign. */
function distance(slots: number): string {
  return slots < 0 ? hex(slots) : `+${hex(slots)}`;
}

/** `(r2 + 0x4)` without the parentheses. */
function address(register: number, off: number): string {
  return off < 0 ? `r${register} - ${hex(-off)}` : `r${register} + ${hex(off)}`;
}

/** The letter that names a register used at this many bits. */
function letter(bits: number): 'r' | 'w' {
  return bits === 64 ? 'r' : 'w';
}

/**
 * The text of the instruction that starts at slot `index`.
 *
 * @returns {@link UNKNOWN} (lossless: a `.quad`) for what is no instruction; also for a slot that is the second half of
 * a ld_imm64, so step by `slots()`. Fields that an instruction does not use are left out, as LLVM does.
 */
export function formatInstruction(
  insns: readonly Instruction[],
  index: number,
  options: FormatOptions = {},
): string {
  const insn = insns[index];
  const row = opcode(insn.code);
  const text = row === undefined ? undefined : format(row, insns, index);
  if (
    options.lossless &&
    (row === undefined || text === undefined || !usesOnlyItsFields(row, insns, index))
  ) {
    return rawSlots(insns, index);
  }
  if (row === undefined || text === undefined) return UNKNOWN;
  const detail = options.lossless ? hidden(row, insns, index, options) : '';
  const target = jumpTarget(insn, index);
  const label = target === undefined ? undefined : options.label?.(target);
  return label === undefined ? text + detail : `${text} <${label}>`;
}

/** Whether every field without meaning is zero, so that the text says all there is. */
function usesOnlyItsFields(row: Opcode, insns: readonly Instruction[], index: number): boolean {
  const insn = insns[index];
  if (row.unused.some((field) => insn[field] !== 0)) return false;
  if (insn.dst >= MAX_BPF_REG || insn.src >= MAX_BPF_REG) return false;
  switch (row.kind) {
    case 'alu':
      // Only the address-space cast gives the immediate of a 64-bit register move a meaning.
      return row.source === 'K' || insn.off === BPF_ADDR_SPACE_CAST || insn.imm === 0;
    case 'call':
      return insn.src === BPF_PSEUDO_KFUNC_CALL || (insn.src <= BPF_PSEUDO_CALL && insn.off === 0);
    case 'ld_imm64': {
      const second = insns[index + 1];
      return second.code === 0 && second.dst === 0 && second.src === 0 && second.off === 0;
    }
    case 'ld_ind':
      // LLVM's text has no place for the displacement.
      return insn.imm === 0;
    default:
      return true;
  }
}

/** The slots of the instruction at `index` as numbers, for what has no text of its own. */
function rawSlots(insns: readonly Instruction[], index: number): string {
  const words = insns.slice(index, index + slots(insns[index])).map(({ code, dst, src, off, imm }) => {
    const low = (code | (dst << 8) | (src << 12) | (off << 16)) >>> 0;
    return hex((BigInt(imm >>> 0) << 32n) | BigInt(low));
  });
  return `.quad ${words.join(', ')}`;
}

/** Undefined when the fields select nothing that LLVM knows. */
function format(row: Opcode, insns: readonly Instruction[], index: number): string | undefined {
  const { dst, src, off, imm } = insns[index];
  switch (row.kind) {
    case 'alu': {
      if (!row.offs.includes(off)) return undefined;
      const r = letter(row.width);
      if (row.op === 'mov' && row.source === 'X') return `${r}${dst} = ${moved(r, src, off, imm)}`;
      const operand = row.source === 'K' ? hex(imm) : `${r}${src}`;
      return `${r}${dst} ${isSigned(row, off) ? 's' : ''}${row.symbol} ${operand}`;
    }
    case 'neg':
      return `${letter(row.width)}${dst} = -${letter(row.width)}${dst}`;
    case 'endian':
      return ENDIAN_WIDTHS.includes(imm) ? `r${dst} = ${row.op}${imm} r${dst}` : undefined;
    case 'jump': {
      const r = letter(row.width);
      const operand = row.source === 'K' ? hex(imm) : `${r}${src}`;
      return `if ${r}${dst} ${row.symbol} ${operand} goto ${distance(off)}`;
    }
    case 'goto':
      return row.distance === 'off' ? `goto ${distance(off)}` : `gotol ${distance(imm)}`;
    case 'may_goto':
      return `may_goto ${distance(off)}`;
    case 'call':
      return `call ${hex(imm)}`;
    case 'callx':
    case 'gotox':
      return `${row.kind} r${dst}`;
    case 'exit':
      return 'exit';
    case 'load': {
      // LLVM names the 32-bit register where the upper half becomes zero, the 64-bit one where it becomes the sign.
      const r = row.signed || row.size === 8 ? 'r' : 'w';
      return `${r}${dst} = *(${row.signed ? 's' : 'u'}${row.size * 8} *)(${address(src, off)})`;
    }
    case 'store': {
      const value = row.source === 'K' ? hex(imm) : `${letter(row.size * 8)}${src}`;
      return `*(u${row.size * 8} *)(${address(dst, off)}) = ${value}`;
    }
    case 'atomic':
      return atomic(row, insns[index]);
    case 'ld_imm64':
      return ldImm64(insns, index);
    case 'ld_abs':
      return `r0 = *(u${row.size * 8} *)skb[${hex(imm)}]`;
    case 'ld_ind':
      return `r0 = *(u${row.size * 8} *)skb[r${src}]`;
  }
}

/** The right-hand side of a register move: plain, sign-extended, or converted between address spaces. */
function moved(r: string, src: number, off: number, imm: number): string {
  if (off === 0) return `${r}${src}`;
  if (off !== BPF_ADDR_SPACE_CAST) return `(s${off})${r}${src}`;
  return `addr_space_cast(r${src}, ${hex(imm >>> 16)}, ${hex(imm & 0xffff)})`;
}

function atomic(row: AtomicOpcode, { dst, src, off, imm }: Instruction): string | undefined {
  const operation = atomicOperation(imm, row.size);
  if (operation === undefined) return undefined;
  const bits = row.size * 8;
  const r = letter(bits);
  const where = address(dst, off);
  const typed = `(u${bits} *)(${where})`;
  const exchange = bits === 64 ? '_64' : '32_32';
  switch (operation.op) {
    case 'load_acquire':
      return `${r}${dst} = load_acquire((u${bits} *)(${address(src, off)}))`;
    case 'store_release':
      return `store_release(${typed}, ${r}${src})`;
    case 'xchg':
      return `${r}${src} = xchg${exchange}(${where}, ${r}${src})`;
    case 'cmpxchg':
      return `${r}0 = cmpxchg${exchange}(${where}, ${r}0, ${r}${src})`;
    default:
      return operation.fetch
        ? `${r}${src} = atomic_fetch_${operation.op}(${typed}, ${r}${src})`
        : `lock *${typed} ${operation.symbol} ${r}${src}`;
  }
}

function ldImm64(insns: readonly Instruction[], index: number): string | undefined {
  const { dst, src, imm } = insns[index];
  if (insns[index + 1] === undefined) return undefined;
  if (src === 0) return `r${dst} = ${hex(BigInt.asIntN(64, imm64(insns, index)))} ll`;
  return `ld_pseudo\tr${dst}, ${hex(src)}, ${hex(imm >>> 0)}`;
}

/** What the text of LLVM leaves out of a call and of a pseudo ld_imm64; see `lossless`. */
function hidden(row: Opcode, insns: readonly Instruction[], index: number, options: FormatOptions): string {
  const insn = insns[index];
  if (row.kind === 'ld_imm64' && insn.src !== 0) {
    const high = insns[index + 1].imm >>> 0;
    return high === 0 ? '' : `, ${hex(high)}`;
  }
  const target = subprogramTarget(insn, index);
  if (row.kind !== 'call' || insn.src === 0) return '';
  if (target === undefined) return insn.off === 0 ? ' <kfunc>' : ` <kfunc ${distance(insn.off)}>`;
  const name = options.label?.(target);
  // A subprogram may be called `kfunc`; its distance cannot be mistaken.
  return name === undefined || name.startsWith('kfunc') ? ` <pc${distance(insn.imm)}>` : ` <${name}>`;
}
