import { BpfError } from '../../errors.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import { type KernelOffset, kernelPointer } from '../layout.ts';
import { type Context, ETH_HLEN } from './context.ts';
import { ETH_P_IP, ETH_P_IPV6, SK_BUFF_BYTES, SKB, SkBuff, SOCK_AT } from './skb-buff.ts';
import { checkInterface, checkZero, givenPacket, givenStructure, LOOPBACK } from './structure.ts';

/**
 * Contexts of programs that see a struct __sk_buff, as Linux's test runs make them (net/bpf/test_run.c, bpf_prog_test_run_skb):
 * classifiers and actions see the packet from its Ethernet header on, others from the network header.
 */

/** The largest packet: a page without the headroom (NET_SKB_PAD) and what Linux keeps at its end. */
const MOST = 4096 - 64 - 320;
/** Linux: GSO_LEGACY_MAX_SIZE, GSO_MAX_SEGS. */
const MAX_WIRE_LEN = 65_536;
const MAX_GSO_SEGS = 65_535;

/** What a context may set; all else has to be 0. */
const UNSETTABLE = [
  [0, SKB.mark],
  [SKB.mark + 4, SKB.priority],
  [SKB.ifindex + 4, SKB.cb],
  [SKB.cb + 20, SKB.tstamp],
  [SKB.gsoSegs + 4, SKB.gsoSize],
  [SKB.gsoSize + 4, SKB.hwtstamp],
] as const;

/** What of a context comes back as the program left it, with its bytes. */
const RETURNED = [
  [SKB.mark, 4],
  [SKB.priority, 4],
  [SKB.ingressIfindex, 4],
  [SKB.ifindex, 4],
  [SKB.cb, 20],
  [SKB.tstamp, 8],
  [SKB.wireLen, 4],
  [SKB.gsoSegs, 4],
  [SKB.hwtstamp, 8],
] as const;

/** Packets whose Ethernet header has a length where others have a type; in network order, read little-endian. */
const ETH_P_802_2 = 0x0400;
const ETH_P_802_3 = 0x0100;

/** struct bpf_sock. */
const SOCK = {
  family: 4,
  srcIp4: 24,
  srcIp6: 28,
  dstIp4: 52,
  dstIp6: 56,
  state: 72,
  rxQueueMapping: 76,
} as const satisfies Record<string, number>;
const AF_INET = 2;
const AF_INET6 = 10;
const TCP_CLOSE = 7;

/** @param isL2 whether the program sees the Ethernet header. */
function skbContext(isL2: boolean): Context {
  return {
    hasPacket: true,
    room: 0,

    enter(memory, place, { name }, { ctx, data }) {
      const refuse = (problem: string) => new BpfError('EINVAL', `program '${name}': ${problem}`);
      const packet = givenPacket(name, data, MOST);
      const given = ctx && givenStructure(name, ctx, SK_BUFF_BYTES);
      const ifindex = given?.getUint32(SKB.ifindex, true) ?? 0;
      if (ifindex > LOOPBACK) checkInterface(name, ifindex);
      const skb = new SkBuff(memory, place);
      skb.place(packet);
      const { view } = memory;
      const mac = skb.data;
      skb.set('protocol', ethernetProtocol(packet));
      skb.set('pktType', packetType(packet));
      skb.set('networkHeader', mac + ETH_HLEN);
      skb.set('ifindex', LOOPBACK);
      if (!placeSocket(memory, place, skb)) throw refuse('its packet is too short for an IP header');
      if (!isL2) skb.pull(ETH_HLEN);
      if (given === undefined) return { ctx: place, size: SK_BUFF_BYTES };
      checkZero(name, given, UNSETTABLE);
      const wireLen = given.getUint32(SKB.wireLen, true);
      if (wireLen !== 0 && (wireLen < skb.length || wireLen > MAX_WIRE_LEN))
        throw refuse(`wire_len is ${wireLen}, not from ${skb.length} to ${MAX_WIRE_LEN}`);
      if (given.getUint32(SKB.gsoSegs, true) > MAX_GSO_SEGS)
        throw refuse(`gso_segs is more than ${MAX_GSO_SEGS}`);
      for (const [at, bytes] of RETURNED)
        if (at !== SKB.ifindex)
          for (let i = at; i < at + bytes; i++) view.setUint8(place + i, given.getUint8(i));
      skb.set('wireLen', wireLen === 0 ? skb.length : wireLen);
      skb.set('gsoSize', given.getUint16(SKB.gsoSize, true));
      return { ctx: place, size: SK_BUFF_BYTES };
    },

    leave(memory, place, _, { ctx }) {
      const skb = new SkBuff(memory, place);
      const { bytes } = memory;
      if (!isL2 && skb.pull(-ETH_HLEN)) bytes.fill(0, skb.data, skb.data + ETH_HLEN);
      const dataOut = bytes.slice(skb.data, skb.tail);
      if (ctx === undefined) return { dataOut };
      const ctxOut = new Uint8Array(SK_BUFF_BYTES);
      ctxOut.set(ctx.subarray(0, SK_BUFF_BYTES));
      for (const [at, size] of RETURNED) ctxOut.set(bytes.subarray(place + at, place + at + size), at);
      return { dataOut, ctxOut };
    },

    refusal(memory, place, offset, size, writes) {
      const sock = place + SOCK_AT;
      if (!writes && offset >= sock && offset + size <= sock + SOCK.rxQueueMapping + 4) return undefined;
      const { data, tail } = new SkBuff(memory, place);
      const inside = offset >= data && offset + size <= tail;
      return inside ? undefined : `invalid access to packet, off=${offset - data} size=${size}`;
    },
  };
}

