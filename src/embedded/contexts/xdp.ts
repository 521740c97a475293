import { BpfError } from '../../errors.ts';
import type { Context } from './context.ts';
import { ETH_HLEN } from './context.ts';
import { checkInterface, givenPacket, givenStructure, LOOPBACK } from './structure.ts';
import {
  FRAME_BYTES,
  MAX_FRAGS,
  SHARED_INFO_BYTES,
  XDP_FRAME_BYTES,
  XDP_MD_BYTES,
  XDP_PACKET_HEADROOM,
  XdpBuff,
} from './xdp-buff.ts';

/** Contexts of XDP programs, as Linux's test runs make them (net/bpf/test_run.c, bpf_prog_test_run_xdp). */

/** Fields of struct xdp_md. A given context means offsets from the packet's first byte by the first three. */
const FIELD = {
  data: 0,
  dataEnd: 4,
  dataMeta: 8,
  ingressIfindex: 12,
  rxQueueIndex: 16,
  egressIfindex: 20,
} as const satisfies Record<string, number>;

/** Linux: the type of skb_shared_info.meta_len. */
const MAX_META = 255;
/** Attach types whose programs run behind others only. */
const NOT_ALONE: readonly (string | undefined)[] = ['xdp_devmap', 'xdp_cpumap'];

export const XDP: Context = {
  hasPacket: true,
  room: 0,

  enter(memory, place, { name, attachType }, { ctx, data }) {
    const refuse = (problem: string) => new BpfError('EINVAL', `program '${name}': ${problem}`);
    if (NOT_ALONE.includes(attachType)) throw refuse(`programs for ${attachType} cannot be run alone`);
    const given = ctx && givenStructure(name, ctx, XDP_MD_BYTES);
    const field = (at: number) => given?.getUint32(at, true) ?? 0;
    const bytes = data?.length ?? 0;
    const meta = field(FIELD.data);
    if (given !== undefined) {
      if (field(FIELD.dataMeta) !== 0)
        throw refuse('data_meta cannot be set: metadata is what stands before data');
      if (field(FIELD.dataEnd) > bytes) throw refuse(`data_end is beyond the packet of ${bytes} bytes`);
      if (meta > field(FIELD.dataEnd)) throw refuse('data is behind data_end');
      if (meta % 4 !== 0 || meta > MAX_META || meta > XDP_PACKET_HEADROOM - XDP_FRAME_BYTES)
        throw refuse(
          `data is ${meta}: metadata has a multiple of 4 bytes, at most ${XDP_PACKET_HEADROOM - XDP_FRAME_BYTES}`,
        );
    }
    const headroom = XDP_PACKET_HEADROOM - meta;
    const room = FRAME_BYTES - headroom - SHARED_INFO_BYTES;
    const linear = Math.min(given === undefined ? bytes : field(FIELD.dataEnd), room);
    const packet = givenPacket(name, data, Number.POSITIVE_INFINITY);
    if (bytes - meta < ETH_HLEN) throw refuse(`its packet has at least ${ETH_HLEN} bytes besides metadata`);
    if (field(FIELD.egressIfindex) !== 0) throw refuse('egress_ifindex cannot be set');
    const ifindex = field(FIELD.ingressIfindex);
    if (ifindex !== 0) checkInterface(name, ifindex);
    if (field(FIELD.rxQueueIndex) !== 0) throw refuse('the loopback interface has no other queue than 0');
    if (bytes - linear > MAX_FRAGS * FRAME_BYTES)
      throw new BpfError('ENOMEM', `program '${name}': a packet of ${bytes} bytes has too many fragments`);
    new XdpBuff(memory, place).place(packet, linear, meta, headroom);
    memory.view.setUint32(place + FIELD.ingressIfindex, LOOPBACK, true);
    return { ctx: place, size: XDP_MD_BYTES };
  },

  leave(memory, place, _, { ctx }) {
    const buff = new XdpBuff(memory, place);
    const { dataMeta, data, dataEnd } = buff;
    const dataOut = new Uint8Array(dataEnd - dataMeta + buff.fragBytes);
    dataOut.set(memory.bytes.subarray(dataMeta, dataEnd));
    let length = dataEnd - dataMeta;
    for (let i = 0; i < buff.fragCount; i++) {
      const piece = buff.fragment(i);
      dataOut.set(memory.bytes.subarray(piece.at, piece.at + piece.length), length);
      length += piece.length;
    }
    if (ctx === undefined) return { dataOut };
    const ctxOut = new Uint8Array(XDP_MD_BYTES);
    ctxOut.set(ctx.subarray(0, XDP_MD_BYTES));
    const view = new DataView(ctxOut.buffer);
    view.setUint32(FIELD.data, data - dataMeta, true);
    view.setUint32(FIELD.dataEnd, dataEnd - dataMeta, true);
    return { dataOut, ctxOut };
  },

  refusal(memory, place, offset, size) {
    const { dataMeta, data, dataEnd } = new XdpBuff(memory, place);
    const inside = offset >= Math.min(dataMeta, data) && offset + size <= dataEnd;
    return inside ? undefined : `invalid access to packet, off=${offset - data} size=${size}`;
  },
};
