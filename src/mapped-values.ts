import type { Btf } from './btf/index.ts';
import type { MappedArray } from './mapped-array.ts';
import { PlainMemory, type ViewOptions, viewOf, writeValue } from './view/index.ts';

/** A mapped array whose elements are seen as their BTF type says: views, through which they are read and written in place. */
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
