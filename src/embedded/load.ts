import { BpfError } from '../errors.ts';
import type { LoadedParts, LoadedSection } from '../kernel.ts';
import { checkArenaSize, type DataSection } from '../object/data-sections.ts';
import type { MapSpec } from '../object/map-spec.ts';
import type { BpfObject, ProgramSpec } from '../object/object.ts';
import { Judge, mapsOf } from './judge.ts';
import type { EmbeddedKernel } from './kernel.ts';
import { type ArenaAddress, PAGE_SIZE } from './layout.ts';
import { attributesOf } from './map-info.ts';
import { ArenaMap } from './maps/arena.ts';
import type { EmbeddedMap } from './maps/map.ts';
import { ProgArrayMap } from './maps/prog-array.ts';
import { EmbeddedProgram } from './program.ts';
import { type PlacedArena, References } from './references.ts';
import { requireRunnable } from './runnable.ts';
import { ValueSpace } from './spaces.ts';

/**
 * Loading an object into the embedded kernel, in libbpf's order: maps are created, the arena is placed and its globals
 * are copied in, data sections get their contents, then each program is linked, its references are filled in, it is
 * verified, decoded. All or nothing: whatever was made is closed again when a step fails.
 */

export class EmbeddedLoad implements LoadedParts {
  readonly object: BpfObject;
  readonly maps: Readonly<Record<string, EmbeddedMap>>;
  readonly programs: Readonly<Record<string, EmbeddedProgram>>;
  readonly sections: readonly LoadedSection[];
  readonly arena: ArenaMap | undefined;
  readonly #kernel: EmbeddedKernel;

  private constructor(
    kernel: EmbeddedKernel,
    object: BpfObject,
    parts: Pick<EmbeddedLoad, 'maps' | 'programs' | 'sections' | 'arena'>,
  ) {
    this.#kernel = kernel;
    this.object = object;
    this.maps = parts.maps;
    this.programs = parts.programs;
    this.sections = parts.sections;
    this.arena = parts.arena;
  }

  static start(kernel: EmbeddedKernel, object: BpfObject): EmbeddedLoad {
    const loader = new Loader(kernel, object);
    try {
      return new EmbeddedLoad(kernel, object, loader.load());
    } catch (error) {
      loader.undo();
      throw error;
    }
  }

  close(): void {
    const programs = Object.values(this.programs);
    for (const program of programs) program.close();
    const runs = programs.flatMap((program) => program.ended ?? []);
    this.#kernel.closeMaps(Object.values(this.maps), runs);
    this.#kernel.forget(this);
  }
}

class Loader {
  readonly #kernel: EmbeddedKernel;
  readonly #object: BpfObject;
  readonly #maps: Record<string, EmbeddedMap> = Object.create(null);
  readonly #judge: Judge;
  #arena: PlacedArena | undefined;

  constructor(kernel: EmbeddedKernel, object: BpfObject) {
    this.#kernel = kernel;
    this.#object = object;
    this.#judge = new Judge(object, kernel);
  }

