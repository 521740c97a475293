import type { MapInfo } from '../verifier/input.ts';
import type { EmbeddedMap } from './maps/map.ts';

const infos = new WeakMap<EmbeddedMap, MapInfo>();

/**
 * A map as the verifier sees it: one object a map, whoever asks.
 * @param contents of a map that neither programs nor user space change any more.
 */
export function mapInfo(map: EmbeddedMap, contents?: Uint8Array): MapInfo {
  let info = infos.get(map);
  if (info === undefined) {
    const { name, type, keySize, valueSize, maxEntries, flags } = map;
    info = { name, type, keySize, valueSize, maxEntries, flags, keyType: 0, valueType: 0, contents };
    infos.set(map, info);
  }
  return info;
}