export const SKB_L2 = skbContext(true);
export const SKB_L3 = skbContext(false);

/** What follows the Ethernet header, in network order (Linux: eth_type_trans). */
function ethernetProtocol(packet: Uint8Array): number {
  const type = packet[12] | (packet[13] << 8);
  if (packet[12] >= 6) return type;
  return packet.length >= ETH_HLEN + 2 && packet[14] === 0xff && packet[15] === 0xff
    ? ETH_P_802_3
    : ETH_P_802_2;
}

const PACKET_HOST = 0;
const PACKET_MULTICAST = 2;
const PACKET_OTHERHOST = 3;

/** Who the packet is for; the loopback interface's own address and its broadcast address are 0. */
function packetType(packet: Uint8Array): number {
  const to = packet.subarray(0, 6);
  if (to.every((byte) => byte === 0)) return PACKET_HOST;
  return (to[0] & 1) === 1 ? PACKET_MULTICAST : PACKET_OTHERHOST;
}

/** Lays out the socket of the packet, with the packet's addresses. False: there is no room for them in it. */
function placeSocket(memory: KernelMemory, place: KernelOffset, skb: SkBuff): boolean {
  const { view, bytes } = memory;
  const sock = place + SOCK_AT;
  const network = skb.get('networkHeader');
  view.setUint32(sock + SOCK.state, TCP_CLOSE, true);
  view.setInt32(sock + SOCK.rxQueueMapping, -1, true);
  view.setBigUint64(place + SKB.sk, kernelPointer(sock as KernelOffset), true);
  const left = skb.tail - network;
  const copy = (from: number, length: number, inSock: number, inSkb: number) => {
    bytes.copyWithin(sock + inSock, network + from, network + from + length);
    bytes.copyWithin(place + inSkb, network + from, network + from + length);
  };
  if (skb.protocol === ETH_P_IP) {
    if (left < 20) return false;
    view.setUint32(sock + SOCK.family, AF_INET, true);
    copy(12, 4, SOCK.srcIp4, SKB.localIp4);
    copy(16, 4, SOCK.dstIp4, SKB.remoteIp4);
  } else if (skb.protocol === ETH_P_IPV6) {
    if (left < 40) return false;
    view.setUint32(sock + SOCK.family, AF_INET6, true);
    copy(8, 16, SOCK.srcIp6, SKB.localIp6);
    copy(24, 16, SOCK.dstIp6, SKB.remoteIp6);
  }
  skb.set('family', view.getUint32(sock + SOCK.family, true));
  return true;
}
