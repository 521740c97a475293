import type { Btf, BtfVar } from '../btf/index.ts';
import { type ElfSection, SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_PROGBITS } from '../elf/index.ts';
import { BpfError } from '../errors.ts';
import { mapSpec } from './map-definitions.ts';
import { BPF_F_MMAPABLE, BPF_F_RDONLY_PROG } from './map-flags.ts';
import type { MapSpec } from './map-spec.ts';
import { MAP_TYPES } from './map-types.ts';
import type { ObjectFile } from './object-file.ts';

/**
 * Global variables. `.data`, `.rodata` and `.bss` sections become array maps with one element, the section;
 * `.addr_space.1` is copied into the arena. Rules and names are libbpf's (bpf_object__init_global_data_maps,
 * init_arena_map_data).
 */

export const ARENA_SECTION = '.addr_space.1';

const PAGE_SIZE = 4096;

/** A variable of a data section, where the symbol table says it is. */
export interface Variable {
  name: string;
  /** Type id in the object's BTF. */
  type: number;
  /** Bytes into the section. */
  offset: number;
  /** Bytes. */
  size: number;
}

/** A section of global variables. */
export interface DataSection {
  name: string;
  /** Its place in the ELF file. */
  index: number;
  /** Initial contents; changes until load take effect. */
  contents: Uint8Array;
  /** Programs cannot write it. */
  readOnly: boolean;
  variables: Variable[];
  /** Its datasec in the object's BTF, 0 when it has none. */
  type: number;
}

/** Whether a section's name says global variables: `.data`, `.data.cold`, but not `.data_foo`. */
function isDataSection(section: ElfSection): boolean {
  if (section.type !== SHT_PROGBITS && section.type !== SHT_NOBITS) return false;
  if ((section.flags & SHF_ALLOC) === 0 || (section.flags & SHF_EXECINSTR) !== 0) return false;
  return /^\.(data|rodata|bss)(\.|$)/.test(section.name) || section.name === ARENA_SECTION;
}

/** The sections of global variables, without empty ones. */
export function readDataSections(file: ObjectFile): DataSection[] {
  return file.elf.sections
    .filter((section) => isDataSection(section) && section.size > 0)
    .map((section) => {
      if (file.elf.relocations.has(section.index)) {
        file.warnings.push(
          `section '${section.name}': initial values that are addresses are not filled in (libbpf does not, either); ` +
            'set them in a program',
        );
      }
      const type = file.btf?.idOf(section.name, 'datasec') ?? 0;
      return {
        name: section.name,
        index: section.index,
        contents: file.contents(section),
        readOnly: section.name.startsWith('.rodata'),
        variables: type === 0 ? [] : readVariables(file, section, file.requireBtf(section.name), type),
        type,
      };
    });
}

function readVariables(file: ObjectFile, section: ElfSection, btf: Btf, datasec: number): Variable[] {
  const type = btf.type(datasec);
  if (type.kind !== 'datasec') return [];
  const symbols = new Map(file.symbolsOf(section).map((symbol) => [symbol.name, symbol]));
  return type.variables.flatMap(({ type: id, offset, size }) => {
    const variable = btf.type(id);
    if (variable.kind !== 'var') return [];
    const symbol = symbols.get(variable.name);
    const at = offsetOf(variable, offset, symbol?.value);
    const bytes = size || btf.sizeOf(variable.type);
    if (at + bytes > section.size) {
      throw new BpfError(
        'EINVAL',
        `section '${section.name}': variable '${variable.name}' ends at ${at + bytes}, the section at ${section.size}`,
      );
    }
    return [{ name: variable.name, type: variable.type, offset: at, size: bytes }];
  });
}

/**
 * Bytes into its section, of a variable whose symbol is at `symbol`. clang leaves the offsets of global variables in BTF to
 * the symbol table. Those of static ones it fills in, and their names may occur once a file in an object that was linked
 * from several (libbpf: btf_fixup_datasec).
 */
export function offsetOf(variable: BtfVar, inBtf: number, symbol: number | undefined): number {
  return variable.linkage === 'static' ? inBtf : (symbol ?? inBtf);
}

/** The map that holds a data section in the kernel. */
export function dataSectionMap(file: ObjectFile, section: DataSection): MapSpec {
  const mmapable = hasGlobals(file.btf, section.type);
  return mapSpec(section.name, {
    kernelName: internalMapName(file.name, section.name),
    type: MAP_TYPES.array,
    keySize: 4,
    valueSize: section.contents.length,
    maxEntries: 1,
    flags: (section.readOnly ? BPF_F_RDONLY_PROG : 0) | (mmapable ? BPF_F_MMAPABLE : 0),
    valueType: section.type,
    contents: section.contents,
    frozen: section.readOnly,
  });
}

/** libbpf maps a section into user space only when it has a variable that is not static. */
function hasGlobals(btf: Btf | undefined, datasec: number): boolean {
  const type = datasec === 0 ? undefined : btf?.type(datasec);
  if (type?.kind !== 'datasec') return false;
  return type.variables.some(({ type: id }) => {
    const variable = btf?.type(id);
    return variable?.kind === 'var' && variable.linkage !== 'static';
  });
}

/** `list.bss` from `list` and `.bss`: the object's name gives up characters first (libbpf: internal_map_name). */
function internalMapName(object: string, section: string): string {
  const suffix = section.slice(0, 15);
  const standalone = /^\.(data|rodata|bss)\./.test(section);
  const prefix = standalone ? '' : object.slice(0, Math.max(0, Math.min(15 - suffix.length, 8)));
  return (prefix + suffix).replace(/[^A-Za-z0-9_.]/g, '_');
}

/**
 * Checks the arena against the arena's global variables, as libbpf does before it creates anything: one arena at most
 * (EINVAL), an arena when there are arena globals (ENOENT), and large enough for them (E2BIG).
 */
export function checkArena(maps: readonly MapSpec[], globals: DataSection | undefined): MapSpec | undefined {
  const arenas = maps.filter(({ type }) => type === MAP_TYPES.arena);
  if (arenas.length > 1) {
    const [first, second] = arenas;
    const problem = `only single ARENA map is supported (map '${first.name}' is also ARENA)`;
    throw new BpfError('EINVAL', `map '${second.name}': ${problem}; put both structures into one arena`);
  }
  const arena = arenas[0];
  if (globals === undefined) return arena;
  if (arena === undefined) {
    const advice =
      'to use global __arena variables the ARENA map should be explicitly declared in SEC(".maps")';
    throw new BpfError('ENOENT', `section '${globals.name}': ${advice}`);
  }
  checkArenaSize(arena, globals);
  return arena;
}

/** Checked again at load: max_entries may have been changed. */
export function checkArenaSize(arena: Pick<MapSpec, 'name' | 'maxEntries'>, globals: DataSection): void {
  const needed = Math.ceil(globals.contents.length / PAGE_SIZE);
  if (needed <= arena.maxEntries) return;
  throw new BpfError(
    'E2BIG',
    `section '${globals.name}': declared ARENA map size (${arena.maxEntries * PAGE_SIZE}) is too small to hold global ` +
      `__arena variables of size ${globals.contents.length}; max_entries of '${arena.name}' must be at least ${needed}`,
  );
}
