/**
 * Bit fields: `bits` bits after the first `shift` bits of the byte at `at`, least significant first, as little-endian C
 * lays them out. Only the bytes that hold bits of the field are touched: the ones around them may belong to a page that
 * is not there. Writing is a read and a write, as in C, and no more atomic.
 */

/** Up to 32 bits, as a number. Five bytes at most, so a double holds them exactly. */
export function readBits(view: DataView, at: number, shift: number, bits: number, signed: boolean): number {
  let word = 0;
  for (let index = Math.ceil((shift + bits) / 8) - 1; index >= 0; index--) {
    word = word * 256 + view.getUint8(at + index);
  }
  const value = Math.floor(word / 2 ** shift) % 2 ** bits;
  return signed && value >= 2 ** (bits - 1) ? value - 2 ** bits : value;
}

export function writeBits(view: DataView, at: number, shift: number, bits: number, value: number): void {
  const unsigned = value < 0 ? value + 2 ** bits : value;
  let word = unsigned * 2 ** shift;
  let mask = (2 ** bits - 1) * 2 ** shift;
  const bytes = Math.ceil((shift + bits) / 8);
  for (let index = 0; index < bytes; index++) {
    const old = view.getUint8(at + index);
    // ToInt32 keeps the low bits of any exact integer, also beyond 32 bits.
    view.setUint8(at + index, (old & ~mask) | (word & mask & 0xff));
    word = Math.floor(word / 256);
    mask = Math.floor(mask / 256);
  }
}

/** Up to 64 bits, as a bigint. */
export function readBits64(view: DataView, at: number, shift: number, bits: number, signed: boolean): bigint {
  let word = 0n;
  for (let index = Math.ceil((shift + bits) / 8) - 1; index >= 0; index--) {
    word = (word << 8n) | BigInt(view.getUint8(at + index));
  }
  const value = word >> BigInt(shift);
  return signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
}

export function writeBits64(view: DataView, at: number, shift: number, bits: number, value: bigint): void {
  let word = BigInt.asUintN(bits, value) << BigInt(shift);
  let mask = ((1n << BigInt(bits)) - 1n) << BigInt(shift);
  const bytes = Math.ceil((shift + bits) / 8);
  for (let index = 0; index < bytes; index++) {
    const keep = ~Number(mask & 0xffn);
    view.setUint8(at + index, (view.getUint8(at + index) & keep) | Number(word & 0xffn));
    word >>= 8n;
    mask >>= 8n;
  }
}
