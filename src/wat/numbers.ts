/** Constants as the text format writes them, exactly: reading the text again gives the same bits. */

/** Beyond this a number is more likely bits or an address than a count. */
const MAX_DECIMAL = 65_536n;

/** An integer of `bits` bits: small ones in decimal, others in hex. */
export function integerText(value: bigint, bits: 32 | 64): string {
  if (value > -MAX_DECIMAL && value < MAX_DECIMAL) return String(value);
  return `0x${BigInt.asUintN(bits, value).toString(16)}`;
}

interface FloatFormat {
  readonly bits: (view: DataView) => bigint;
  readonly value: (view: DataView) => number;
  /** Width of the fraction field. */
  readonly fraction: number;
}

const F32: FloatFormat = {
  bits: (view) => BigInt(view.getUint32(0, true)),
  value: (view) => view.getFloat32(0, true),
  fraction: 23,
};

const F64: FloatFormat = {
  bits: (view) => view.getBigUint64(0, true),
  value: (view) => view.getFloat64(0, true),
  fraction: 52,
};

/** A float of 4 or 8 little-endian bytes: the shortest decimal that is read back as the same, `inf`, or `nan:0x…`. */
export function floatText(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const format = bytes.length === 4 ? F32 : F64;
  const value = format.value(view);
  const sign = format.bits(view) >> BigInt(bytes.length * 8 - 1) === 0n ? '' : '-';
  if (Number.isNaN(value)) {
    const payload = format.bits(view) & ((1n << BigInt(format.fraction)) - 1n);
    const canonical = payload === 1n << BigInt(format.fraction - 1);
    return `${sign}nan${canonical ? '' : `:0x${payload.toString(16)}`}`;
  }
  return `${sign}${Number.isFinite(value) ? Math.abs(value) : 'inf'}`;
}

/** Bytes as a string literal. */
export function stringText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\${byte.toString(16).padStart(2, '0')}`;
  }
  return `"${text}"`;
}

/** A name as a string literal. */
export function nameText(name: string): string {
  return stringText(new TextEncoder().encode(name));
}
