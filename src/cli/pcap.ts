import { CliError } from './output.ts';

/**
 * Packets in files: the classic pcap format (IETF draft-ietf-opsawg-pcap), read in both byte orders and both resolutions of time, and
 * written as the file was that the packets come from.
 */

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;
/** What a pcapng file begins with. */
const PCAPNG = 0x0a0d0d0a;
const FILE_HEADER = 24;
const PACKET_HEADER = 16;
const LINKTYPE_ETHERNET = 1;
/** Where in the file's header the largest packet's size stands, and the kind of link. */
const SNAPLEN_AT = 16;
const LINKTYPE_AT = 20;

export interface PcapPacket {
  readonly seconds: number;
  /** Microseconds or nanoseconds, as the file counts. */
  readonly fraction: number;
  /** As far as it was captured. */
  readonly data: Uint8Array;
}

export interface Pcap {
  readonly littleEndian: boolean;
  readonly nanoseconds: boolean;
  readonly packets: readonly PcapPacket[];
}

/** Whether bytes look like a file of packets, this format's or its successor's. */
export function looksLikePcap(bytes: Uint8Array): boolean {
  if (bytes.length < FILE_HEADER) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return [true, false].some((little) =>
    [MICROSECONDS, NANOSECONDS, PCAPNG].includes(view.getUint32(0, little)),
  );
}

/** Reads a file. A packet that is cut off at its end is left out. Throws CliError for what is no such file. @param name for errors. */
export function readPcap(bytes: Uint8Array, name: string): Pcap {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = bytes.length < FILE_HEADER ? 0 : view.getUint32(0, true);
  const littleEndian = magic === MICROSECONDS || magic === NANOSECONDS;
  const read = (at: number) => view.getUint32(at, littleEndian);
  const kind = bytes.length < FILE_HEADER ? 0 : read(0);
  if (kind === PCAPNG)
    throw new CliError(`${name} is a pcapng file; 'editcap -F pcap' or tcpdump make a pcap file of it`);
  if (kind !== MICROSECONDS && kind !== NANOSECONDS) throw new CliError(`${name} is not a pcap file`);
  const link = read(LINKTYPE_AT) & 0xffff;
  if (link !== LINKTYPE_ETHERNET)
    throw new CliError(`${name} has packets of link type ${link}; programs want Ethernet, link type 1`);
  const packets: PcapPacket[] = [];
  for (let at = FILE_HEADER; at + PACKET_HEADER <= bytes.length; ) {
    const length = read(at + 8);
    const start = at + PACKET_HEADER;
    if (start + length > bytes.length) break;
    packets.push({ seconds: read(at), fraction: read(at + 4), data: bytes.slice(start, start + length) });
    at = start + length;
  }
  return { littleEndian, nanoseconds: kind === NANOSECONDS, packets };
}

/** The bytes of a file. */
export function writePcap({ littleEndian, nanoseconds, packets }: Pcap): Uint8Array {
  const size = packets.reduce((sum, { data }) => sum + PACKET_HEADER + data.length, FILE_HEADER);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const write = (at: number, value: number) => view.setUint32(at, value, littleEndian);
  write(0, nanoseconds ? NANOSECONDS : MICROSECONDS);
  // Version 2.4.
  view.setUint16(4, 2, littleEndian);
  view.setUint16(6, 4, littleEndian);
  write(
    SNAPLEN_AT,
    packets.reduce((most, { data }) => Math.max(most, data.length), 65_535),
  );
  write(LINKTYPE_AT, LINKTYPE_ETHERNET);
  let at = FILE_HEADER;
  for (const { seconds, fraction, data } of packets) {
    write(at, seconds);
    write(at + 4, fraction);
    write(at + 8, data.length);
    write(at + 12, data.length);
    bytes.set(data, at + PACKET_HEADER);
    at += PACKET_HEADER + data.length;
  }
  return bytes;
}
