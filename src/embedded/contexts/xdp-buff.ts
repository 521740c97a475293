import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { PACKET_AT } from './context.ts';

/**
 * struct xdp_md, which an XDP program sees, and behind it what Linux keeps in struct xdp_buff: the frame around the packet, and
 * fragments where the packet is larger than a frame. Fragment `i` lies in page `i + 1` behind the frame's, at its start but for the
 * first one, of which bytes may have been pulled into the frame.
 */

/** Bytes of struct xdp_md. */
export const XDP_MD_BYTES = 24;
/** Linux: XDP_PACKET_HEADROOM. */
export const XDP_PACKET_HEADROOM = 256;
/** What Linux keeps at the beginning of the headroom (struct xdp_frame). */
export const XDP_FRAME_BYTES = 40;
/** And at the end of the frame (struct skb_shared_info, aligned). */
export const SHARED_INFO_BYTES = 320;
export const FRAME_BYTES = 4096;
/** Linux: MAX_SKB_FRAGS. */
export const MAX_FRAGS = 17;

const AT = {
  data: 0,
  dataEnd: 4,
  dataMeta: 8,
  frame: 64,
  fragCount: 68,
  fragBytes: 72,
  /** Bytes at the start of the first fragment that are no part of it any more. */
  pulled: 76,
  /** MAX_FRAGS words. */
  frags: 80,
} as const satisfies Record<string, number>;

/** Where a byte of a packet lies. */
export interface Piece {
  /** In kernel memory. */
  readonly at: number;
  /** Bytes from there on. */
  readonly length: number;
}

export class XdpBuff {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #ctx: number;

  constructor(memory: KernelMemory, ctx: KernelOffset) {
    this.#view = memory.view;
    this.#bytes = memory.bytes;
    this.#ctx = ctx;
  }

  /** Puts a packet into the frame of a CPU's place. @param linear bytes of it; the others go to fragments. */
  place(packet: Uint8Array, linear: number, meta: number, headroom: number): void {
    const frame = this.#ctx + PACKET_AT;
    const bytes = this.#bytes;
    const start = frame + headroom;
    bytes.fill(0, this.#ctx, this.#ctx + AT.frags + 4 * MAX_FRAGS);
    bytes.fill(0, frame, start);
    bytes.set(packet.subarray(0, linear), start);
    bytes.fill(0, start + linear, frame + FRAME_BYTES);
    this.#set(AT.frame, frame);
    this.#set(AT.dataMeta, start);
    this.data = start + meta;
    this.dataEnd = start + linear;
    for (let at = linear; at < packet.length; at += FRAME_BYTES) {
      const part = packet.subarray(at, at + FRAME_BYTES);
      bytes.set(part, this.#fragment(this.fragCount));
      this.setFragment(this.fragCount, part.length);
      this.fragCount++;
    }
  }

  get data(): number {
    return this.#get(AT.data);
  }
  set data(at: number) {
    this.#set(AT.data, at);
  }
  get dataEnd(): number {
    return this.#get(AT.dataEnd);
  }
  set dataEnd(at: number) {
    this.#set(AT.dataEnd, at);
  }
  /** Where metadata begins; {@link data} where there is none. */
  get dataMeta(): number {
    return this.#get(AT.dataMeta);
  }
  set dataMeta(at: number) {
    this.#set(AT.dataMeta, at);
  }
  /** The frame's first byte. */
  get frame(): number {
    return this.#get(AT.frame);
  }
  /** The end of what a packet can fill of its frame (Linux: xdp_data_hard_end). */
  get hardEnd(): number {
    return this.frame + FRAME_BYTES - SHARED_INFO_BYTES;
  }
  get fragCount(): number {
    return this.#get(AT.fragCount);
  }
  set fragCount(count: number) {
    this.#set(AT.fragCount, count);
  }
  /** Bytes in all fragments. */
  get fragBytes(): number {
    return this.#get(AT.fragBytes);
  }
  fragment(index: number): Piece {
    const pulled = index === 0 ? this.#get(AT.pulled) : 0;
    return { at: this.#fragment(index) + pulled, length: this.#get(AT.frags + 4 * index) };
  }
  /** Bytes that fragment `index` can grow by. */
  fragmentRoom(index: number): number {
    const { at, length } = this.fragment(index);
    return this.#fragment(index) + FRAME_BYTES - at - length;
  }
  setFragment(index: number, length: number): void {
    this.#set(AT.fragBytes, this.fragBytes - this.#get(AT.frags + 4 * index) + length);
    this.#set(AT.frags + 4 * index, length);
  }

  /** Moves bytes from the fragments to the packet's end in the frame, which has room for them. Fragments that are empty then go. */
  pull(bytes: number): void {
    let empty = 0;
    for (let left = bytes; left > 0; ) {
      const { at, length } = this.fragment(empty);
      const moved = Math.min(length, left);
      this.#bytes.copyWithin(this.dataEnd, at, at + moved);
      this.dataEnd += moved;
      left -= moved;
      this.setFragment(empty, length - moved);
      if (moved < length) this.#set(AT.pulled, at + moved - this.#fragment(empty));
      else this.#set(AT.pulled, 0);
      if (moved === length) empty++;
    }
    this.#dropFragments(empty);
  }

  /** Moves the fragments behind the first `count`, which are empty, to where those were. */
  #dropFragments(count: number): void {
    if (count === 0) return;
    this.#bytes.copyWithin(this.#fragment(0), this.#fragment(count), this.#fragment(this.fragCount));
    for (let i = 0; i < this.fragCount; i++)
      this.#set(AT.frags + 4 * i, i + count < this.fragCount ? this.#get(AT.frags + 4 * (i + count)) : 0);
    this.fragCount -= count;
  }

  /** Bytes of the packet, fragments with it, metadata not. */
  get length(): number {
    return this.dataEnd - this.data + this.fragBytes;
  }

  /** Where the packet lies from a byte on, piece by piece. */
  *pieces(offset: number, length: number): Generator<Piece> {
    let skip = offset;
    let left = length;
    const linear = { at: this.data, length: this.dataEnd - this.data };
    for (let i = -1; i < this.fragCount && left > 0; i++) {
      const piece = i < 0 ? linear : this.fragment(i);
      const usable = Math.min(piece.length - skip, left);
      if (usable > 0) {
        yield { at: piece.at + skip, length: usable };
        left -= usable;
      }
      skip = Math.max(0, skip - piece.length);
    }
  }

  #fragment(index: number): number {
    return this.frame + FRAME_BYTES * (index + 1);
  }
  #get(at: number): number {
    return this.#view.getUint32(this.#ctx + at, true);
  }
  #set(at: number, value: number): void {
    this.#view.setUint32(this.#ctx + at, value, true);
  }
}
