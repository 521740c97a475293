/**
 * Damages bytes at random but repeatably: flips, extreme numbers, truncation, and pieces copied over others. Parsers are
 * tested with it; a failure names the seed that gives the same bytes again.
 */

/** A small generator of random integers (mulberry32). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Numbers at which size and bounds checks go wrong. */
const EXTREMES = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];

/** A damaged copy of `bytes`; the same seed gives the same damage. */
export function mutate(bytes: Uint8Array, seed: number): Uint8Array {
  const random = randomFrom(seed);
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  const wounds = 1 + random(6);
  for (let i = 0; i < wounds; i++) {
    const at = random(copy.length);
    switch (random(5)) {
      case 0:
        copy[at] ^= 1 << random(8);
        break;
      case 1:
        copy[at] = random(256);
        break;
      case 2:
        if (at + 4 <= copy.length) view.setUint32(at & ~3, EXTREMES[random(EXTREMES.length)], true);
        break;
      case 3:
        copy.copyWithin(at, random(copy.length), random(copy.length));
        break;
      case 4:
        // Small numbers find their way into counts, kinds and type ids.
        copy[at & ~3] = random(24);
        break;
    }
  }
  return random(10) === 0 ? copy.subarray(0, random(copy.length)) : copy;
}
