/**
 * Instructions as the kernel prints them, in verifier logs and in `bpftool prog dump xlated`: `(b7) r1 = 0`. People
 * search for these lines, so spelling, signs and spaces are those of Linux 6.18, also for instructions that it is about
 * to refuse. Names of helpers and meanings of 64-bit immediates come from callbacks: this room knows none.
 */

import type { Instruction } from './instruction.ts';
import { imm64, subprogramTarget } from './instruction.ts';
import type { AtomicOpcode, Opcode } from './opcodes.ts';
import { atomicOperation, BPF_ADDR_SPACE_CAST, isSigned, opcode, SIGN_EXTENSIONS } from './opcodes.ts';

export interface XlatedOptions {
  /** The name of the helper or kfunc that this call calls; without one it prints as `unknown`. */
  callName?: (insn: Instruction, index: number) => string | undefined;
  /** What stands for a ld_imm64's immediate, as `map[id:3][0]+8`; without it the number prints in hex. */
  immediate?: (insn: Instruction, index: number) => string | undefined;
}

/** A number with its sign, as in `goto pc+3`. */
function signed(value: number): string {
  return value < 0 ? `${value}` : `+${value}`;
}

function letter(width: number): 'r' | 'w' {
  return width === 64 ? 'r' : 'w';
}

/**
 * The kernel's text of the instruction that starts at slot `index`, its code byte in front: `(61) r1 = *(u32 *)(r2 +4)`.
 * What the kernel's own printer does not know is `BUG_xx`.
 */
export function formatXlated(
  insns: readonly Instruction[],
  index: number,
  options: XlatedOptions = {},
): string {
  const { code } = insns[index];
  const byte = code.toString(16).padStart(2, '0');
  const row = opcode(code);
  const text = row === undefined ? undefined : format(row, insns, index, options);
  return text === undefined ? `BUG_${byte}` : `(${byte}) ${text}`;
}

function format(
  row: Opcode,
  insns: readonly Instruction[],
  index: number,
  options: XlatedOptions,
): string | undefined {
  const insn = insns[index];
  const { dst, src, off, imm } = insn;
  switch (row.kind) {
    case 'alu': {
      const r = letter(row.width);
      if (row.op === 'mov' && row.source === 'X' && off === BPF_ADDR_SPACE_CAST && row.width === 64) {
        return `r${dst} = addr_space_cast(r${src}, ${imm >>> 16}, ${imm & 0xffff})`;
      }
      const symbol = `${isSigned(row, off) ? 's' : ''}${row.symbol}`;
      if (row.source === 'K') return `${r}${dst} ${symbol} ${imm}`;
      const extends_ = row.op === 'mov' && SIGN_EXTENSIONS.some((bits) => bits === off);
      return `${r}${dst} ${symbol} ${extends_ ? `(s${off})` : ''}${r}${src}`;
    }
    case 'neg':
      return `${letter(row.width)}${dst} = -${letter(row.width)}${dst}`;
    case 'endian':
      return `r${dst} = ${row.op}${imm} r${dst}`;
    case 'jump': {
      const r = letter(row.width);
      const operand = row.source === 'K' ? `0x${(imm >>> 0).toString(16)}` : `${r}${src}`;
      return `if ${r}${dst} ${row.symbol} ${operand} goto pc${signed(off)}`;
    }
    case 'goto':
      return row.distance === 'off' ? `goto pc${signed(off)}` : `gotol pc${signed(imm)}`;
    case 'may_goto':
      return `may_goto pc${signed(off)}`;
    case 'call':
      if (subprogramTarget(insn, index) !== undefined) return `call pc${signed(imm)}`;
      return `call ${options.callName?.(insn, index) ?? 'unknown'}#${imm}`;
    case 'callx':
    case 'gotox':
      return undefined;
    case 'exit':
      return 'exit';
    case 'load':
      return `r${dst} = *(${row.signed ? 's' : 'u'}${row.size * 8} *)(r${src} ${signed(off)})`;
    case 'store':
      return `*(u${row.size * 8} *)(r${dst} ${signed(off)}) = ${row.source === 'K' ? imm : `r${src}`}`;
    case 'atomic':
      return atomic(row, insn);
    case 'ld_imm64':
      return `r${dst} = ${options.immediate?.(insn, index) ?? `0x${imm64(insns, index).toString(16)}`}`;
    case 'ld_abs':
      return `r0 = *(u${row.size * 8} *)skb[${imm}]`;
    case 'ld_ind':
      return `r0 = *(u${row.size * 8} *)skb[r${src} + ${imm}]`;
  }
}

/** Sizes that an operation does not take print too: the kernel prints first and checks then. */
function atomic(row: AtomicOpcode, { dst, src, off, imm }: Instruction): string | undefined {
  const operation = atomicOperation(imm);
  if (operation === undefined) return undefined;
  const type = `(u${row.size * 8} *)`;
  const at = `${type}(r${dst} ${signed(off)})`;
  const wide = row.size === 8 ? '64' : '';
  switch (operation.op) {
    case 'load_acquire':
      return `r${dst} = load_acquire(${type}(r${src} ${signed(off)}))`;
    case 'store_release':
      return `store_release(${at}, r${src})`;
    case 'xchg':
      return `r${src} = atomic${wide}_xchg(${at}, r${src})`;
    case 'cmpxchg':
      return `r0 = atomic${wide}_cmpxchg(${at}, r0, r${src})`;
    default:
      return operation.fetch
        ? `r${src} = atomic${wide}_fetch_${operation.op}(${at}, r${src})`
        : `lock *${at} ${operation.symbol} r${src}`;
  }
}
