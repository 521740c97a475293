import { FormatError } from '../errors.ts';

/** Reads WebAssembly's binary format: bytes, LEB128 integers, names, vectors. Whatever does not fit is a FormatError. */

const WHERE = 'WebAssembly module';

export class Reader {
  readonly bytes: Uint8Array;
  /** Where the next byte is read, in bytes from the module's start. */
  at: number;
  /** One past the last byte that may be read. */
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  error(problem: string, at = this.at): FormatError {
    return new FormatError(WHERE, at, problem);
  }

  byte(): number {
    if (this.at >= this.end) throw this.error('it ends too early');
    return this.bytes[this.at++];
  }

  /** The next `length` bytes, as a reader of their own. */
  part(length: number): Reader {
    if (length > this.end - this.at) throw this.error(`${length} bytes do not fit before offset ${this.end}`);
    const part = new Reader(this.bytes, this.at, this.at + length);
    this.at += length;
    return part;
  }

  u32(): number {
    const start = this.at;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) !== 0) continue;
      if (value > 0xffffffff) break;
      return value;
    }
    throw this.error('an integer is longer than 32 bits', start);
  }

  /** A signed integer of at most `bits` bits. */
  signed(bits: 32 | 33 | 64): bigint {
    const start = this.at;
    let value = 0n;
    for (let shift = 0; shift < bits; shift += 7) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << BigInt(shift);
      if ((byte & 0x80) !== 0) continue;
      const whole = (byte & 0x40) === 0 ? value : value - (1n << BigInt(shift + 7));
      if (BigInt.asIntN(bits, whole) !== whole) break;
      return whole;
    }
    throw this.error(`an integer is longer than ${bits} bits`, start);
  }

  /** Bytes of which the length is given in front. */
  blob(): Uint8Array {
    const { at, end } = this.part(this.u32());
    return this.bytes.subarray(at, end);
  }

  name(): string {
    const start = this.at;
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.blob().slice());
    } catch (cause) {
      throw cause instanceof FormatError ? cause : this.error('a name is not UTF-8', start);
    }
  }

  /** A count, and so many items. Each takes a byte at least, so a count that cannot be true is found at once. */
  vector<Item>(item: (index: number) => Item): Item[] {
    const start = this.at;
    const count = this.u32();
    if (count > this.end - this.at) throw this.error(`there is no room for ${count} items`, start);
    const items: Item[] = [];
    for (let index = 0; index < count; index++) items.push(item(index));
    return items;
  }

  /** Throws unless everything was read. @param what it is that was read. */
  finish(what: string): void {
    if (!this.done) throw this.error(`${this.end - this.at} bytes are left over behind ${what}`);
  }
}
