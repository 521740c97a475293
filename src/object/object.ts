import { type Btf, type BtfBuilder, CoreResolver } from '../btf/index.ts';
import { BpfError } from '../errors.ts';
import { type CodeFunction, type CodeSection, readCode, TEXT_SECTION } from './code.ts';
import { applyCoreRelos } from './core-apply.ts';
import {
  ARENA_SECTION,
  checkArena,
  type DataSection,
  dataSectionMap,
  readDataSections,
} from './data-sections.ts';
import { type Extern, fillKconfig, type KconfigValue, readExterns } from './externs.ts';
import { type LinkedProgram, linkProgram } from './link.ts';
import { loadableBtf } from './load-btf.ts';
import { readMapDefinitions } from './map-definitions.ts';
import type { MapSpec } from './map-spec.ts';
import { ObjectFile } from './object-file.ts';
import { type AttachType, type ProgramType, sectionRule, similarSection } from './program-types.ts';
import { readStructOps } from './struct-ops.ts';

/**
 * An object, opened: maps, programs and global variables that can be looked at and changed before load. Opening needs
 * no kernel. A kernel asks {@link BpfObject.link} for each program, with itself as the target.
 */

/** A program of an object. What libbpf lets one set before load can be changed until then. */
export interface ProgramSpec {
  readonly name: string;
  /** The section's name without a leading `?`. */
  readonly section: string;
  type: ProgramType;
  attachType: AttachType | undefined;
  /**
   * What the section's name says to attach to: `sched/sched_switch` of `tp/sched/sched_switch`. Of a struct_ops program the operation
   * that a variable in `.struct_ops` has it for: `tcp_congestion_ops.ssthresh`.
   */
  attachTo: string | undefined;
  sleepable: boolean;
  frags: boolean;
  /** Further flags of BPF_PROG_LOAD (BPF_F_STRICT_ALIGNMENT and the like). */
  flags: number;
  /** False when the section's name starts with `?`: load leaves it out. */
  autoload: boolean;
  readonly entry: CodeFunction;
}

/** What a program is linked against: the kernel's types and configuration. */
export interface LinkTarget {
  /** The kernel's BTF, for CO-RE; absent when the kernel has none. */
  readonly btf: Btf | undefined;
  /** A kernel configuration value by name (`CONFIG_HZ`, `LINUX_KERNEL_VERSION`). */
  kconfig(name: string): KconfigValue | undefined;
}

export class BpfObject {
  readonly name: string;
  /** The `license` section's text; empty when the object has none. */
  readonly license: string;
  readonly btf: Btf | undefined;
  /** By the name in `.maps`; data sections by their section's name. */
  readonly maps: Readonly<Record<string, MapSpec>>;
  readonly programs: Readonly<Record<string, ProgramSpec>>;
  /** `.data`, `.rodata`, `.bss` and their like. */
  readonly data: readonly DataSection[];
  /** The global variables in the arena. */
  readonly arenaGlobals: DataSection | undefined;
  readonly externs: readonly Extern[];
  /** All code, for disassembly. */
  readonly code: readonly CodeSection[];
  /** What was ignored while opening. */
  readonly warnings: readonly string[];
  readonly #file: ObjectFile;
  readonly #resolvers = new WeakMap<Btf, CoreResolver>();

  /** @param name of the file, without folder and endings. Throws FormatError and BpfError: see {@link parseObject}. */
  constructor(bytes: Uint8Array, name: string) {
    const file = new ObjectFile(bytes, name);
    this.#file = file;
    this.name = name;
    this.btf = file.btf;
    this.license = textOf(file, 'license');
    this.externs = readExterns(file);
    const sections = readDataSections(file);
    this.arenaGlobals = sections.find((section) => section.name === ARENA_SECTION);
    this.data = sections.filter((section) => section.name !== ARENA_SECTION);
    const declared = readMapDefinitions(file);
    checkArena(declared, this.arenaGlobals);
    const maps = [...declared, ...this.data.map((section) => dataSectionMap(file, section))];
    this.maps = byName(maps, 'map');
    this.code = readCode(file, sections, this.externs);
    this.programs = byName(this.code.flatMap(programsOf), 'program');
    const operations = readStructOps(file);
    for (const program of Object.values(this.programs))
      if (program.type === 'struct_ops') program.attachTo = operations.get(program.name) ?? program.attachTo;
    this.warnings = file.warnings;
  }

