import { BtfBuilder, type BtfVarSecinfo, CTypes } from '../btf/index.ts';
import { FormatError } from '../errors.ts';
import type {
  AssembledSymbol,
  AssembledUnit,
  CType,
  ExternDeclaration,
  MapDeclaration,
  Prototype,
} from '../isa/unit.ts';
import { KCONFIG_SECTION, KSYMS_SECTION } from './externs.ts';
import { MAPS_SECTION } from './map-definitions.ts';
import { MAP_TYPES, type MapTypeName } from './map-types.ts';

/**
 * The type information of an assembled unit: what clang -g says of the same declarations in C. Maps become structs
 * whose member types carry the attributes, variables and externs data sections, functions prototypes. write.ts puts the
 * result into the ELF file.
 */

const POINTER_BYTES = 8;
/** An object holds 8 bytes for each initial value up to the last, and a text must not ask for unlimited memory. */
const MAX_SLOTS = 1 << 20;
/** Tells the verifier that a global function's parameter is an arena pointer (`__arg_arena`). */
const ARENA_ARGUMENT = 'arg:arena';

/** BTF's names for the assembler's integers, as clang gives them on BPF. */
const INTEGERS: Readonly<Record<string, readonly [name: string, size: number]>> = {
  bool: ['_Bool', 1],
  char: ['char', 1],
  u8: ['unsigned char', 1],
  s8: ['signed char', 1],
  u16: ['unsigned short', 2],
  s16: ['short', 2],
  u32: ['unsigned int', 4],
  s32: ['int', 4],
  u64: ['unsigned long long', 8],
  s64: ['long long', 8],
};

/** Enums that loaders look into; any other is declared without its enumerators. */
const ENUMS: Readonly<Record<string, readonly string[]>> = {
  libbpf_tristate: ['TRI_NO', 'TRI_YES', 'TRI_MODULE'],
};

/** Where a map lies in `.maps`. All in bytes. */
export interface PlacedMap {
  readonly map: MapDeclaration;
  readonly offset: number;
  /** With its initial values. */
  readonly size: number;
  /** Of the flexible array of initial values, from the map's start. */
  readonly valuesOffset: number;
}

export interface UnitTypes {
  readonly builder: BtfBuilder;
  readonly maps: readonly PlacedMap[];
  /** Func type of each function. */
  readonly functions: ReadonlyMap<AssembledSymbol, number>;
}

/** Describes a unit's declarations. @throws FormatError with the line of what cannot be described. */
export function describeUnit(unit: AssembledUnit): UnitTypes {
  const types = new UnitTypeBuilder(unit);
  const maps = types.maps();
  const functions = types.functions();
  types.variables();
  types.externs();
  return { builder: types.builder, maps, functions };
}

type Member = readonly [name: string, type: number];

class UnitTypeBuilder {
  readonly builder = new BtfBuilder();
  /** What `.types` declares. */
  readonly #declared = new CTypes(this.builder);
  readonly #unit: AssembledUnit;
  /** Ids are handed out before the structs are made: maps may name each other. */
  readonly #mapStructs = new Map<string, number>();

  constructor(unit: AssembledUnit) {
    this.#unit = unit;
    // First of all, so that their ids are known: the first that is named is 1.
    if (unit.types !== undefined) this.#declared.declare(unit.types);
    this.#declared.finish();
  }

