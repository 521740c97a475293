import { BpfError } from '../errors.ts';
import type { LoadedParts, LoadedSection } from '../kernel.ts';
import { checkArenaSize, type DataSection } from '../object/data-sections.ts';
import { fillIn } from '../object/fill-in.ts';
import type { LinkedProgram } from '../object/link.ts';
import type { MapSpec } from '../object/map-spec.ts';
import type { BpfObject, LinkTarget, ProgramSpec } from '../object/object.ts';
import type { RemoteBytes } from '../view/memory.ts';
import { LinuxArena } from './arena.ts';
import { arenaGlobalsOffset } from './arena-globals.ts';
import { createMap } from './create-map.ts';
import { Mapping, Owned } from './fd.ts';
import { kernelSymbol } from './kconfig.ts';
import { KernelTypes } from './kernel-types.ts';
import type { LinuxMap } from './map.ts';
import { RemoteView, ValueMemory } from './memory.ts';
import { type LoadedBtf, loadObjectBtf } from './object-btf.ts';
import { populate } from './populate.ts';
import { LinuxProgram } from './program.ts';

/**
 * Loading an object into Linux, in libbpf's order: programs are linked, BTF is loaded, maps are created and filled, the
 * arena is mapped and gets its globals, references are filled in, programs are loaded, slots that name programs are set.
 * All or nothing: what was made is owned by the load, and given back when a step fails.
 */

const PAGE_SIZE = 4096;
const BPF_F_MMAPABLE = 1 << 10;
const BPF_F_SEGV_ON_FAULT = 1 << 17;

export interface LoadOptions {
  readonly logLevel: number;
  readonly warn: (text: string) => void;
  /** This program alone, for its verdict: slots of maps that name others stay empty. */
  readonly only?: ProgramSpec | undefined;
}

export class LinuxLoad implements LoadedParts {
  readonly object: BpfObject;
  readonly maps: Readonly<Record<string, LinuxMap>>;
  readonly programs: Readonly<Record<string, LinuxProgram>>;
  readonly sections: readonly LoadedSection[];
  readonly arena: LinuxArena | undefined;
  readonly #owned: Owned;
  readonly #closed: (load: LinuxLoad) => void;

  private constructor(object: BpfObject, loader: Loader, closed: (load: LinuxLoad) => void) {
    this.object = object;
    this.maps = loader.maps;
    this.programs = loader.programs;
    this.sections = loader.sections;
    this.arena = loader.arena;
    this.#owned = loader.owned;
    this.#closed = closed;
  }

  /** @param closed is told when the load was closed. */
  static start(
    object: BpfObject,
    target: LinkTarget,
    options: LoadOptions,
    closed: (load: LinuxLoad) => void,
  ): LinuxLoad {
    const loader = new Loader(object, target, options);
    try {
      loader.load();
      return new LinuxLoad(object, loader, closed);
    } catch (error) {
      loader.owned.close();
      throw error;
    }
  }

  close(): void {
    this.#owned.close();
    this.#closed(this);
  }
}

class Loader {
  readonly owned = new Owned();
  readonly maps: Record<string, LinuxMap> = Object.create(null);
  readonly programs: Record<string, LinuxProgram> = Object.create(null);
  readonly sections: LoadedSection[] = [];
  arena: LinuxArena | undefined;
  readonly #object: BpfObject;
  readonly #target: LinkTarget;
  readonly #options: LoadOptions;
  readonly #types: KernelTypes;
  /** Bytes into the arena where the object's globals start. */
  #globals = 0;

  constructor(object: BpfObject, target: LinkTarget, options: LoadOptions) {
    this.#object = object;
    this.#target = target;
    this.#options = options;
    this.#types = new KernelTypes(this.owned);
  }

