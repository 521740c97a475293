/**
 * A buffer that grows, and the variable-length integers (LEB128) of WebAssembly's binary format. Everything the JIT emits
 * goes through here, byte by byte, so nothing allocates but the buffer itself.
 */
export class Bytes {
  #bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  byte(value: number): void {
    if (this.length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.length++] = value;
  }

  /** Two bytes, which is what most instructions take. */
  pair(first: number, second: number): void {
    if (this.length + 2 > this.#bytes.length) this.#grow(2);
    this.#bytes[this.length] = first;
    this.#bytes[this.length + 1] = second;
    this.length += 2;
  }

  /** An unsigned integer below 2^53. */
  unsigned(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      // Beyond 32 bits a shift would lose what a division keeps.
      rest = rest > 0xffffffff ? Math.floor(rest / 0x80) : rest >>> 7;
    }
    this.byte(rest);
  }

  /** A signed integer of 32 bits. */
  signed(value: number): void {
    let rest = value;
    for (;;) {
      const byte = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)) {
        this.byte(byte);
        return;
      }
      this.byte(byte | 0x80);
    }
  }

  /** A signed integer of 64 bits, for the few constants that need them. */
  signed64(value: bigint): void {
    let rest = BigInt.asIntN(64, value);
    for (;;) {
      const byte = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0)) {
        this.byte(byte);
        return;
      }
      this.byte(byte | 0x80);
    }
  }

  /** UTF-8 behind its length. */
  name(text: string): void {
    if (this.#ascii(text)) return;
    const bytes = new TextEncoder().encode(text);
    this.unsigned(bytes.length);
    this.append(bytes);
  }

  /** Writes a name of fewer than 128 characters of ASCII, as most are. @returns false where it is none. */
  #ascii(text: string): boolean {
    const { length } = text;
    if (length >= 0x80) return false;
    if (this.length + length >= this.#bytes.length) this.#grow(length + 1);
    for (let i = 0; i < length; i++) {
      const character = text.charCodeAt(i);
      if (character >= 0x80) return false;
      this.#bytes[this.length + 1 + i] = character;
    }
    this.#bytes[this.length] = length;
    this.length += length + 1;
    return true;
  }

  /** Moves everything back, so that there is room for some bytes before it; they have to be written. */
  makeRoom(bytes: number): void {
    if (this.length + bytes > this.#bytes.length) this.#grow(bytes);
    this.#bytes.copyWithin(bytes, 0, this.length);
    this.length += bytes;
  }

  append(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.#bytes.length) this.#grow(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** What was written; valid until the next write. */
  get view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }

  #grow(more: number): void {
    const next = new Uint8Array(Math.max(2 * this.#bytes.length, this.length + more));
    next.set(this.#bytes);
    this.#bytes = next;
  }
}
