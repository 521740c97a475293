import { onesSum } from './frames.ts';

/**
 * What the accelerator ought to do with a frame, told a second time and in another way: step by step through the headers as RFCs 791,
 * 8200, 768 and memcached's protocol.txt describe them. It knows nothing of the program's.
 */

export interface Stored {
  readonly value: Uint8Array;
  readonly flags: number;
}

export interface Rules {
  /** UDP port of the store. */
  readonly port: number;
  /** An item that `get` may answer with. @param key of one byte a character */
  readonly item: (key: string) => Stored | undefined;
}

const MOST_PAYLOAD = 1400;
const MOST_KEY = 250;
const VLAN_TYPES: readonly number[] = [0x8100, 0x88a8];

/** The answer, as a frame; undefined when the frame has to pass. */
export function judge(bytes: Uint8Array, rules: Rules): Uint8Array | undefined {
  const request = readHeaders(bytes, rules.port);
  if (request === undefined) return undefined;
  const answer = answerTo(bytes.subarray(request.payload, request.end), rules);
  return answer && turnedRound(bytes, request, answer);
}

interface Headers {
  readonly ip: number;
  readonly version: 4 | 6;
  readonly udp: number;
  /** Of UDP. */
  readonly payload: number;
  readonly end: number;
}

function readHeaders(bytes: Uint8Array, port: number): Headers | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const has = (offset: number) => offset <= bytes.length;
  if (!has(14) || bytes[0] % 2 === 1 || bytes[6] % 2 === 1) return undefined;
  let ip = 14;
  if (VLAN_TYPES.includes(view.getUint16(12))) {
    ip += 4;
    // A customer's tag may stand behind a provider's.
    if (has(18) && view.getUint16(16) === 0x8100) ip += 4;
  }
  if (!has(ip)) return undefined;
  const type = view.getUint16(ip - 2);
  const version = type === 0x0800 ? 4 : type === 0x86dd ? 6 : undefined;
  if (version === undefined) return undefined;
  const udp = ip + (version === 4 ? 20 : 40);
  if (!has(udp + 8)) return undefined;
  const header = bytes.subarray(ip, udp);
  if (header[0] >> 4 !== version) return undefined;
  const ipPayload = version === 4 ? ipv4Payload(header) : ipv6Payload(header);
  const udpBytes = view.getUint16(udp + 4);
  if (ipPayload !== udpBytes || udpBytes < 8 || !has(udp + udpBytes)) return undefined;
  if (udpBytes - 8 > MOST_PAYLOAD) return undefined;
  if (view.getUint16(udp) === 0 || view.getUint16(udp + 2) !== port) return undefined;
  const checksum = view.getUint16(udp + 6);
  const pseudo = onesSum(header.subarray(version === 4 ? 12 : 8), 17 + udpBytes);
  const whole = onesSum(bytes.subarray(udp, udp + udpBytes), pseudo);
  const fits = checksum === 0 ? version === 4 : whole === 0xffff || checksum === pseudo;
  return fits ? { ip, version, udp, payload: udp + 8, end: udp + udpBytes } : undefined;
}

/** Bytes behind the header, where that is one that can be answered. */
function ipv4Payload(header: Uint8Array): number | undefined {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const words = header[0] & 15;
  const fragment = view.getUint16(6);
  const isHost = (first: number) => first !== 0 && first !== 127 && first < 224;
  if (words !== 5 || header[9] !== 17 || onesSum(header) !== 0xffff) return undefined;
  // Only "don't fragment" may be said.
  if (fragment !== 0 && fragment !== 0x4000) return undefined;
  if (!isHost(header[12]) || !isHost(header[16])) return undefined;
  return view.getUint16(2) - 20;
}

function ipv6Payload(header: Uint8Array): number | undefined {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const [source, destination] = [header.subarray(8, 24), header.subarray(24, 40)];
  if (header[6] !== 17 || source[0] === 0xff || destination[0] === 0xff) return undefined;
  // Unspecified, or itself.
  if (source.subarray(0, 15).every((byte) => byte === 0)) return undefined;
  return view.getUint16(4);
}

/** What is sent back to a datagram, or undefined. */
function answerTo(datagram: Uint8Array, { item }: Rules): Uint8Array | undefined {
  if (datagram.length < 8) return undefined;
  const [, , sequenceHigh, sequenceLow, totalHigh, totalLow, ...reserved] = datagram.subarray(0, 8);
  if (sequenceHigh !== 0 || sequenceLow !== 0 || totalHigh !== 0 || totalLow !== 1) return undefined;
  if (reserved.some((byte) => byte !== 0)) return undefined;
  const text = Buffer.from(datagram.subarray(8)).toString('latin1');
  const line = /^get (.*?)\r?\n$/s.exec(text)?.[1];
  if (line === undefined) return undefined;
  const keys = line.split(' ');
  const parts: Buffer[] = [Buffer.from(datagram.subarray(0, 8))];
  for (const key of keys) {
    if (key.length < 1 || key.length > MOST_KEY || ![...key].every((each) => each > ' ')) return undefined;
    const found = item(key);
    if (found === undefined) return undefined;
    const head = `VALUE ${key} ${found.flags} ${found.value.length}\r\n`;
    parts.push(Buffer.from(head, 'latin1'), Buffer.from(found.value), Buffer.from('\r\n'));
  }
  const answer = Buffer.concat([...parts, Buffer.from('END\r\n')]);
  return answer.length > MOST_PAYLOAD ? undefined : answer;
}

/** The frame that carries an answer back. */
function turnedRound(
  bytes: Uint8Array,
  { ip, version, udp, payload }: Headers,
  answer: Uint8Array,
): Uint8Array {
  const result = new Uint8Array(payload + answer.length);
  result.set(bytes.subarray(0, payload));
  result.set(answer, payload);
  const view = new DataView(result.buffer);
  const swap = (one: number, other: number, length: number) => {
    result.set(bytes.subarray(other, other + length), one);
    result.set(bytes.subarray(one, one + length), other);
  };
  swap(0, 6, 6);
  swap(udp, udp + 2, 2);
  const udpBytes = 8 + answer.length;
  view.setUint16(udp + 4, udpBytes);
  view.setUint16(udp + 6, 0);
  if (version === 4) {
    swap(ip + 12, ip + 16, 4);
    result.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0], ip);
    view.setUint16(ip + 2, 20 + udpBytes);
    view.setUint16(ip + 10, ~onesSum(result.subarray(ip, ip + 20)) & 0xffff);
  } else {
    swap(ip + 8, ip + 24, 16);
    result.set([0x60, 0, 0, 0, 0, 0, 17, 64], ip);
    view.setUint16(ip + 4, udpBytes);
    const pseudo = onesSum(result.subarray(ip + 8, udp), 17 + udpBytes);
    view.setUint16(udp + 6, ~onesSum(result.subarray(udp), pseudo) & 0xffff || 0xffff);
  }
  return result;
}
