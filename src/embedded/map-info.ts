import type { Btf } from '../btf/index.ts';
import type { MapInfo } from '../verifier/input.ts';
import { hasSpecialFields } from '../verifier/special-fields.ts';
import type { EmbeddedMap } from './maps/map.ts';

/** The types of a map's values, as its object declares them. */
export interface MapTypes {
  readonly btf: Btf;
  readonly valueType: number;
}

const infos = new WeakMap<EmbeddedMap, MapInfo>();

/**
 * A map as the verifier sees it: one object a map, whoever asks.
 * @param contents of a map that neither programs nor user space change any more.
 */
export function mapInfo(map: EmbeddedMap, types?: MapTypes, contents?: Uint8Array): MapInfo {
  let info = infos.get(map);
  if (info === undefined) {
    const { name, type, keySize, valueSize, maxEntries, flags } = map;
    info = {
      name,
      type,
      keySize,
      valueSize,
      maxEntries,
      flags,
      keyType: 0,
      valueType: 0,
      contents,
      special: types && hasSpecialFields(types.btf, types.valueType),
    };
    infos.set(map, info);
  }
  return info;
}
