import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { ETH_HLEN, PACKET_AT, PACKET_BYTES } from './context.ts';

/**
 * struct __sk_buff, which programs see, behind it what Linux keeps in struct sk_buff besides, and the socket that a test run's packet
 * belongs to. The packet is in one piece always. It has room at both ends; where one is used up, it moves to the middle again.
 */

/** Bytes of struct __sk_buff. */
export const SK_BUFF_BYTES = 192;
/** Bytes of struct bpf_sock. */
const SOCK_BYTES = 80;

/** Fields of struct __sk_buff, and of ours from 256 on. */
export const SKB = {
  len: 0,
  pktType: 4,
  mark: 8,
  queueMapping: 12,
  protocol: 16,
  vlanPresent: 20,
  vlanTci: 24,
  vlanProto: 28,
  priority: 32,
  ingressIfindex: 36,
  ifindex: 40,
  tcIndex: 44,
  cb: 48,
  hash: 68,
  tcClassid: 72,
  data: 76,
  dataEnd: 80,
  napiId: 84,
  family: 88,
  remoteIp4: 92,
  localIp4: 96,
  remoteIp6: 100,
  localIp6: 116,
  dataMeta: 140,
  tstamp: 152,
  wireLen: 160,
  gsoSegs: 164,
  sk: 168,
  gsoSize: 176,
  tstampType: 180,
  hwtstamp: 184,
  /** Where headers begin, as offsets into kernel memory. */
  macHeader: 256,
  networkHeader: 260,
  /** Linux: skb->csum, and how much it says (CHECKSUM_NONE 0, UNNECESSARY 1, COMPLETE 2, PARTIAL 3). */
  csum: 264,
  ipSummed: 268,
  csumLevel: 272,
  /** Hash flags: 1 a hash of the transport header, 2 made by software. */
  hashKind: 276,
  encapsulation: 280,
  gsoType: 284,
} as const satisfies Record<string, number>;

/** Ethertypes in network order, read little-endian. */
export const ETH_P_IP = 0x0008;
export const ETH_P_IPV6 = 0xdd86;

export const ETH_P_8021Q = 0x0081;
export const ETH_P_8021AD = 0xa888;
/** Bytes of a VLAN tag. */
export const VLAN_HLEN = 4;
export const isVlan = (protocol: number) => protocol === ETH_P_8021Q || protocol === ETH_P_8021AD;

/** The CPU's socket, from its place's beginning: struct bpf_sock. Then a number for its cookie. */
export const SOCK_AT = 512;
const HEADROOM = 32_768;

export class SkBuff {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #ctx: number;

  constructor(memory: KernelMemory, ctx: KernelOffset) {
    this.#view = memory.view;
    this.#bytes = memory.bytes;
    this.#ctx = ctx;
  }

  /** Puts a packet, whose Ethernet header comes first, into a CPU's place. All fields are 0 then but those of the packet. */
  place(packet: Uint8Array): void {
    this.#bytes.fill(0, this.#ctx, this.#ctx + SOCK_AT + SOCK_BYTES);
    const at = this.#first + HEADROOM;
    this.#bytes.set(packet, at);
    this.set('macHeader', at);
    this.set('networkHeader', at);
    this.reach(at, at + packet.length);
  }

  get(field: keyof typeof SKB): number {
    return this.#view.getUint32(this.#ctx + SKB[field], true);
  }
  set(field: keyof typeof SKB, value: number): void {
    this.#view.setUint32(this.#ctx + SKB[field], value, true);
  }

  get data(): number {
    return this.get('data');
  }
  /** One past the packet's last byte. */
  get tail(): number {
    return this.get('dataEnd');
  }
  get length(): number {
    return this.get('len');
  }
  /** Linux: skb->protocol, in network order. */
  get protocol(): number {
    return this.get('protocol');
  }

  get isIpv4(): boolean {
    return this.protocol === ETH_P_IP;
  }
  get isIpv6(): boolean {
    return this.protocol === ETH_P_IPV6;
  }

  /** The protocol behind VLAN tags in the packet (Linux: skb_protocol, skipping them); undefined where they never end. */
  get innerProtocol(): number | undefined {
    let { protocol } = this;
    for (let at = this.get('macHeader') + ETH_HLEN; isVlan(protocol); at += VLAN_HLEN) {
      if (at + VLAN_HLEN > this.tail) return undefined;
      protocol = this.#view.getUint16(at + 2, true);
    }
    return protocol;
  }

  clearHash(): void {
    this.set('hash', 0);
    this.set('hashKind', 0);
  }

  /** The VLAN tag beside the packet. @param protocol in network order; undefined: there is none. */
  setVlan(protocol: number | undefined, tci = 0): void {
    this.set('vlanPresent', protocol === undefined ? 0 : 1);
    this.set('vlanProto', protocol ?? 0);
    this.set('vlanTci', tci);
  }

  /** The beginnings of headers move, with the bytes in front of where the packet grew or shrank. */
  moveHeaders(bytes: number): void {
    for (const header of ['macHeader', 'networkHeader'] as const) this.set(header, this.get(header) + bytes);
  }

  /** The packet is from here to there now. */
  reach(data: number, tail: number): void {
    this.set('data', data);
    this.set('dataEnd', tail);
    // No metadata: an empty piece in front of the packet.
    this.set('dataMeta', data);
    this.set('len', tail - data);
  }

  /** Takes bytes away in front, or, where negative, adds some, which hold anything. False: there is no room (Linux: ENOMEM). */
  pull(bytes: number): boolean {
    if (bytes < 0 && !this.#room(-bytes, 0)) return false;
    this.reach(this.data + bytes, this.tail);
    return true;
  }

  /** Sets the length, at the end. New bytes are 0. False: there is no room. */
  resize(length: number): boolean {
    const more = length - this.length;
    if (more > 0 && !this.#room(0, more)) return false;
    const { data, tail } = this;
    if (more > 0) this.#bytes.fill(0, tail, tail + more);
    this.reach(data, data + length);
    return true;
  }

  /** Makes room in the packet. @param at bytes from its first. New bytes are 0. Headers in front of them move along. */
  insert(at: number, bytes: number): boolean {
    if (!this.pull(-bytes)) return false;
    const { data } = this;
    this.#bytes.copyWithin(data, data + bytes, data + bytes + at);
    this.#bytes.fill(0, data + at, data + at + bytes);
    return true;
  }

  /** Takes bytes out of the packet. */
  remove(at: number, bytes: number): void {
    const { data } = this;
    this.#bytes.copyWithin(data + bytes, data, data + at);
    this.pull(bytes);
  }

  get #first(): number {
    return this.#ctx + PACKET_AT;
  }

  #room(front: number, behind: number): boolean {
    const { data, tail } = this;
    const end = this.#first + PACKET_BYTES;
    if (data - front >= this.#first && tail + behind <= end) return true;
    const length = tail - data;
    const to = this.#first + HEADROOM;
    if (front > HEADROOM || to + length + behind > end) return false;
    this.#bytes.copyWithin(to, data, tail);
    for (const header of ['macHeader', 'networkHeader'] as const)
      this.set(header, this.get(header) + to - data);
    this.reach(to, to + length);
    return true;
  }
}
