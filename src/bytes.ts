import { BpfError } from './errors.ts';
import type { PrepareOptions, RunOptions } from './kernel.ts';

/**
 * Bytes as callers have them: what takes bytes takes any view of memory, or a whole buffer, and sees them as a Uint8Array over the
 * same memory. A list of numbers or a text is refused, with what to pass: how wide the numbers are, and whether a NUL ends the
 * text, only the caller knows.
 */

/** A Uint8Array or another typed array, a DataView, a Buffer, or all of an ArrayBuffer. */
export type Bytes = ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** Whether a value is bytes: not every page has SharedArrayBuffer. */
export function isBytes(value: unknown): value is Bytes {
  return (
    ArrayBuffer.isView(value) ||
    value instanceof ArrayBuffer ||
    (typeof SharedArrayBuffer !== 'undefined' && value instanceof SharedArrayBuffer)
  );
}

/** The same memory as plain Uint8Array. @param what names them in errors: `a context`. Throws EINVAL for what is no bytes. */
export function bytesOf(value: Bytes, what: string): Uint8Array {
  // A Buffer's slice() shares memory, that of other typed arrays copies: only the plain class goes as it is.
  if (value instanceof Uint8Array && value.constructor === Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (isBytes(value)) return new Uint8Array(value);
  throw new BpfError(
    'EINVAL',
    `${what} is bytes (a typed array, DataView or ArrayBuffer), not ${advice(value)}`,
  );
}

function advice(value: unknown): string {
  if (typeof value === 'string')
    return 'text: new TextEncoder().encode(text) gives its bytes, without a NUL at the end';
  if (typeof value === 'bigint') return `a number: BigUint64Array.of(${value}n) is one of 64 bits`;
  if (typeof value === 'number') return `a number: Uint32Array.of(${value}) is one of 32 bits`;
  if (Array.isArray(value))
    return 'an array: Uint32Array.from(array) has 32 bits an element, Uint8Array.from(array) 8';
  if (value === null || value === undefined) return String(value);
  return `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
}

/** {@link RunOptions} as kernels work with them. */
export interface RawRunOptions extends RunOptions {
  ctx?: Uint8Array;
  data?: Uint8Array;
}

/** Throws EINVAL for a context or a packet that is no bytes. @param program names the program in errors. */
export function rawRunOptions(program: string, options: RunOptions): RawRunOptions {
  const { ctx, data, ...others } = options;
  return {
    ...others,
    ...(ctx !== undefined && { ctx: bytesOf(ctx, `program '${program}': a context`) }),
    ...(data !== undefined && { data: bytesOf(data, `program '${program}': a packet`) }),
  };
}

/** What a prepared run begins with: bytes, or how many zeroes. Throws EINVAL for what is neither. */
export function rawContext(program: string, ctx: PrepareOptions['ctx']): Uint8Array | number | undefined {
  if (ctx === undefined) return undefined;
  if (ctx !== null && typeof ctx === 'object' && 'size' in ctx && Number.isInteger(ctx.size)) return ctx.size;
  return bytesOf(ctx as Bytes, `program '${program}': a context`);
}
