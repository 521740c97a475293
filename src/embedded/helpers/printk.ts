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
/** Flags and width, then an integer with its length, a pointer in one of its forms, a string or a character. */
const DIRECTIVE = /%(?:%|([-+ 0]*)(\d*)(?:(ll?)?([diuxX])|(p(?:[ku]s|[KxsSB]|(?![A-Za-z0-9]))|s|c)))|%/g;
/** What Linux prints: its ctype calls the upper half of Latin-1 printable, and white space is. */
const PRINTABLE = /^[\t-\r -~\xa0-\xff]*$/;

/** The formatted line, or undefined where Linux answers EINVAL: an unknown directive, or too many of them. */
function formatLine(cpu: Cpu, format: string, values: readonly bigint[]): string | undefined {
  let used = 0;
  let invalid = !PRINTABLE.test(format);
  const line = format.replace(DIRECTIVE, (whole, flags, width, length, integer, other) => {
    if (whole === '%%') return '%';
    if (whole === '%' || used === MAX_ARGS) {
      invalid = true;
      return '';
    }
    const value = values[used++];
    const text = integer
      ? formatInteger(value, integer, length === undefined ? 32 : 64, flags)
      : formatOther(cpu, value, other);
    return pad(text, flags, Number(width || 0));
  });
  return invalid ? undefined : line;
}

function formatInteger(value: bigint, kind: string, bits: number, flags: string): string {
  if (kind === 'u') return BigInt.asUintN(bits, value).toString();
  if (kind === 'x') return BigInt.asUintN(bits, value).toString(16);
  if (kind === 'X') return BigInt.asUintN(bits, value).toString(16).toUpperCase();
  const text = BigInt.asIntN(bits, value).toString();
  return text.startsWith('-') ? text : (/\+/.exec(flags)?.[0] ?? / /.exec(flags)?.[0] ?? '') + text;
}

/** Pointers are printed as they are: there is nothing to hide here, so unlike on Linux %p and %pK do not hash them. */
function formatOther(cpu: Cpu, value: bigint, kind: string): string {
  switch (kind) {
    case 'c':
      return String.fromCharCode(Number(value & 0xffn));
    case 's':
    case 'pks':
    case 'pus':
      return readString(cpu, value);
    case 'ps':
    case 'pS':
    case 'pB':
      return `0x${BigInt.asUintN(64, value).toString(16)}`;
    default:
      return BigInt.asUintN(64, value).toString(16).padStart(16, '0');
  }
}

function pad(text: string, flags: string, width: number): string {
  if (flags.includes('-')) return text.padEnd(width);
  if (!flags.includes('0')) return text.padStart(width);
  const sign = /^[-+ ]?/.exec(text)?.[0] ?? '';
  return sign + text.slice(sign.length).padStart(width - sign.length, '0');
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
