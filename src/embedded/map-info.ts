import type { Btf } from '../btf/index.ts';
import { BPF_F_RDONLY_PROG } from '../object/map-flags.ts';
import { entriesOf, type MapSpec } from '../object/map-spec.ts';
import { MAP_TYPES } from '../object/map-types.ts';
import { FieldRecord, mapFields } from '../verifier/fields.ts';
import type { MapInfo } from '../verifier/input.ts';
import type { MapAttributes } from './maps/attributes.ts';
import type { ObjectTypes } from './objects/types.ts';

/** Maps that the kernel makes read-only for programs, whoever creates them. */
const READ_ONLY_TYPES: readonly number[] = [MAP_TYPES.devmap, MAP_TYPES.devmap_hash];

/**
 * A map as the verifier sees it, from what its object says of it.
 * @param btf the object's types. @param kernelBtf the kernel's. @param contents of a map that neither programs nor user space
 * change any more.
 */
export function mapInfo(
  spec: MapSpec,
  btf: Btf | undefined,
  kernelBtf: Btf | undefined,
  contents?: Uint8Array,
): MapInfo {
  const { kernelName, type, keySize, valueSize, maxEntries, flags, mapExtra, keyType, valueType } = spec;
  const types = btf !== undefined && valueType !== 0 ? mapFields(btf, valueType, spec, kernelBtf) : undefined;
  const typed = types === undefined || types.typed;
  return {
    name: kernelName,
    type,
    keySize,
    valueSize,
    maxEntries,
    flags: flags | (READ_ONLY_TYPES.includes(type) ? BPF_F_RDONLY_PROG : 0),
    mapExtra,
    btf: typed && (keyType !== 0 || valueType !== 0) ? btf : undefined,
    keyType: typed ? keyType : 0,
    valueType: typed ? valueType : 0,
    contents,
    // What stands for the maps inside has no name.
    inner: spec.inner && mapInfo({ ...spec.inner, kernelName: '' }, btf, kernelBtf),
    fields: types?.fields,
  };
}

/** A map as the verifier sees it, from what it was made of: there are no types of key and value. */
export function untypedInfo({ fields, inner, ...attributes }: MapAttributes): MapInfo {
  return {
    ...attributes,
    keyType: 0,
    valueType: 0,
    fields: fields && new FieldRecord(fields),
    inner: inner && untypedInfo(inner),
  };
}

/** What a map is made of, from what its object says. @param info the same map as the verifier sees it. */
export function attributesOf(
  spec: MapSpec,
  info: MapInfo | undefined,
  cpus: number,
  types: ObjectTypes,
): MapAttributes {
  const { kernelName, type, keySize, valueSize, flags, mapExtra, inner } = spec;
  return {
    name: kernelName,
    type,
    keySize,
    valueSize,
    maxEntries: entriesOf(spec, cpus),
    flags,
    mapExtra,
    fields: info?.fields?.fields.map((field) => ({ ...types.fieldOf(field), size: field.size })),
    inner: inner && attributesOf(inner, info?.inner, cpus, types),
  };
}
