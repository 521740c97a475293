/**
 * The string section of BTF. Strings are slices of one decoded text, so that names which overlap (damaged or hostile
 * files) cost no memory; only what is not ASCII is decoded on its own.
 */

import { FormatError } from '../errors.ts';

/** Longer names than any real type's are refused: they would make every walk over the types slow. */
const MAX_NAME_BYTES = 4095;

export class StringSection {
  readonly bytes: Uint8Array;
  /** The number of this section's first string: split BTF continues the numbering of its base. */
  readonly first: number;
  /** Offset in .BTF, for error messages. */
  readonly #start: number;
  readonly #base: StringSection | undefined;
  #text: string | undefined;

  constructor(bytes: Uint8Array, start: number, base?: StringSection) {
    this.bytes = bytes;
    this.first = base?.end ?? 0;
    this.#start = start;
    this.#base = base;
    if (bytes.length > 0 && bytes[bytes.length - 1] !== 0) {
      throw new FormatError('.BTF', start + bytes.length - 1, 'the last string has no end');
    }
  }

  /** One past the last offset. */
  get end(): number {
    return this.first + this.bytes.length;
  }

  /** The section, this or a base's, that holds the string at `offset`. @throws FormatError beyond the end */
  holding(offset: number): StringSection {
    if (offset < this.first && this.#base !== undefined) return this.#base.holding(offset);
    if (offset < this.end) return this;
    throw new FormatError('.BTF', this.#start, `a string at ${offset}, but the strings end at ${this.end}`);
  }

  /** The string at an offset. @throws FormatError beyond the end */
  at(offset: number): string {
    if (offset === 0) return '';
    const section = this.holding(offset);
    const start = offset - section.first;
    return section.#slice(start, section.bytes.indexOf(0, start));
  }

  /** As `at`, for names of types, members and values: at most 4095 bytes. */
  nameAt(offset: number): string {
    if (offset === 0) return '';
    const section = this.holding(offset);
    const start = offset - section.first;
    return section.#slice(start, section.nameEnd(start));
  }

  /** The index in `bytes` of the NUL that ends the name starting at index `start`. */
  nameEnd(start: number): number {
    const { bytes } = this;
    const limit = start + MAX_NAME_BYTES;
    let end = start;
    while (bytes[end] !== 0) {
      if (++end > limit) throw new FormatError('.BTF', this.#start + start, 'a name longer than 4095 bytes');
    }
    return end;
  }

  #slice(start: number, end: number): string {
    const { bytes } = this;
    for (let i = start; i < end; i++) {
      // A copy: TextDecoder refuses shared memory in browsers.
      if (bytes[i] >= 0x80) return new TextDecoder().decode(bytes.slice(start, end));
    }
    // latin1 keeps one character a byte, so offsets in the text are offsets in the bytes.
    this.#text ??= new TextDecoder('latin1').decode(bytes.slice());
    return this.#text.slice(start, end);
  }
}
