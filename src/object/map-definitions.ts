import type { Btf, BtfMember } from '../btf/index.ts';
import type { ElfRelocation, ElfSymbol } from '../elf/index.ts';
import { BpfError } from '../errors.ts';
import type { InitialSlot, MapSpec } from './map-spec.ts';
import { MAP_TYPES } from './map-types.ts';
import type { ObjectFile } from './object-file.ts';
import { countBefore } from './search.ts';

/**
 * Maps declared in the `.maps` section. Nothing of a declaration is in its bytes: each attribute is a member whose type
 * carries the value (`__uint` a pointer to an array of that many elements, `__ulong` an enumerator, `__type` a pointer
 * to the type), so this file reads types, as libbpf's parse_btf_map_def does.
 */

export const MAPS_SECTION = '.maps';
const LIBBPF_PIN_BY_NAME = 1;
/** Map names are at most BPF_OBJ_NAME_LEN − 1 characters. */
const KERNEL_NAME_LENGTH = 15;
const POINTER_BYTES = 8;

/** A map spec with everything at its default. */
export function mapSpec(name: string, fields: Partial<MapSpec> = {}): MapSpec {
  return {
    name,
    kernelName: name.slice(0, KERNEL_NAME_LENGTH),
    type: 0,
    keySize: 0,
    valueSize: 0,
    maxEntries: 0,
    flags: 0,
    mapExtra: 0n,
    numaNode: 0,
    pinPath: undefined,
    pinByName: false,
    autocreate: true,
    keyType: 0,
    valueType: 0,
    inner: undefined,
    slots: [],
    contents: undefined,
    frozen: false,
    ...fields,
  };
}

/** Reads all maps that the object declares. Throws EINVAL and EOPNOTSUPP as libbpf does, naming the map. */
export function readMapDefinitions(file: ObjectFile): MapSpec[] {
  if (file.section('maps') !== undefined) {
    const advice = 'declare them with BTF in SEC(".maps") (__uint, __type), as libbpf 1.0 wants them';
    throw new BpfError(
      'EOPNOTSUPP',
      `${file.name}: legacy map definitions in section 'maps' are not supported; ${advice}`,
    );
  }
  const section = file.section(MAPS_SECTION);
  if (section === undefined) return [];
  const btf = file.requireBtf(`section '${MAPS_SECTION}'`);
  const datasec = btf.idOf(MAPS_SECTION, 'datasec');
  const sec = datasec === undefined ? undefined : btf.type(datasec);
  if (sec?.kind !== 'datasec')
    throw new BpfError('EINVAL', `${file.name}: no type information for '${MAPS_SECTION}'`);
  const symbols = new Map(file.symbolsOf(section).map((symbol) => [symbol.name, symbol]));
  const placed = sec.variables.map(({ type }) => {
    const variable = btf.type(type);
    const symbol = symbols.get(variable.name);
    if (variable.kind !== 'var' || symbol === undefined) {
      throw new BpfError('EINVAL', `map '${variable.name}': no symbol of this name in '${MAPS_SECTION}'`);
    }
    return { symbol, definition: readDefinition(btf, variable.name, variable.type) };
  });
  // In the order of the section, which is the order of declaration.
  placed.sort((a, b) => a.symbol.value - b.symbol.value);
  const relocations = [...(file.elf.relocations.get(section.index) ?? [])];
  relocations.sort((a, b) => a.offset - b.offset);
  return placed.map(({ symbol, definition }) => {
    const slots = readSlots(relocations, symbol, definition);
    return mapSpec(symbol.name, { ...definition.fields, slots });
  });
}