  maps(): PlacedMap[] {
    const { maps } = this.#unit;
    for (const { name } of maps) this.#mapStructs.set(name, this.builder.reserve());
    let end = 0;
    const placed = maps.map((map): PlacedMap => {
      const valuesOffset = this.#describeMap(map);
      const slots = this.#slots(map);
      const offset = end;
      end += valuesOffset + slots * POINTER_BYTES;
      return { map, offset, size: end - offset, valuesOffset };
    });
    this.#datasec(
      MAPS_SECTION,
      end,
      placed.map(({ map, offset, size }) => {
        const type = this.#mapStructs.get(map.name) as number;
        return {
          type: this.builder.add({ kind: 'var', name: map.name, type, linkage: 'global' }),
          offset,
          size,
        };
      }),
    );
    return placed;
  }

  /** How many elements the flexible array of initial values has. */
  #slots({ name, values, line }: MapDeclaration): number {
    const slots = values.reduce((count, { index }) => Math.max(count, index + 1), 0);
    if (slots <= MAX_SLOTS) return slots;
    throw this.#refuse(line, `map \`${name}\`: initial value ${slots - 1} is beyond ${MAX_SLOTS - 1}`);
  }

  /** Makes a map's struct; gives its size, at which initial values start. */
  #describeMap(map: MapDeclaration): number {
    const members: Member[] = [['type', this.#uint(this.#mapType(map))]];
    const add = (name: string, type: number | undefined) => {
      if (type !== undefined) members.push([name, type]);
    };
    const uint = (value: number | undefined) => (value === undefined ? undefined : this.#uint(value));
    add('key', this.#sized(map, 'key'));
    add('key_size', this.#size(map, 'key'));
    add('value', this.#sized(map, 'value'));
    const values = this.#values(map);
    // Loaders know the value size of a map that holds maps or programs.
    if (values === undefined) add('value_size', this.#size(map, 'value'));
    add('max_entries', uint(map.maxEntries));
    add('map_flags', uint(map.mapFlags));
    add('map_extra', map.mapExtra === undefined ? undefined : this.#ulong(map.name, map.mapExtra));
    add('numa_node', uint(map.numaNode));
    add('pinning', uint(map.pinning));
    const size = members.length * POINTER_BYTES;
    add('values', values);
    this.builder.set(this.#mapStructs.get(map.name) as number, {
      kind: 'struct',
      name: '',
      size,
      members: members.map(([name, type], index) => ({
        name,
        type,
        bitOffset: index * POINTER_BYTES * 8,
        bitfieldSize: 0,
      })),
    });
    return size;
  }

  #mapType({ name, type, line }: MapDeclaration): number {
    if (typeof type === 'number') return type;
    const number = Object.hasOwn(MAP_TYPES, type) ? MAP_TYPES[type as MapTypeName] : undefined;
    if (number !== undefined) return number;
    throw this.#refuse(
      line,
      `map \`${name}\`: there is no map type \`${type}\`; give its number if it is new`,
    );
  }

  /** `__type(key, T)`. A struct that is only named has no size to take from it. */
  #sized(map: MapDeclaration, which: 'key' | 'value'): number | undefined {
    const type = map[which];
    if (type === undefined) return undefined;
    if (!this.#isOpaque(type)) return this.builder.ptr(this.type(type));
    if (map[`${which}Size`] === undefined) {
      throw this.#refuse(
        map.line,
        `map \`${map.name}\`: ${which} is \`${type.base}\`; give ${which}_size, too`,
      );
    }
    return undefined;
  }

  /** `__uint(key_size, …)`: beside a type only where the two differ; loaders are to see it, and refuse. */
  #size(map: MapDeclaration, which: 'key' | 'value'): number | undefined {
    const size = map[`${which}Size`];
    const type = map[which];
    const known = type !== undefined && !this.#isOpaque(type) && this.#sizeOf(type) === size;
    return size === undefined || known ? undefined : this.#uint(size);
  }

  /** `__uint(name, value)`. */
  #uint(value: number): number {
    return this.builder.ptr(this.builder.array(this.builder.int('int', 4), value));
  }

  /** `__ulong(name, value)` where `__uint`, which loaders knew first, does not suffice. */
  #ulong(map: string, value: bigint): number {
    if (value < 1n << 31n) return this.#uint(Number(value));
    const name = `__unique_value_${map}`;
    return this.builder.add({ kind: 'enum64', name: '', size: 8, signed: false, values: [{ name, value }] });
  }

  /** `__array(values, …)`: of maps like the inner one, or of programs. */
  #values(map: MapDeclaration): number | undefined {
    const type = this.#mapType(map);
    if (type === MAP_TYPES.prog_array && map.values.length > 0) {
      const proto = this.builder.funcProto(this.builder.int('int', 4), [
        { name: '', type: this.builder.ptr(0) },
      ]);
      return this.builder.array(this.builder.ptr(proto), 0);
    }
    const inner = map.inner ?? map.values[0]?.symbol;
    if (inner === undefined) return undefined;
    const struct = this.#mapStructs.get(inner);
    if (struct === undefined) throw this.#refuse(map.line, `map \`${map.name}\`: \`${inner}\` is no map`);
    return this.builder.array(this.builder.ptr(struct), 0);
  }

  functions(): Map<AssembledSymbol, number> {
    const functions = this.#unit.symbols.filter(({ type }) => type === 'function');
    const types = new Map(functions.map((symbol) => [symbol, this.#function(symbol)]));
    for (const { symbol, parameter = -1, text, line } of this.#unit.declTags) {
      const tagged = functions.find(({ name }) => name === symbol);
      if (tagged === undefined) throw this.#refuse(line, `\`${symbol}\` is no function of this text`);
      this.builder.declTag(text, types.get(tagged) as number, parameter);
    }
    return types;
  }

  #function({ name, section, binding, prototype }: AssembledSymbol): number {
    const linkage = binding === 'local' ? 'static' : 'global';
    if (prototype !== undefined) return this.#prototyped(name, prototype, linkage);
    // What a program that says nothing of itself is: int name(void *ctx). Other functions: int name(void).
    const isEntry = binding !== 'local' && section !== '.text';
    const params = isEntry ? [{ name: 'ctx', type: this.builder.ptr(0) }] : [];
    return this.builder.func(name, this.builder.int('int', 4), params, linkage);
  }

  #prototyped(
    name: string,
    { returns, parameters }: Prototype,
    linkage: 'static' | 'global' | 'extern',
  ): number {
    // The kernel wants every parameter named.
    const params = parameters.map(({ name: parameter, type }, index) => ({
      name: parameter || `arg${index + 1}`,
      type: this.type(type),
    }));
    const func = this.builder.func(name, this.type(returns), params, linkage);
    if (linkage !== 'extern') {
      for (const [index, { type }] of parameters.entries())
        if (type.arena && type.pointers > 0) this.builder.declTag(ARENA_ARGUMENT, func, index);
    }
    return func;
  }

  /** A data section for each section with variables. */
  variables(): void {
    for (const section of this.#unit.sections) {
      if (section.kind !== 'data' || section.name === 'license' || section.name === 'version') continue;
      const symbols = this.#unit.symbols
        .filter((symbol) => symbol.section === section.name && symbol.size > 0)
        .sort((a, b) => a.offset - b.offset);
      let end = 0;
      const variables: BtfVarSecinfo[] = [];
      for (const symbol of symbols) {
        // A second name for the same bytes: Linux takes no variables that overlap.
        if (symbol.offset < end) continue;
        end = symbol.offset + symbol.size;
        variables.push({ type: this.#variable(symbol), offset: symbol.offset, size: symbol.size });
      }
      this.#datasec(section.name, section.bytes.length, variables);
    }
  }

  #variable({ name, binding, ctype, size }: AssembledSymbol): number {
    const type =
      ctype === undefined ? this.builder.array(this.builder.int(...INTEGERS.u8), size) : this.type(ctype);
    return this.builder.add({ kind: 'var', name, type, linkage: binding === 'local' ? 'static' : 'global' });
  }

  externs(): void {
    const inSection = { [KCONFIG_SECTION]: [] as BtfVarSecinfo[], [KSYMS_SECTION]: [] as BtfVarSecinfo[] };
    for (const extern of this.#unit.externs) {
      const type = this.#extern(extern);
      // A function of another object is no kernel symbol; a static linker resolves it.
      if (extern.kind === 'func') continue;
      const section = extern.kind === 'kconfig' ? KCONFIG_SECTION : KSYMS_SECTION;
      const size = extern.kind === 'kconfig' && extern.ctype ? this.#sizeOf(extern.ctype) : 0;
      inSection[section].push({ type, offset: 0, size });
    }
    for (const [name, variables] of Object.entries(inSection)) this.#datasec(name, 0, variables);
  }

  #extern({ name, kind, prototype, ctype, line }: ExternDeclaration): number {
    if (kind === 'kfunc' || kind === 'func') {
      const unknown: Prototype = { returns: { base: 'void', pointers: 0, arena: false }, parameters: [] };
      return this.#prototyped(name, prototype ?? unknown, 'extern');
    }
    if (kind === 'kconfig' && (ctype === undefined || this.#isOpaque(ctype)))
      throw this.#refuse(
        line,
        `kconfig \`${name}\` needs a type of known size: \`.extern kconfig ${name} : u32\``,
      );
    const type = ctype === undefined ? this.builder.modifier('const', 0) : this.type(ctype);
    return this.builder.add({ kind: 'var', name, type, linkage: 'extern' });
  }

  #datasec(name: string, size: number, variables: readonly BtfVarSecinfo[]): void {
    if (variables.length > 0) this.builder.add({ kind: 'datasec', name, size, variables });
  }

  /** The id of a type as a declaration writes it. */
  type({ base, pointers, count }: CType): number {
    let id = this.#base(base);
    for (let level = 0; level < pointers; level++) id = this.builder.ptr(id);
    return count === undefined ? id : this.builder.array(id, count);
  }

  #base(base: string): number {
    const [keyword, name] = base.split(' ');
    if (keyword === 'void') return 0;
    const declared = this.#declared.find(keyword, name);
    if (declared !== undefined) return declared;
    if (keyword === 'struct' || keyword === 'union')
      return this.builder.intern({ kind: 'fwd', name, fwdKind: keyword });
    if (keyword === 'enum') {
      const values = (ENUMS[name] ?? []).map((each, value) => ({ name: each, value }));
      return this.builder.intern({ kind: 'enum', name, size: 4, signed: false, values });
    }
    return this.builder.int(...INTEGERS[base]);
  }

  #refuse(line: number, problem: string): FormatError {
    return new FormatError(this.#unit.name, line, problem);
  }

  /** Whether the size of a type is not known here. */
  #isOpaque({ base, pointers }: CType): boolean {
    const [keyword, name] = base.split(' ');
    if (this.#declared.find(keyword, name) !== undefined) return false;
    return pointers === 0 && INTEGERS[base] === undefined && keyword !== 'enum';
  }

  /** Bytes of a type whose size is known. */
  #sizeOf({ base, pointers, count = 1 }: CType): number {
    if (pointers > 0) return POINTER_BYTES * count;
    const [keyword, name] = base.split(' ');
    const declared = this.#declared.find(keyword, name);
    const type = declared === undefined ? undefined : this.builder.type(declared);
    const size = type?.kind === 'struct' || type?.kind === 'union' ? type.size : undefined;
    return (size ?? (keyword === 'enum' ? 4 : (INTEGERS[base]?.[1] ?? 0))) * count;
  }
}
