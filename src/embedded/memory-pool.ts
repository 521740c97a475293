import { BpfError } from '../errors.ts';
import { PAGE_SIZE, WASM_PAGES } from './layout.ts';

/**
 * Shared WebAssembly memories of 4 GiB are cheap to create and scarce: the engine limits their number and collects them
 * late. So those that are no longer used wait here for the next user, and whoever gives one back has zeroed it with
 * {@link zero}. The pool is one for the process, as the limit is.
 */

/** Tells the operating system that a range of a memory is not needed; it reads zero afterwards. False: could not. */
export type DiscardPages = (bytes: Uint8Array) => boolean;

/** Below this many bytes, looking at each page costs less than a call to the operating system. */
const WORTH_A_DISCARD = 256 * 1024;
/** Memories kept for reuse; more than a program ever has open at once would only hold address space. */
const KEPT = 64;

const idle: WebAssembly.Memory[] = [];
let discardPages: DiscardPages = () => false;

/** Installs the platform's way to give pages back (Node: madvise). Without one, pages are zeroed in place. */
export function useDiscard(discard: DiscardPages): void {
  discardPages = discard;
}

/** A zeroed shared memory of 4 GiB; the operating system commits its pages when they are touched. */
export function takeMemory(): WebAssembly.Memory {
  const memory = idle.pop();
  if (memory !== undefined) return memory;
  try {
    return new WebAssembly.Memory({ initial: WASM_PAGES, maximum: WASM_PAGES, shared: true });
  } catch (cause) {
    const problem = 'no address space is left for another 4 GiB memory: close kernels that are not needed';
    throw new BpfError('ENOMEM', problem, { cause });
  }
}

/** Gives a memory back. It must read zero everywhere, and nobody else may still hold its buffer. */
export function giveMemory(memory: WebAssembly.Memory): void {
  if (idle.length < KEPT) idle.push(memory);
}

/**
 * Makes a range read zero without committing pages that were never written: by the operating system when the range is
 * large, else page by page, writing only where something stands.
 *
 * @param bytes the whole memory. @param offset bytes, a multiple of the page size. @param length bytes.
 */
export function zero(bytes: Uint8Array, offset: number, length: number): void {
  if (length >= WORTH_A_DISCARD && discard(bytes, offset, length)) return;
  for (let page = offset; page < offset + length; page += PAGE_SIZE) zeroPage(bytes, page);
}

/** Likewise, by the operating system or not at all. @returns whether it could. */
export function discard(bytes: Uint8Array, offset: number, length: number): boolean {
  return discardPages(bytes.subarray(offset, offset + length));
}

/** Makes one page read zero; a page that was never written stays uncommitted. */
export function zeroPage(bytes: Uint8Array, offset: number): void {
  const integers = new Int32Array(bytes.buffer, bytes.byteOffset + offset, PAGE_SIZE / 4);
  for (let i = 0; i < integers.length; i++) {
    if (integers[i] !== 0) {
      integers.fill(0, i);
      return;
    }
  }
}
