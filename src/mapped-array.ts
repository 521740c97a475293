import { BpfError } from './errors.ts';

/**
 * The memory of an array with BPF_F_MMAPABLE, which user space and programs share: what one of them writes the other reads, without a call
 * or a copy. Both kernels have it; how it is mapped is theirs.
 */
export class MappedArray implements Disposable {
  /** The map's. */
  readonly name: string;
  /** Elements. */
  readonly length: number;
  /** Bytes from one element to the next: those of a value, rounded up to 8. */
  readonly stride: number;
  readonly #valueSize: number;
  readonly #bytes: Uint8Array;
  readonly #unmap: () => void;
  #open = true;

  constructor(
    { name, maxEntries, valueSize }: { name: string; maxEntries: number; valueSize: number },
    bytes: Uint8Array,
    unmap: () => void,
  ) {
    this.name = name;
    this.length = maxEntries;
    this.stride = strideOf(valueSize);
    this.#valueSize = valueSize;
    this.#bytes = bytes;
    this.#unmap = unmap;
  }

  /** All elements. Throws EBADF when closed; an array that was taken before must not be used after that. */
  get bytes(): Uint8Array {
    if (!this.#open) throw new BpfError('EBADF', `the mapping of map '${this.name}' is closed`);
    return this.#bytes;
  }

  /** The bytes of one element. Throws ERANGE where there is none, EBADF when closed. */
  element(index: number): Uint8Array {
    if (!Number.isInteger(index) || index < 0 || index >= this.length)
      throw new BpfError('ERANGE', `map '${this.name}' has elements 0 to ${this.length - 1}, not ${index}`);
    const start = index * this.stride;
    return this.bytes.subarray(start, start + this.#valueSize);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#unmap();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Bytes from one element of an array to the next. */
export function strideOf(valueSize: number): number {
  return Math.ceil(valueSize / 8) * 8;
}
