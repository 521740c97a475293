import type { EmbeddedMap } from '../src/embedded/maps/map.ts';
import { BpfError } from '../src/errors.ts';
import { MAP_TYPES } from '../src/object/map-types.ts';
import type { Random } from './random.ts';

/** Random inputs for programs: numbers that they compare with, and contents for maps. */

const EDGES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 39, 40, 44, 47, 48, 63, 64, 255, -1, -2, -8];
const WIDE_EDGES = [0x7fffffffn, 0x80000000n, 0xffffffffn, 1n << 63n, (1n << 63n) - 1n, 1n << 32n];

/** A number that programs compare with, or any. */
export function anyWord(random: Random): bigint {
  const kind = random.below(10);
  if (kind < 6) return BigInt.asUintN(64, BigInt(random.pick(EDGES)));
  if (kind < 8) return random.pick(WIDE_EDGES);
  return (BigInt(random.next()) << 32n) | BigInt(random.next());
}

export function anyBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(length / 8) * 8);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 8) view.setBigUint64(at, anyWord(random), true);
  return bytes.subarray(0, length);
}

/** Some of the keys that generated programs ask for. @param percent of keys that get a value. */
export function fillMap(map: EmbeddedMap, random: Random, percent: number): void {
  if (map.frozen) return;
  for (const key of [0, 1, 2, 3, 5]) {
    if (key >= map.maxEntries && map.type === MAP_TYPES.array) continue;
    const bytes = new Uint8Array(map.keySize);
    if (bytes.length >= 4) new DataView(bytes.buffer).setUint32(0, key, true);
    try {
      if (random.chance(percent)) map.update(bytes, anyBytes(random, map.valueSize));
    } catch (error) {
      // A key that the map does not take, or a map that user space does not fill.
      if (!(error instanceof BpfError)) throw error;
    }
  }
}
