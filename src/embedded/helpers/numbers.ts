import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';

/** Helpers that make numbers of text, and compare text (kernel/bpf/helpers.c, lib/kstrtox.c). */

/** What flags may be. */
const BASES = [0, 8, 10, 16];
/** Characters behind white space and sign that are looked at. */
const MAX_DIGITS = 63;

/** A number, and how many characters it took; or a negative errno. */
type Parsed = { readonly value: bigint; readonly length: number } | number;

/** An optional sign and a number below 2^64, at the start of a text. */
function parse(cpu: Cpu, start: KernelOffset, size: number, flags: number): Parsed {
  if (!BASES.includes(flags)) return -ERRNO.EINVAL;
  const text = String.fromCharCode(...cpu.kernel.memory.bytes.slice(start, start + Math.min(size, 4096)));
  const [lead, sign] = /^[\t-\r \xa0]*(-?)/.exec(text) ?? ['', ''];
  const rest = text.slice(lead.length, lead.length + MAX_DIGITS);
  const hexadecimal = /^0x[\da-f]/i.test(rest);
  const base = flags === 0 ? (hexadecimal ? 16 : rest.startsWith('0') ? 8 : 10) : flags;
  const prefix = base === 16 && /^0x/i.test(rest) ? 2 : 0;
  const digits = DIGITS[base].exec(rest.slice(prefix))?.[0] ?? '';
  if (digits === '') return -ERRNO.EINVAL;
  const value = BigInt(PREFIX[base] + digits);
  if (value >= 1n << 64n) return -ERRNO.ERANGE;
  return { value: sign === '' ? value : -value, length: lead.length + prefix + digits.length };
}

const DIGITS: Readonly<Record<number, RegExp>> = { 8: /^[0-7]+/, 10: /^\d+/, 16: /^[\da-f]+/i };
const PREFIX: Readonly<Record<number, string>> = { 8: '0o', 10: '', 16: '0x' };

/** Leaves what was parsed where the program wants it, 0 after an error. @returns the length, or a negative errno. */
function finish(cpu: Cpu, parsed: Parsed, result: KernelOffset): number {
  const failed = typeof parsed === 'number';
  cpu.kernelMemory.setBigInt64(result, failed ? 0n : parsed.value, true);
  return failed ? parsed : parsed.length;
}

function strtol(cpu: Cpu, text: KernelOffset, size: number, flags: number, result: KernelOffset): number {
  const parsed = parse(cpu, text, size, flags);
  const fits = typeof parsed === 'number' || BigInt.asIntN(64, parsed.value) === parsed.value;
  return finish(cpu, fits ? parsed : -ERRNO.ERANGE, result);
}

function strtoul(cpu: Cpu, text: KernelOffset, size: number, flags: number, result: KernelOffset): number {
  const parsed = parse(cpu, text, size, flags);
  // "-0" is negative, too.
  const { bytes } = cpu.kernel.memory;
  const negative = typeof parsed !== 'number' && bytes.slice(text, text + parsed.length).includes(0x2d);
  return finish(cpu, negative ? -ERRNO.EINVAL : parsed, result);
}

function strncmp(cpu: Cpu, first: KernelOffset, size: number, second: KernelOffset): number {
  const { bytes } = cpu.kernel.memory;
  for (let i = 0; i < size; i++) {
    const [a, b] = [bytes[first + i], bytes[second + i]];
    if (a !== b) return a < b ? -1 : 1;
    if (a === 0) break;
  }
  return 0;
}

export const NUMBER_HELPERS = { strtol, strtoul, strncmp };