  load(): Pick<EmbeddedLoad, 'maps' | 'programs' | 'sections' | 'arena'> {
    const object = this.#object;
    const kconfig = object.kconfig(this.#kernel);
    for (const spec of mapsOf(object, kconfig)) if (spec.autocreate) this.#createMap(spec);
    this.#placeArena();
    const sections = [...object.data, ...(kconfig ? [kconfig] : [])].flatMap((section) => {
      const map = this.#maps[section.name];
      return map === undefined ? [] : [{ section, map }];
    });
    for (const { section, map } of sections) {
      map.update(new Uint8Array(4), section.contents);
      if (section.readOnly) map.freeze();
    }
    for (const name of Object.keys(this.#maps)) this.#fillWithMaps(name);
    const programs: Record<string, EmbeddedProgram> = Object.create(null);
    for (const spec of Object.values(object.programs))
      if (spec.autoload) programs[spec.name] = this.#program(spec);
    this.#fillSlots(programs);
    return { maps: this.#maps, programs, sections: this.#sections(sections), arena: this.#arena?.map };
  }

  /** Puts the programs that the object names into its arrays of programs. */
  #fillSlots(programs: Readonly<Record<string, EmbeddedProgram>>): void {
    for (const { name, slots } of Object.values(this.#object.maps)) {
      for (const slot of slots) {
        const program = slot.kind === 'program' ? programs[slot.name] : undefined;
        if (program !== undefined) this.#maps[name].update(u32(slot.index), u32(program.handle));
        else if (slot.kind === 'program')
          throw new BpfError(
            'ENOENT',
            `map '${name}': slot ${slot.index} is for program '${slot.name}', which is not loaded`,
          );
      }
    }
  }

  /** Where user space finds the global variables. */
  #sections(data: readonly { section: DataSection; map: EmbeddedMap }[]): LoadedSection[] {
    const arena = this.#arena;
    const sections = data.map(({ section: { name, variables }, map }) => {
      const memory = new ValueSpace(this.#kernel.memory, map, arena?.map.memory);
      return { name, variables, memory, base: map.region?.start ?? 0 };
    });
    const globals = this.#object.arenaGlobals;
    if (arena === undefined || globals === undefined) return sections;
    const { name, variables } = globals;
    return [...sections, { name, variables, memory: arena.map.memory, base: arena.globals }];
  }

  /** Closes what {@link load} made before it failed. */
  undo(): void {
    this.#kernel.closeMaps(Object.values(this.#maps));
  }

  #createMap(spec: MapSpec): void {
    const { cpus, objectTypes } = this.#kernel;
    const attributes = attributesOf(spec, this.#judge.infoOf(spec.name), cpus, objectTypes);
    const map = this.#kernel.createMap(attributes);
    map.holders++;
    this.#maps[spec.name] = map;
  }

  /** Puts maps into the slots of a map that its object says hold them. */
  #fillWithMaps(name: string): void {
    const spec = this.#object.maps[name];
    for (const slot of spec?.slots ?? []) {
      if (slot.kind !== 'map') continue;
      const map = this.#maps[slot.name];
      if (map === undefined) {
        const problem = `slot ${slot.index} is for map '${slot.name}', which is not loaded`;
        throw new BpfError('ENOENT', `map '${name}': ${problem}`);
      }
      this.#maps[name].update(u32(slot.index), u32(map.handle));
    }
  }

  /**
   * Maps the arena and copies its globals in, at its end: the address 0 then aliases nothing. (libbpf does the same where
   * the kernel takes offsets that large, and puts them at the start elsewhere.)
   */
  #placeArena(): void {
    const map = Object.values(this.#maps).find((each) => each instanceof ArenaMap);
    if (map === undefined) return;
    map.map();
    const globals = this.#object.arenaGlobals;
    if (globals === undefined) {
      this.#arena = { map, globals: 0 as ArenaAddress };
      return;
    }
    checkArenaSize(
      this.#object.maps[Object.keys(this.#maps).find((name) => this.#maps[name] === map) as string],
      globals,
    );
    const pages = Math.ceil(globals.contents.length / PAGE_SIZE);
    const first = this.#kernel.arenaGlobals === 'start' ? 0 : map.maxEntries - pages;
    const at = (map.arena.pages.start + first * PAGE_SIZE) as ArenaAddress;
    if (map.arena.allocate(at, pages) < 0) throw new BpfError('ENOMEM', 'no room for the arena globals');
    map.arena.touch(at, globals.contents.length, true);
    copyPages(globals.contents, map.arena.window, at);
    this.#arena = { map, globals: at };
  }

  #program(spec: ProgramSpec): EmbeddedProgram {
    const linked = this.#object.link(spec, this.#kernel);
    const references = new References(this.#kernel, this.#maps, this.#arena);
    references.fillIn(linked);
    const names = Object.keys(this.#maps);
    const verified = this.#judge.verify(spec, linked, (id) =>
      names.find((name) => this.#maps[name].id === id),
    );
    requireRunnable(this.#kernel, verified);
    const program = new EmbeddedProgram(
      this.#kernel,
      spec,
      verified,
      references.arenaOf(linked),
      (_, index) => references.value(linked, index),
      (info) => this.#maps[this.#judge.nameOf(info) ?? ''],
    );
    for (const map of references.mapsOf(linked)) {
      if (!(map instanceof ProgArrayMap) || map.accepts(program)) continue;
      program.close();
      throw new BpfError(
        'EINVAL',
        `program '${spec.name}': map '${map.name}' is for tail calls of other programs`,
      );
    }
    return program;
  }
}

const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);

/**
 * Copies into memory that is all zeroes, but no page that is: sections of many megabytes mostly are, and the operating system gives
 * memory only for what is written.
 */
function copyPages(from: Uint8Array, to: Uint8Array, at: number): void {
  for (let start = 0; start < from.length; start += PAGE_SIZE) {
    const page = from.subarray(start, start + PAGE_SIZE);
    if (!isZero(page)) to.set(page, at + start);
  }
}

/** Measured at 10 ms for 24 MB; `every` takes 450. */
function isZero(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words = bytes.length & ~7;
  for (let i = 0; i < words; i += 8) if ((view.getInt32(i) | view.getInt32(i + 4)) !== 0) return false;
  for (let i = words; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}
