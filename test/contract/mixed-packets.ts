/** Packets of many kinds, from a seed: what a program that looks at headers may meet, malformed ones among them. */

/** Numbers from a seed (mulberry32). */
export function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const PROTOCOLS = [1, 6, 17, 17, 58, 47];
const PORTS = [23, 53, 80, 443, 7];

/** Seeded packets of 14 bytes or more. */
export function mixedPackets(count: number, seed: number): Uint8Array[] {
  const below = numbers(seed);
  const pick = <Item>(items: readonly Item[]) => items[below(items.length)];
  return Array.from({ length: count }, () => {
    const kind = pick([0x0800, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x8100, 0x88a8, 0x0806, below(0x10000)]);
    const header = kind === 0x0800 ? 34 : kind === 0x86dd ? 54 : 14;
    // Some end inside their headers.
    const length = below(12) === 0 ? 14 + below(header) : header + 4 + below(below(10) === 0 ? 3300 : 200);
    const packet = Uint8Array.from({ length }, () => below(256));
    const view = new DataView(packet.buffer);
    const set = (at: number, value: number) => {
      if (at < length) packet[at] = value;
    };
    view.setUint16(12, kind);
    if (kind === 0x0800) {
      set(14, below(20) === 0 ? 0x46 : 0x45);
      set(22, pick([0, 1, 2, 64, 255]));
      set(23, pick(PROTOCOLS));
    } else if (kind === 0x86dd) {
      set(20, pick(PROTOCOLS));
      set(21, pick([0, 1, 2, 64, 255]));
    }
    const port = pick(PORTS);
    set(header + 2, port >> 8);
    set(header + 3, port & 0xff);
    return packet;
  });
}
