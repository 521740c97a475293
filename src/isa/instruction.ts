/**
 * An instruction is one 8-byte slot; `decode` and `encode` turn bytes into slots and back. The one wide instruction,
 * ld_imm64, keeps its second slot as a pseudo-instruction with code 0, as in Linux, so that an index into an
 * `Instruction[]` is a slot index: what jumps, relocations and line info count in.
 */

import { BpfError, FormatError } from '../errors.ts';
import { atomicOperation, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, opcode } from './opcodes.ts';

/** Bytes of one slot (RFC 9669, section 3.1). */
export const INSN_SIZE = 8;

/** The code byte of ld_imm64, the only instruction of two slots. */
export const LD_IMM64 = 0x18;

/** One slot: code byte, two registers (0 to 15 as encoded), `off` signed 16 bits, `imm` signed 32 bits. */
export interface Instruction {
  code: number;
  dst: number;
  src: number;
  off: number;
  imm: number;
}

/** Builds a slot; fields not given are 0. */
export function instruction(code: number, fields: Partial<Omit<Instruction, 'code'>> = {}): Instruction {
  const { dst = 0, src = 0, off = 0, imm = 0 } = fields;
  return { code, dst, src, off, imm };
}

/** Builds the two slots of ld_imm64. `value` is taken modulo 2^64; `src` is a BPF_PSEUDO_* constant. */
export function ldImm64(dst: number, value: bigint, src = 0): [Instruction, Instruction] {
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return [instruction(LD_IMM64, { dst, src, imm: low }), instruction(0, { imm: high })];
}

/** Whether this slot is the first of a ld_imm64. */
export function isLdImm64(insn: Instruction): boolean {
  return insn.code === LD_IMM64;
}

/** How many slots the instruction that starts with this slot takes. */
export function slots(insn: Instruction): 1 | 2 {
  return insn.code === LD_IMM64 ? 2 : 1;
}

/**
 * The 64-bit immediate of the ld_imm64 at `index`, unsigned. For map values the low half is the map, the high half the
 * offset. A missing second slot counts as 0.
 */
export function imm64(insns: readonly Instruction[], index: number): bigint {
  const high = insns[index + 1]?.imm ?? 0;
  return (BigInt(high >>> 0) << 32n) | BigInt(insns[index].imm >>> 0);
}

/**
 * The slot that the instruction at `index` may jump to, or undefined when it does not jump. Calls do not jump: see
 * {@link subprogramTarget}. The result may lie outside the program; the verifier checks that.
 */
export function jumpTarget(insn: Instruction, index: number): number | undefined {
  const row = opcode(insn.code);
  switch (row?.kind) {
    case 'jump':
    case 'may_goto':
      return index + 1 + insn.off;
    case 'goto':
      return index + 1 + (row.distance === 'off' ? insn.off : insn.imm);
    default:
      return undefined;
  }
}

/** The first slot of the subprogram that this instruction calls or takes the address of, or undefined. */
export function subprogramTarget(insn: Instruction, index: number): number | undefined {
  const kind = opcode(insn.code)?.kind;
  const refers =
    (kind === 'call' && insn.src === BPF_PSEUDO_CALL) ||
    (kind === 'ld_imm64' && insn.src === BPF_PSEUDO_FUNC);
  return refers ? index + 1 + insn.imm : undefined;
}

/**
 * The register that an instruction writes, or undefined when it writes none. A call writes r0 (and clobbers r1 to r5).
 */
export function writtenRegister(insn: Instruction): number | undefined {
  const row = opcode(insn.code);
  switch (row?.kind) {
    case 'alu':
    case 'neg':
    case 'endian':
    case 'load':
    case 'ld_imm64':
      return insn.dst;
    case 'atomic': {
      const operation = atomicOperation(insn.imm, row.size);
      if (operation?.op === 'load_acquire') return insn.dst;
      if (operation?.op === 'cmpxchg') return 0;
      return operation?.fetch ? insn.src : undefined;
    }
    case 'call':
    case 'ld_abs':
    case 'ld_ind':
      return 0;
    default:
      return undefined;
  }
}

/**
 * Reads little-endian instructions. Fields are taken as they stand, valid or not: see validate.ts.
 *
 * @throws FormatError when the length is no multiple of 8 or the second slot of a ld_imm64 is missing; `offset` counts
 * bytes from the start of `bytes`.
 */
export function decode(bytes: Uint8Array, section = 'instructions'): Instruction[] {
  if (bytes.length % INSN_SIZE !== 0) {
    const whole = bytes.length - (bytes.length % INSN_SIZE);
    throw new FormatError(
      section,
      whole,
      `${bytes.length} bytes are not a whole number of 8-byte instructions`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const insns: Instruction[] = [];
  let wide = false;
  for (let at = 0; at < bytes.length; at += INSN_SIZE) {
    const registers = bytes[at + 1];
    insns.push({
      code: bytes[at],
      dst: registers & 0xf,
      src: registers >> 4,
      off: view.getInt16(at + 2, true),
      imm: view.getInt32(at + 4, true),
    });
    wide = !wide && bytes[at] === LD_IMM64;
  }
  if (wide) throw new FormatError(section, bytes.length - INSN_SIZE, 'ld_imm64 lacks its second slot');
  return insns;
}

/**
 * Writes instructions as little-endian bytes, 8 a slot.
 *
 * @throws BpfError ERANGE when a field does not fit its bits.
 */
export function encode(insns: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(insns.length * INSN_SIZE);
  const view = new DataView(bytes.buffer);
  for (let index = 0, at = 0; index < insns.length; index++, at += INSN_SIZE) {
    const { code, dst, src, off, imm } = insns[index];
    const fits = code === (code & 0xff) && dst === (dst & 0xf) && src === (src & 0xf) && imm === (imm | 0);
    if (!fits || off !== (off << 16) >> 16) {
      throw new BpfError(
        'ERANGE',
        `instruction ${index} does not fit its 8 bytes: ${JSON.stringify(insns[index])}`,
      );
    }
    bytes[at] = code;
    bytes[at + 1] = (src << 4) | dst;
    view.setInt16(at + 2, off, true);
    view.setInt32(at + 4, imm, true);
  }
  return bytes;
}
