import type { Btf } from './btf/index.ts';
import { BpfError } from './errors.ts';
import { PlainMemory, type ViewOptions, viewOf, writeValue } from './view/index.ts';

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

/** Likewise, with elements as their BTF type says. */
export class MappedValues<Value = unknown> implements Disposable, Iterable<Value> {
  readonly array: MappedArray;
  readonly #btf: Btf;
  readonly #type: number;
  readonly #options: ViewOptions;

  constructor(array: MappedArray, btf: Btf, type: number, options: ViewOptions) {
    this.array = array;
    this.#btf = btf;
    this.#type = type;
    this.#options = options;
  }

  get length(): number {
    return this.array.length;
  }

  /**
   * An element: of structures and arrays a view, through which it is read and written; of others the value as it is now.
   * Throws ERANGE where there is none; EBADF when closed, also when a view is used then.
   */
  at(index: number): Value {
    return viewOf<Value>(this.#btf, this.#type, this.#memory(index), 0, this.#options);
  }

  /** Writes an element. Throws what {@link at} throws; EINVAL, ERANGE for what does not fit its type. */
  set(index: number, value: Value): this {
    const what = `element ${index} of map '${this.array.name}'`;
    writeValue(this.#btf, this.#type, this.#memory(index), value, what, this.#options);
    return this;
  }

  *[Symbol.iterator](): Generator<Value> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }

  close(): void {
    this.array.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #memory(index: number): ElementMemory {
    return new ElementMemory(this.array, index);
  }
}

class ElementMemory extends PlainMemory {
  readonly #array: MappedArray;

  constructor(array: MappedArray, index: number) {
    super(array.element(index), `element ${index} of map '${array.name}'`);
    this.#array = array;
  }

  override touch(offset: number, length: number): void {
    // Throws when it is closed.
    this.#array.bytes;
    super.touch(offset, length);
  }
}
