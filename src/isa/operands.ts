/**
 * The operands of an instruction: registers, immediates, addresses and access types. parse.ts composes them.
 */

import type { Cursor } from './lexer.ts';
import type { AccessSize, Source, Width } from './opcodes.ts';
import { MAX_BPF_REG } from './opcodes.ts';

export interface Register {
  readonly number: number;
  readonly width: Width;
}

export const S16_MIN = -0x8000;
export const S16_MAX = 0x7fff;
export const S32_MIN = -0x8000_0000;
export const S32_MAX = 0x7fff_ffff;
export const U32_MAX = 0xffff_ffff;

/** Takes a register if one stands here. */
export function tryRegister(at: Cursor): Register | undefined {
  const { text, kind } = at.peek();
  const match = kind === 'name' ? /^([rwRW])(\d{1,2})$/.exec(text) : null;
  if (match === null) return undefined;
  if (Number(match[2]) >= MAX_BPF_REG) at.fail(`a register from r0 to r${MAX_BPF_REG - 1}`);
  at.take();
  return { number: Number(match[2]), width: match[1].toLowerCase() === 'r' ? 64 : 32 };
}

/** Takes a register, of this width if one is given. */
export function register(at: Cursor, width?: Width): Register {
  const letter = width === 32 ? 'w' : 'r';
  const expected = width === undefined ? 'a register' : `a ${width}-bit register, ${letter}0 to ${letter}10`;
  const { text } = at.peek();
  if (width !== undefined && /^[rwRW]\d/.test(text) && text[0].toLowerCase() !== letter) at.fail(expected);
  return tryRegister(at) ?? at.fail(expected);
}

/** Takes exactly this register: an instruction that names one twice has only one field for it. */
export function sameRegister(at: Cursor, wanted: Register): void {
  const expected = `${wanted.width === 64 ? 'r' : 'w'}${wanted.number}`;
  if (at.peek().text.toLowerCase() !== expected) at.fail(`\`${expected}\``);
  at.take();
}

/** An immediate of 32 bits: signed, or the unsigned number with the same bits, as clang accepts it. */
export function immediate(at: Cursor): number {
  return at.integer(S32_MIN, U32_MAX, 'a 32-bit number') | 0;
}

/** `r2 + 0x4`. */
export function address(at: Cursor): { base: number; off: number } {
  const base = register(at, 64).number;
  if (!at.at('+') && !at.at('-')) at.fail('`+` or `-` and an offset');
  return { base, off: at.integer(S16_MIN, S16_MAX, 'an offset') };
}

/** `(u32 *)`. */
export function accessType(at: Cursor): { size: AccessSize; signed: boolean } {
  at.expect('(');
  const match = /^([us])(8|16|32|64)$/.exec(at.peek().text);
  if (match === null) at.fail('u8, u16, u32, u64, s8, s16 or s32');
  at.take();
  at.expect('*');
  at.expect(')');
  return { size: (Number(match[2]) / 8) as AccessSize, signed: match[1] === 's' };
}

/** `(u32 *)(r2 + 0x4)`, unsigned. */
export function typedAddress(at: Cursor): { size: AccessSize; base: number; off: number } {
  const { size, signed } = accessType(at);
  if (signed) at.reject('expected an unsigned type, u8 to u64: only loads have signed ones');
  at.expect('(');
  const { base, off } = address(at);
  at.expect(')');
  return { size, base, off };
}

/** The register width that goes with a value of this many bytes. */
export function widthOf(size: AccessSize): Width {
  return size === 8 ? 64 : 32;
}

/** A register of the same width, or an immediate. */
export function secondOperand(
  at: Cursor,
  width: Width,
): { source: Source; fields: { src?: number; imm?: number } } {
  if (/^[rwRW]\d{1,2}$/.test(at.peek().text))
    return { source: 'X', fields: { src: register(at, width).number } };
  return { source: 'K', fields: { imm: immediate(at) } };
}

/** What listings print in angle brackets behind an operand; the words, or undefined when there is nothing. */
export function skipAnnotation(at: Cursor): string[] | undefined {
  if (!at.accept('<')) return undefined;
  const words: string[] = [];
  while (!at.peek().text.endsWith('>')) {
    if (at.peek().kind === 'end') at.fail('`>`');
    words.push(at.take().text);
  }
  at.take();
  return words;
}

/** Refuses a destination of the other width. */
export function requireWidth(at: Cursor, { number, width }: Register, wanted: Width): void {
  if (width !== wanted)
    at.reject(`expected a ${wanted}-bit register, ${wanted === 64 ? 'r' : 'w'}${number}, before \`=\``);
}

/** Whether a register stands this many tokens ahead; also one that does not exist. */
export function tryRegisterAhead(at: Cursor, ahead = 0): boolean {
  return /^[rwRW]\d{1,2}$/.test(at.peek(ahead).text);
}
