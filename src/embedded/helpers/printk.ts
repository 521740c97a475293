import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import { KERNEL_HIGH, type KernelOffset } from '../layout.ts';

/**
 * bpf_trace_printk: its format language (kernel/trace/bpf_trace.c, bpf_bprintf_prepare) and its output, which goes to
 * whoever listens to the kernel's trace.
 */

/** Linux: MAX_TRACE_PRINTK_VARARGS. */
const MAX_ARGS = 3;
/** Linux: the longest string that %s reads, and the longest line. */
const MAX_TEXT = 512;

export function trace_printk(
  cpu: Cpu,
  format: KernelOffset,
  size: number,
  ...values: [bigint, bigint, bigint]
): number {
  const text = cpu.kernel.memory.bytes.slice(format, format + size);
  if (size === 0 || text[size - 1] !== 0) return -ERRNO.EINVAL;
  const line = formatLine(cpu, latin1(text.subarray(0, text.indexOf(0))), values);
  if (line === undefined) return -ERRNO.EINVAL;
  cpu.kernel.trace(line.slice(0, MAX_TEXT - 1).replace(/\n$/, ''));
  return line.length;
}

const latin1 = (bytes: Uint8Array) => String.fromCharCode(...bytes);
const DIRECTIVE = /%(?:%|([-+ #0]*)(\d*)(ll|l|hh|h|z)?([diuxXpsc])([ku]s)?)|%/g;

/** The formatted line, or undefined where Linux answers EINVAL: an unknown directive, or too many of them. */
function formatLine(cpu: Cpu, format: string, values: readonly bigint[]): string | undefined {
  let used = 0;
  let invalid = false;
  const line = format.replace(DIRECTIVE, (whole, flags, width, length, kind, space) => {
    if (whole === '%%') return '%';
    if (kind === undefined || used === MAX_ARGS || (space !== undefined && kind !== 'p')) {
      invalid = true;
      return '';
    }
    const text = formatValue(cpu, values[used++], space !== undefined ? 's' : kind, length ?? '', flags);
    return pad(text, flags, Number(width || 0));
  });
  return invalid ? undefined : line;
}

function formatValue(cpu: Cpu, value: bigint, kind: string, length: string, flags: string): string {
  const bits = length === '' ? 32 : length === 'hh' ? 8 : length === 'h' ? 16 : 64;
  switch (kind) {
    case 'd':
    case 'i':
      return BigInt.asIntN(bits, value).toString();
    case 'u':
      return BigInt.asUintN(bits, value).toString();
    case 'x':
    case 'X': {
      const digits = (flags.includes('#') ? '0x' : '') + BigInt.asUintN(bits, value).toString(16);
      return kind === 'X' ? digits.toUpperCase() : digits;
    }
    case 'c':
      return String.fromCharCode(Number(value & 0xffn));
    case 's':
      return readString(cpu, value);
    default:
      return BigInt.asUintN(64, value).toString(16).padStart(16, '0');
  }
}

function pad(text: string, flags: string, width: number): string {
  if (flags.includes('-')) return text.padEnd(width);
  if (!flags.includes('0')) return text.padStart(width);
  return text.startsWith('-') ? `-${text.slice(1).padStart(width - 1, '0')}` : text.padStart(width, '0');
}

/** The text at a pointer into kernel memory or the arena; nothing where neither is. */
function readString(cpu: Cpu, pointer: bigint): string {
  const low = Number(pointer & 0xffffffffn);
  const high = Number(pointer >> 32n) | 0;
  const arena = cpu.program?.arena;
  if (high === KERNEL_HIGH) return terminated(cpu.kernel.memory.bytes, low);
  const inArena = arena !== undefined && (high === 0 || high === Number(arena.userVmStart >> 32n));
  return inArena ? terminated(arena.window, low) : '';
}

function terminated(bytes: Uint8Array, start: number): string {
  const text = bytes.slice(start, start + MAX_TEXT);
  const end = text.indexOf(0);
  return latin1(end < 0 ? text : text.subarray(0, end));
}
