import type { Btf } from '../btf/index.ts';
import type { MapSpec } from '../object/map-spec.ts';
import type { MapInfo } from '../verifier/input.ts';
import { hasSpecialFields } from '../verifier/special-fields.ts';

/**
 * A map as the verifier sees it, from what its object says of it.
 * @param btf the object's types. @param contents of a map that neither programs nor user space change any more.
 */
export function mapInfo(spec: MapSpec, btf: Btf | undefined, contents?: Uint8Array): MapInfo {
  const { kernelName, type, keySize, valueSize, maxEntries, flags, mapExtra, keyType, valueType } = spec;
  return {
    name: kernelName,
    type,
    keySize,
    valueSize,
    maxEntries,
    flags,
    mapExtra,
    btf,
    keyType,
    valueType,
    contents,
    inner: spec.inner && mapInfo(spec.inner, btf),
    special: btf !== undefined && valueType !== 0 && hasSpecialFields(btf, valueType),
  };
}
