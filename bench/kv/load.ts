/**
 * What is asked of a store: items with keys of 30 and values of 100 bytes, so that an item's number says all of it, and numbers by
 * Zipf's law, as caches see them: item n is asked for in proportion to 1/n.
 */

const KEY_BYTES = 30;
export const VALUE_BYTES = 100;
/** Of memcached's header before what is sent over UDP. */
export const DATAGRAM_HEADER_BYTES = 8;

const ENCODER = new TextEncoder();

export function itemKey(item: number): string {
  return `bench:${String(item).padStart(KEY_BYTES - 6, '0')}`;
}

export function itemValue(item: number): string {
  return `value of ${item};`.repeat(VALUE_BYTES).slice(0, VALUE_BYTES);
}

/** A GET as a UDP datagram. */
export function requestOf(item: number): Uint8Array {
  return ENCODER.encode(`\0\u0001\0\0\0\u0001\0\0get ${itemKey(item)}\r\n`);
}

/** What a store that has the item answers, without the header. */
function answerOf(item: number): string {
  return `VALUE ${itemKey(item)} 0 ${VALUE_BYTES}\r\n${itemValue(item)}\r\nEND\r\n`;
}

/** Bytes of an answer with its header. */
export function answerBytes(): number {
  return DATAGRAM_HEADER_BYTES + answerOf(0).length;
}

/** Whether bytes are the answer to some item's GET. */
export function isAnswer(bytes: Uint8Array): boolean {
  const text = new TextDecoder('latin1').decode(bytes);
  const item = /^VALUE bench:0*(\d+) /.exec(text)?.[1];
  return item !== undefined && text === answerOf(Number(item));
}

/** Whether bytes are some item's GET, as an echo sends it back. */
export function isRequest(bytes: Uint8Array): boolean {
  const text = new TextDecoder('latin1').decode(bytes.subarray(DATAGRAM_HEADER_BYTES));
  const item = /^get bench:0*(\d+)\r\n$/.exec(text)?.[1];
  return item !== undefined && Buffer.compare(bytes, requestOf(Number(item))) === 0;
}

/** Random item numbers by Zipf's law with exponent 0.99 (as YCSB's). */
export class Keys {
  readonly #cumulative: Float64Array;
  #state: number;

  constructor(items: number, seed: number) {
    this.#cumulative = new Float64Array(items);
    let sum = 0;
    for (let i = 0; i < items; i++) {
      sum += 1 / (i + 1) ** 0.99;
      this.#cumulative[i] = sum;
    }
    this.#state = seed >>> 0;
  }

  next(): number {
    const cumulative = this.#cumulative;
    const wanted = this.#random() * cumulative[cumulative.length - 1];
    let low = 0;
    let high = cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (cumulative[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    // Neighbours in rank shall not be neighbours in the store.
    return (Math.imul(low, 0x9e3779b1) >>> 0) % cumulative.length;
  }

  /** Numbers from 0 to 1, excluding 1 (mulberry32). */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  }
}