interface Definition {
  fields: Partial<MapSpec>;
  /** Where the flexible `values` array starts, in bytes, if there is one. */
  valuesOffset: number | undefined;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function readDefinition(btf: Btf, map: string, type: number): Definition {
  const struct = btf.type(btf.resolve(type));
  if (struct.kind !== 'struct')
    throw new BpfError('EINVAL', `map '${map}': its type is ${struct.kind}, not a struct`);
  const fields: Mutable<Partial<MapSpec>> = {};
  let valuesOffset: number | undefined;
  for (const member of struct.members) {
    const read = ATTRIBUTES[member.name];
    if (read === undefined) {
      const problem = member.name === '' ? 'a member without a name' : `unknown field '${member.name}'`;
      throw new BpfError(
        'EOPNOTSUPP',
        `map '${map}': ${problem}; known are ${Object.keys(ATTRIBUTES).join(', ')}`,
      );
    }
    const attribute = { btf, map, member, fields };
    if (member.name === 'values') {
      if (member !== struct.members.at(-1)) throw refuse(attribute, NOT_LAST);
      valuesOffset = member.bitOffset / 8;
    }
    read(attribute);
  }
  if (fields.type === undefined)
    throw new BpfError('EINVAL', `map '${map}': its type is missing; add __uint(type, …)`);
  return { fields, valuesOffset };
}

interface Attribute {
  btf: Btf;
  map: string;
  member: BtfMember;
  fields: Mutable<Partial<MapSpec>>;
}

const ATTRIBUTES: Record<string, (attribute: Attribute) => void> = {
  type: (attribute) => {
    attribute.fields.type = readUint(attribute);
  },
  max_entries: (attribute) => {
    attribute.fields.maxEntries = readUint(attribute);
  },
  map_flags: (attribute) => {
    attribute.fields.flags = readUint(attribute);
  },
  map_extra: (attribute) => {
    attribute.fields.mapExtra = readUlong(attribute);
  },
  numa_node: (attribute) => {
    attribute.fields.numaNode = readUint(attribute);
  },
  key_size: (attribute) => setSize(attribute, 'keySize', readUint(attribute)),
  value_size: (attribute) => setSize(attribute, 'valueSize', readUint(attribute)),
  key: (attribute) => setType(attribute, 'key'),
  value: (attribute) => setType(attribute, 'value'),
  pinning: (attribute) => {
    const pinning = readUint(attribute);
    if (pinning > LIBBPF_PIN_BY_NAME) throw refuse(attribute, `pinning ${pinning} is unknown`);
    attribute.fields.pinByName = pinning === LIBBPF_PIN_BY_NAME;
  },
  values: readValues,
};

function refuse({ map, member }: Attribute, problem: string): BpfError {
  return new BpfError('EINVAL', `map '${map}', '${member.name}': ${problem}`);
}

/** `__uint(name, value)`: a pointer to an array of `value` elements. */
function readUint(attribute: Attribute): number {
  const { btf, member } = attribute;
  const pointer = btf.type(btf.resolve(member.type));
  const array = pointer.kind === 'ptr' ? btf.type(btf.resolve(pointer.type)) : undefined;
  if (array?.kind !== 'array') throw refuse(attribute, 'is not written as __uint(…)');
  return array.nelems;
}

/** `__ulong(name, value)`: an enum with `value` as its only enumerator; `__uint` is taken, too. */
function readUlong(attribute: Attribute): bigint {
  const { btf, member } = attribute;
  const type = btf.type(btf.resolve(member.type));
  if (type.kind === 'ptr') return BigInt(readUint(attribute));
  if ((type.kind !== 'enum' && type.kind !== 'enum64') || type.values.length !== 1) {
    throw refuse(attribute, 'is not written as __ulong(…)');
  }
  return BigInt.asUintN(64, BigInt(type.values[0].value));
}

function setSize(attribute: Attribute, field: 'keySize' | 'valueSize', size: number): void {
  const known = attribute.fields[field];
  if (known !== undefined && known !== size)
    throw refuse(attribute, `${size} bytes here, ${known} bytes elsewhere`);
  attribute.fields[field] = size;
}

/** `__type(key, T)`: a pointer to T. */
function setType(attribute: Attribute, which: 'key' | 'value'): void {
  const { btf, member, fields } = attribute;
  const pointer = btf.type(btf.resolve(member.type));
  if (pointer.kind !== 'ptr') throw refuse(attribute, 'is not written as __type(…)');
  setSize(attribute, which === 'key' ? 'keySize' : 'valueSize', btf.sizeOf(pointer.type));
  fields[which === 'key' ? 'keyType' : 'valueType'] = pointer.type;
}

const NOT_LAST = 'must be the last member, without a number of elements';
const HOLDS_MAPS: readonly number[] = [MAP_TYPES.array_of_maps, MAP_TYPES.hash_of_maps];

/** `__array(values, T)`: a flexible array of pointers, to a map definition (map in map) or to functions (prog_array). */
function readValues(attribute: Attribute): void {
  const { btf, map, member, fields } = attribute;
  const array = btf.type(btf.resolve(member.type));
  const pointer = array.kind === 'array' ? btf.type(btf.resolve(array.type)) : undefined;
  if (array.kind !== 'array' || pointer?.kind !== 'ptr')
    throw refuse(attribute, 'is not written as __array(…)');
  if (array.nelems !== 0) throw refuse(attribute, NOT_LAST);
  setSize(attribute, 'valueSize', 4);
  if (fields.type === MAP_TYPES.prog_array) {
    if (btf.type(btf.resolve(pointer.type)).kind !== 'func_proto')
      throw refuse(attribute, 'a prog_array holds programs: __array(values, int (void *))');
    return;
  }
  if (fields.type === undefined || !HOLDS_MAPS.includes(fields.type)) {
    throw refuse(
      attribute,
      'only prog_array, array_of_maps and hash_of_maps have initial values; put type first',
    );
  }
  const inner = readDefinition(btf, `${map}.inner`, pointer.type);
  if (inner.valuesOffset !== undefined) throw refuse(attribute, 'maps nest one level deep');
  if (inner.fields.pinByName) throw refuse(attribute, 'the maps inside cannot be pinned');
  fields.inner = mapSpec(`${map}.inner`, inner.fields);
}

/** The initial values of a map: relocations in `.maps`, given by offset, that point into its `values` array. */
function readSlots(
  relocations: readonly ElfRelocation[],
  symbol: ElfSymbol,
  definition: Definition,
): InitialSlot[] {
  const { valuesOffset, fields } = definition;
  if (valuesOffset === undefined) return [];
  const first = symbol.value + valuesOffset;
  const end = symbol.value + Math.max(symbol.size, valuesOffset);
  const kind = fields.type === MAP_TYPES.prog_array ? 'program' : 'map';
  const before = (place: number) => countBefore(relocations, place, ({ offset }) => offset);
  return relocations.slice(before(first), before(end)).map(({ offset, symbol: { name } }) => {
    if ((offset - first) % POINTER_BYTES !== 0 || name === '') {
      throw new BpfError(
        'EINVAL',
        `map '${symbol.name}': an initial value at offset ${offset} names no ${kind}`,
      );
    }
    return { index: (offset - first) / POINTER_BYTES, kind, name };
  });
}
