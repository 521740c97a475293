/**
 * Ethernet frames with a UDP datagram in them, from parts that may each be wrong: what the accelerator's tests are made of.
 */

export interface Frame {
  /** Tags: type and number of each. */
  readonly vlans?: readonly { readonly type: number; readonly tag: number }[];
  readonly version?: 4 | 6;
  /** UDP's payload. */
  readonly payload: Uint8Array | string;
  readonly destinationPort?: number;
  readonly sourcePort?: number;
  /** UDP's checksum: right; none; only of the pseudo header, as a sender leaves it to its device. */
  readonly checksum?: 'right' | 'none' | 'partial';
  /** Behind IP's end. */
  readonly padding?: number;
  readonly ttl?: number;
}

export const NEAR = { mac: [2, 0, 0, 0, 0, 1], ipv4: [10, 250, 0, 1], ipv6: 'fd00::1' } as const;
export const FAR = { mac: [2, 0, 0, 0, 0, 2], ipv4: [10, 250, 0, 2], ipv6: 'fd00::2' } as const;
export const PORT = 11211;
const SOURCE_PORT = 40_000;
const UDP = 17;

/** `fd00::1` as bytes. */
function ipv6Bytes(address: string): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(16));
  const [head, tail] = address
    .split('::')
    .map((part) => part.split(':').map((group) => Number.parseInt(group, 16)));
  head.forEach((group, i) => {
    bytes.setUint16(2 * i, group);
  });
  tail.forEach((group, i) => {
    bytes.setUint16(16 - 2 * (tail.length - i), group);
  });
  return new Uint8Array(bytes.buffer);
}

/** The sum of 16-bit words in one's complement (RFC 1071), not inverted. */
export function onesSum(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i] << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** The bytes of a request as memcached has it over UDP. */
export function datagram(text: string | Uint8Array, id = 0x1234): Uint8Array {
  const body = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
  return Uint8Array.from([id >> 8, id & 0xff, 0, 0, 0, 1, 0, 0, ...body]);
}

export function frame({
  vlans = [],
  version = 4,
  payload,
  destinationPort = PORT,
  sourcePort = SOURCE_PORT,
  checksum = 'right',
  padding = 0,
  ttl = 17,
}: Frame): Uint8Array {
  const body = typeof payload === 'string' ? datagram(payload) : payload;
  const ipAt = 14 + 4 * vlans.length;
  const udpAt = ipAt + (version === 4 ? 20 : 40);
  const udpBytes = 8 + body.length;
  const bytes = new Uint8Array(udpAt + udpBytes + padding);
  const view = new DataView(bytes.buffer);
  bytes.set(NEAR.mac, 0);
  bytes.set(FAR.mac, 6);
  vlans.forEach(({ type, tag }, i) => {
    view.setUint16(12 + 4 * i, type);
    view.setUint16(14 + 4 * i, tag);
  });
  view.setUint16(ipAt - 2, version === 4 ? 0x0800 : 0x86dd);
  if (version === 4) {
    bytes.set([0x45, 0x08, 0, 0, 0xab, 0xcd, 0x40, 0, ttl, UDP], ipAt);
    view.setUint16(ipAt + 2, 20 + udpBytes);
    bytes.set([...FAR.ipv4, ...NEAR.ipv4], ipAt + 12);
    view.setUint16(ipAt + 10, ~onesSum(bytes.subarray(ipAt, ipAt + 20)) & 0xffff);
  } else {
    bytes.set([0x60, 0x12, 0x34, 0x56, 0, 0, UDP, ttl], ipAt);
    view.setUint16(ipAt + 4, udpBytes);
    bytes.set(ipv6Bytes(FAR.ipv6), ipAt + 8);
    bytes.set(ipv6Bytes(NEAR.ipv6), ipAt + 24);
  }
  view.setUint16(udpAt, sourcePort);
  view.setUint16(udpAt + 2, destinationPort);
  view.setUint16(udpAt + 4, udpBytes);
  bytes.set(body, udpAt + 8);
  if (checksum !== 'none') view.setUint16(udpAt + 6, checksumOf(bytes, ipAt, version, checksum));
  for (let i = 0; i < padding; i++) bytes[udpAt + udpBytes + i] = 0x50 + i;
  return bytes;
}

/** UDP's checksum of what a frame holds, its own field taken for 0; headers are as they should be. */
export function checksumOf(
  bytes: Uint8Array,
  ipAt: number,
  version: number,
  which: 'right' | 'partial',
): number {
  const udpAt = ipAt + (version === 4 ? 20 : 40);
  const udpBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint16(udpAt + 4);
  const addresses =
    version === 4 ? bytes.subarray(ipAt + 12, ipAt + 20) : bytes.subarray(ipAt + 8, ipAt + 40);
  const pseudo = onesSum(addresses, UDP + udpBytes);
  if (which === 'partial') return pseudo;
  const udp = bytes.slice(udpAt, udpAt + udpBytes);
  udp.fill(0, 6, 8);
  return ~onesSum(udp, pseudo) & 0xffff || 0xffff;
}