  /**
   * Links a program with all it calls, and resolves what depends on the target's types.
   * @returns fresh instructions; references to maps, data and externs are left for the kernel to fill in.
   */
  link(program: ProgramSpec, target: LinkTarget): LinkedProgram {
    requireType(program);
    const linked = linkProgram(this.#file, program.entry, this.code);
    if (linked.coreRelos.size > 0) applyCoreRelos(linked, this.#resolver(target));
    return linked;
  }

  /** The object's types for user space: {@link btf}, completed from its debug information, under the same ids. */
  get types(): Btf | undefined {
    return this.#file.types;
  }

  /** The source line of a slot in a code section, as `text`; undefined when the object has no line information. */
  sourceAt(section: CodeSection, slot: number): string | undefined {
    return this.#file.sourceAt(section.name, slot);
  }

  /** The `.kconfig` section with the target's values, or undefined when the object declares none. */
  kconfig(target: LinkTarget): DataSection | undefined {
    return fillKconfig(this.btf, this.externs, (name) => target.kconfig(name));
  }

  /** The map that holds a data section made at load, such as `.kconfig`. */
  mapFor(section: DataSection): MapSpec {
    return dataSectionMap(this.#file, section);
  }

  /** The object's BTF for BPF_BTF_LOAD, type ids unchanged; undefined when it has none. */
  loadableBtf(): BtfBuilder | undefined {
    return loadableBtf(this.#file, this.code, this.externs);
  }

  #resolver({ btf }: LinkTarget): CoreResolver {
    const local = this.#file.requireBtf('CO-RE');
    if (btf === undefined)
      throw new BpfError('EOPNOTSUPP', `${this.name}: CO-RE needs BTF of the kernel, which has none`);
    let resolver = this.#resolvers.get(btf);
    if (resolver === undefined) {
      resolver = new CoreResolver(local, btf);
      this.#resolvers.set(btf, resolver);
    }
    return resolver;
  }
}

/**
 * Opens an object from its bytes; no kernel is touched.
 *
 * @param bytes a relocatable little-endian BPF ELF file, as clang writes it.
 * @param name for messages, and the prefix of data sections' map names.
 * @throws FormatError naming section and offset when the file is damaged; BpfError when libbpf would refuse it, too:
 * legacy `maps` sections (EOPNOTSUPP), two arenas (EINVAL), arena globals without an arena (ENOENT) or larger than it
 * (E2BIG).
 */
export function parseObject(bytes: Uint8Array, name = 'object'): BpfObject {
  return new BpfObject(bytes, name);
}

/** The program of this name. Throws ENOENT, saying which there are. */
export function requireProgram(object: BpfObject, name: string): ProgramSpec {
  if (Object.hasOwn(object.programs, name)) return object.programs[name];
  const known = Object.keys(object.programs).join(', ') || 'none';
  throw new BpfError('ENOENT', `${object.name}: there is no program '${name}'; it has ${known}`);
}

/** An object's types alone, also of one that could not be loaded; undefined when it has none. */
export function readTypes(bytes: Uint8Array): Btf | undefined {
  return new ObjectFile(bytes, 'object').types;
}

/** libbpf's refusal of a section name that says no program type. */
function requireType({ name, section, type }: ProgramSpec): void {
  if (type !== 'unspec') return;
  const similar = similarSection(section);
  const advice = similar === undefined ? 'set its type before load' : `did you mean SEC("${similar}")?`;
  throw new BpfError(
    'EINVAL',
    `program '${name}': missing BPF prog type, check ELF section name '${section}'; ${advice}`,
  );
}

function programsOf(code: CodeSection): ProgramSpec[] {
  if (code.name === TEXT_SECTION) return [];
  const autoload = !code.name.startsWith('?');
  const section = autoload ? code.name : code.name.slice(1);
  const rule = sectionRule(section);
  const slash = section.indexOf('/');
  return code.functions
    .filter(({ local }) => !local)
    .map((entry) => ({
      name: entry.name,
      section,
      type: rule?.type ?? 'unspec',
      attachType: rule?.attachType,
      attachTo: slash < 0 ? undefined : section.slice(slash + 1),
      sleepable: rule?.sleepable ?? false,
      frags: rule?.frags ?? false,
      flags: 0,
      autoload,
      entry,
    }));
}

function byName<Item extends { readonly name: string }>(
  items: readonly Item[],
  what: string,
): Record<string, Item> {
  const table: Record<string, Item> = Object.create(null);
  for (const item of items) {
    if (item.name in table) throw new BpfError('EEXIST', `two ${what}s are called '${item.name}'`);
    table[item.name] = item;
  }
  return table;
}

function textOf(file: ObjectFile, name: string): string {
  const bytes = file.section(name)?.data ?? new Uint8Array();
  const end = bytes.indexOf(0);
  // Some browsers decode no shared memory, and a copy is small.
  return new TextDecoder().decode(bytes.slice(0, end < 0 ? bytes.length : end));
}
