import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import { KERNEL_HIGH, type KernelOffset, MEMORY_BYTES } from '../layout.ts';

/**
 * The format language of all helpers that print (Linux: bpf_bprintf_prepare, bstr_printf): a table of directives, each with the room
 * that its argument takes. Linux prepares all arguments in 512 bytes first; what does not fit there is refused, and a long string
 * is cut, so room is counted here as it is there. Text is Latin-1: a character a byte.
 */

/** Linux: MAX_BPRINTF_BIN_ARGS. */
const ROOM = 512;
/** Linux: MAX_BPRINTF_VARARGS. */
const MAX_ARGS = 12;
const { EINVAL, ENOSPC } = ERRNO;

/** Flags and width, then an integer with its length, a pointer in one of its forms, a string or a character. */
const DIRECTIVE =
  /%(?:%|([-+ 0]*)((?:[1-9]\d*)?)(?:(ll?)?([diuxX])|(p(?:[ku]s|[iI][46]|[KxsSB]|(?![A-Za-z0-9]))|s|c)))|%/g;
/** What Linux prints: its ctype calls the upper half of Latin-1 printable, and white space is. */
const PRINTABLE = /^[\t-\r -~\xa0-\xff]*$/;

/** Arguments of 8 bytes each, in kernel memory. @returns them, or −EINVAL for a size that is none. */
export function argumentsAt(cpu: Cpu, data: KernelOffset, size: number): bigint[] | number {
  if (size % 8 !== 0 || size > 8 * MAX_ARGS || (size > 0 && data === 0)) return -EINVAL;
  return Array.from({ length: size / 8 }, (_, i) => cpu.kernelMemory.getBigUint64(data + 8 * i, true));
}

/** A format that ends in a 0, within `size` bytes. @returns it without that, or undefined where there is no 0. */
export function formatAt(cpu: Cpu, format: KernelOffset, size: number): string | undefined {
  const { bytes } = cpu.kernel.memory;
  if (size === 0 || bytes[format + size - 1] !== 0) return undefined;
  // Another CPU may write there meanwhile.
  const end = Math.min(bytes.indexOf(0, format), format + size - 1);
  return latin1(bytes.subarray(format, end));
}

/** The text up to its 0, which the verifier has seen. */
export function constantText(cpu: Cpu, at: KernelOffset): string {
  const { bytes } = cpu.kernel.memory;
  return latin1(bytes.slice(at, bytes.indexOf(0, at)));
}

/** Longer than any text here is never asked for. */
export function latin1(bytes: Uint8Array): string {
  // Apply takes any list of numbers; a spread would go through an iterator.
  return String.fromCharCode.apply(undefined, bytes as unknown as number[]);
}

/** Puts a text into memory, without a final 0. */
export function putText(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

/**
 * The formatted text; or −EINVAL for an unknown directive, or more of them than arguments, and −ENOSPC when the arguments take too
 * much room.
 */
export function formatted(cpu: Cpu, format: string, values: readonly bigint[]): string | number {
  if (!PRINTABLE.test(format)) return -EINVAL;
  let used = 0;
  let room = ROOM;
  let error = 0;
  const fail = (errno: number): string => {
    error ||= errno;
    return '';
  };
  const take = (bytes: number) => {
    room -= bytes;
    return room >= 0;
  };
  const text = format.replace(DIRECTIVE, (whole, flags, width, length, integer, other) => {
    if (whole === '%%') return '%';
    if (whole === '%' || used === values.length) return fail(-EINVAL);
    const value = values[used++];
    if (integer !== undefined) {
      room -= room % 4;
      if (!take(length === undefined ? 4 : 8)) return fail(-ENOSPC);
      return pad(formatInteger(value, integer, length === undefined ? 32 : 64, flags), flags, width);
    }
    if (other === 'c') {
      return take(1)
        ? pad(String.fromCharCode(Number(value & 0xffn)), flags.replace('0', ''), width)
        : fail(-ENOSPC);
    }
    if (other === 's' || other === 'pks' || other === 'pus') {
      if (room < 1) return fail(-ENOSPC);
      const found = readText(cpu, value, other, room);
      take(found.length + 1);
      return pad(found, flags.replace('0', ''), width);
    }
    if (/^p[iI]/.test(other)) {
      const address = formatAddress(cpu, value, other);
      return take(address.length + 1) ? address : fail(-ENOSPC);
    }
    room -= room % 4;
    return take(8) ? pad(formatPointer(value, other), flags, width) : fail(-ENOSPC);
  });
  return error === 0 ? text : error;
}

function formatInteger(value: bigint, kind: string, bits: number, flags: string): string {
  if (kind === 'u') return BigInt.asUintN(bits, value).toString();
  if (kind === 'x') return BigInt.asUintN(bits, value).toString(16);
  if (kind === 'X') return BigInt.asUintN(bits, value).toString(16).toUpperCase();
  const text = BigInt.asIntN(bits, value).toString();
  return text.startsWith('-') ? text : (/\+/.exec(flags)?.[0] ?? / /.exec(flags)?.[0] ?? '') + text;
}

/** Pointers are printed as they are: there is nothing to hide here, so unlike on Linux %p and %pK do not hash them. */
function formatPointer(value: bigint, kind: string): string {
  const digits = BigInt.asUintN(64, value).toString(16);
  return kind === 'ps' || kind === 'pS' || kind === 'pB' ? `0x${digits}` : digits.padStart(16, '0');
}

/** An IP address in memory, 0 where there is none. The forms with `i` have neither colons nor, for IPv4, missing zeros. */
function formatAddress(cpu: Cpu, pointer: bigint, form: string): string {
  const size = form.endsWith('4') ? 4 : 16;
  const found = place(cpu, pointer, 'pks');
  const there = found !== undefined && found.start + size <= MEMORY_BYTES;
  const bytes = there ? found.bytes.slice(found.start, found.start + size) : new Uint8Array(size);
  if (size === 4)
    return [...bytes].map((byte) => String(byte).padStart(form === 'pi4' ? 3 : 1, '0')).join('.');
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return form === 'pi6' ? digits : (digits.match(/..../g) ?? []).join(':');
}

function pad(text: string, flags: string, width: string): string {
  const wanted = Number(width || 0);
  if (flags.includes('-')) return text.padEnd(wanted);
  if (!flags.includes('0')) return text.padStart(wanted);
  const sign = /^[-+ ]?/.exec(text)?.[0] ?? '';
  return sign + text.slice(sign.length).padStart(wanted - sign.length, '0');
}

/** Where a pointer leads for %s, %pks or %pus: into kernel memory, or the program's arena, which is user space. */
function place(cpu: Cpu, pointer: bigint, form: string): { bytes: Uint8Array; start: number } | undefined {
  const start = Number(pointer & 0xffffffffn);
  const high = Number(BigInt.asIntN(32, pointer >> 32n));
  if (high === KERNEL_HIGH) return form === 'pus' ? undefined : { bytes: cpu.kernel.memory.bytes, start };
  const arena = cpu.program?.arena;
  const inArena = arena !== undefined && (high === 0 || high === Number(arena.userVmStart >> 32n));
  return inArena && form !== 'pks' ? { bytes: arena.window, start } : undefined;
}

/** The text at a pointer, which takes at most `room` bytes with its 0; nothing where there is none. */
function readText(cpu: Cpu, pointer: bigint, form: string, room: number): string {
  const found = place(cpu, pointer, form);
  if (found === undefined) return '';
  const text = found.bytes.slice(found.start, found.start + room - 1);
  const end = text.indexOf(0);
  return latin1(end < 0 ? text : text.subarray(0, end));
}