  load(): void {
    const object = this.#object;
    const kconfig = object.kconfig(this.#target);
    const specs = [...Object.values(object.maps), ...(kconfig ? [object.mapFor(kconfig)] : [])];
    const { only } = this.#options;
    const wanted = only ? [only] : Object.values(object.programs).filter(({ autoload }) => autoload);
    const programs = wanted.map((spec) => this.#link(spec));
    const btf = loadObjectBtf(object, (strings) => addLines(programs, strings), this.#options.warn);
    if (btf !== undefined) this.owned.add(btf.fd);
    for (const spec of specs) if (spec.autocreate) this.#createMap(spec, btf);
    this.#placeArenaGlobals();
    for (const section of [...object.data, ...(kconfig ? [kconfig] : [])]) this.#fillSection(section);
    this.#addArenaSection();
    for (const spec of specs) this.#fillSlots(spec, 'map');
    for (const { spec, linked } of programs) this.#loadProgram(spec, linked, btf);
    if (only === undefined) for (const spec of specs) this.#fillSlots(spec, 'program');
  }

  #link(spec: ProgramSpec): { spec: ProgramSpec; linked: LinkedProgram } {
    return { spec, linked: this.#object.link(spec, this.#target) };
  }

  #createMap(spec: MapSpec, btf: LoadedBtf | undefined): void {
    const map = createMap(spec, btf, this.owned);
    this.maps[spec.name] = map;
    if (map instanceof LinuxArena) this.arena = map;
  }

  /** Where libbpf puts them; as there, an arena that was pinned keeps its values. */
  #placeArenaGlobals(): void {
    const globals = this.#object.arenaGlobals;
    const { arena } = this;
    if (globals === undefined || arena === undefined) return;
    checkArenaSize(this.#object.maps[arena.name], globals);
    const pages = Math.ceil(globals.contents.length / PAGE_SIZE);
    this.#globals = arenaGlobalsOffset(arena.maxEntries, globals);
    if (!arena.fresh) return;
    if ((arena.flags & BPF_F_SEGV_ON_FAULT) !== 0) populate(arena, this.#globals, pages);
    arena.write(this.#globals, globals.contents);
  }

  #addArenaSection(): void {
    const globals = this.#object.arenaGlobals;
    if (globals === undefined || this.arena === undefined) return;
    const { name, variables } = globals;
    this.sections.push({ name, variables, memory: this.arena.memory, base: this.#globals });
  }

  #fillSection({ name, contents, readOnly, variables }: DataSection): void {
    const map = this.maps[name];
    if (map === undefined) return;
    map.update(new Uint8Array(4), contents);
    if (readOnly) map.freeze();
    const memory = this.owned.add(this.#sectionMemory(map, contents, readOnly));
    this.sections.push({ name, variables, memory, base: 0 });
  }

  /** Frozen values cannot change, so a copy is the truth; others are mapped where the map allows it. */
  #sectionMemory(map: LinuxMap, contents: Uint8Array, readOnly: boolean): ValueMemory {
    const name = `section '${map.name}'`;
    const length = contents.length;
    const make = (view: DataView, remote?: RemoteBytes) =>
      new ValueMemory({ name, length, readOnly, view, remote }, this.arena?.memory);
    if (readOnly) return make(new DataView(contents.slice().buffer));
    if ((map.flags & BPF_F_MMAPABLE) !== 0) {
      const mapping = Mapping.map(map.fdNumber, { length: Math.ceil(length / PAGE_SIZE) * PAGE_SIZE });
      if (typeof mapping !== 'number') return make(new DataView(this.owned.add(mapping).buffer));
    }
    const remote = elementBytes(map);
    return make(new RemoteView(remote, length), remote);
  }

  #fillSlots(spec: MapSpec, kind: 'map' | 'program'): void {
    const map = this.maps[spec.name];
    if (map === undefined) return;
    for (const slot of spec.slots) {
      if (slot.kind !== kind) continue;
      const value = (kind === 'map' ? this.maps : this.programs)[slot.name];
      if (value === undefined) {
        const problem = `slot ${slot.index} is for ${kind} '${slot.name}', which is not loaded`;
        throw new BpfError('ENOENT', `map '${spec.name}': ${problem}`);
      }
      map.update(u32(slot.index), u32(value.fdNumber));
    }
  }

  #loadProgram(spec: ProgramSpec, linked: LinkedProgram, btf: LoadedBtf | undefined): void {
    const types = this.#types;
    const { arena } = this;
    fillIn(linked, {
      description: 'the kernel and its modules',
      map: (name) => this.maps[name]?.fdNumber,
      arenaGlobals: arena && { map: arena.fdNumber, offset: this.#globals },
      kfunc: ({ name }) => types.find(name, 'func'),
      ksym: ({ name, type }) => {
        const found = type === 0 ? undefined : types.find(name, 'var');
        const address = type === 0 ? kernelSymbol(name) : undefined;
        return found ?? (address === undefined ? undefined : { address });
      },
    });
    const { license } = this.#object;
    const environment = { license, btf, types, logLevel: this.#options.logLevel };
    this.programs[spec.name] = this.owned.add(LinuxProgram.load(spec, linked, environment));
  }
}

/** Line information names files and lines of text, by their place among the BTF's strings. */
function addLines(programs: readonly { linked: LinkedProgram }[], strings: LoadedBtf['strings']): void {
  for (const { linked } of programs) {
    for (const { info } of linked.lines) {
      strings.string(info.fileName);
      strings.string(info.text);
    }
  }
}

/** The value of a map with one element, a call for each access; a write takes the whole value out and back. */
function elementBytes(map: LinuxMap): RemoteBytes {
  const key = new Uint8Array(4);
  const value = (): Uint8Array => map.lookup(key) ?? new Uint8Array(map.valueSize);
  return {
    read: (offset, into) => into.set(value().subarray(offset, offset + into.length)),
    write: (offset, from) => {
      const bytes = value();
      bytes.set(from, offset);
      map.update(key, bytes);
    },
  };
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
