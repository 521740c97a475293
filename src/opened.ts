import { EmbeddedKernel } from './embedded/kernel.ts';
import { BpfError } from './errors.ts';
import { ArenaHeap } from './heap.ts';
import type {
  ArenaMap,
  BpfMap,
  Kernel,
  LoadedParts,
  LoadedProgram,
  LoadedSection,
  Verification,
} from './kernel.ts';
import { named } from './named.ts';
import { checkMapSpec } from './object/map-spec.ts';
import { BpfObject, requireProgram } from './object/object.ts';
import { TypedMap } from './typed-map.ts';
import {
  globalsView,
  INSPECT,
  type Plain,
  PlainMemory,
  type PlainOptions,
  toPlain,
  type ViewMemory,
  type ViewOptions,
  viewOf,
} from './view/index.ts';

/**
 * What users hold: an object between open and load, and a loaded object. Both give global variables typed access; the
 * rooms below know bytes and names only.
 */

/** Names and types of what an object has, for typed access: `bpf-arena btf FILE --as ts` writes such an interface. */
export interface ObjectShape {
  globals: object;
}

/** Without an interface every name is possible, and its value unknown. */
export interface AnyShape extends ObjectShape {
  // biome-ignore lint/suspicious/noExplicitAny: without generated types the user's code says what a global is.
  globals: { [name: string]: any };
}

/** An opened object: look at it, change what load shall do, load it. */
export class OpenedObject<Shape extends ObjectShape = AnyShape> extends BpfObject {
  readonly #options: ViewOptions;
  #globals: Shape['globals'] | undefined;

  /** Use `open`. */
  constructor(bytes: Uint8Array, name: string, options: ViewOptions = {}) {
    super(bytes, name);
    this.#options = options;
  }

  /** The initial values of the global variables, those in the arena too; assignments take effect at load. */
  get globals(): Shape['globals'] {
    const sections = this.arenaGlobals ? [...this.data, this.arenaGlobals] : this.data;
    this.#globals ??= this.types
      ? globalsView<Shape['globals']>(
          this.types,
          sections.map(({ variables, contents }) => ({
            variables,
            memory: new PlainMemory(contents, 'the section'),
            base: 0,
          })),
          this.#options,
        )
      : withoutTypes();
    return this.#globals;
  }

  /** What console.log shows. */
  [INSPECT](): object {
    const { name, license } = this;
    const programs = Object.values(this.programs).map(
      (program) => `${program.name}, SEC("${program.section}")`,
    );
    return { name, license, programs, maps: Object.keys(this.maps), globals: this.globals };
  }

  /**
   * Loads maps and programs into a kernel: all, or nothing.
   *
   * @param kernel default: an embedded kernel of its own, which closes with the loaded object.
   * @returns the loaded object; close it, or let `using` do it. Rejects with the errno that Linux or libbpf gives; a
   * rejected program's error carries the verifier's log.
   */
  async load(kernel?: Kernel): Promise<LoadedObject<Shape>> {
    this.#check(kernel, 'load');
    const own = kernel === undefined ? new EmbeddedKernel() : undefined;
    try {
      const parts = await (kernel ?? (own as Kernel)).load(this);
      return new LoadedObject<Shape>(this, parts, () => own?.close(), this.#options);
    } catch (error) {
      own?.close();
      throw error;
    }
  }

  /**
   * Asks a kernel's verifier about one program; nothing is loaded. The embedded kernel judges more than it can run.
   *
   * @param kernel default: an embedded kernel of its own.
   * @returns the log, as far as the kernel's `logLevel` asks for one. Rejects with VerifierError when the program is refused,
   * EOPNOTSUPP when the kernel cannot judge it, ENOENT when the object has no such program.
   */
  async verify(program: string, kernel?: Kernel): Promise<Verification> {
    this.#check(kernel, 'verify');
    const spec = requireProgram(this, program);
    if (kernel !== undefined) return kernel.verify(this, spec);
    using own = new EmbeddedKernel();
    return await own.verify(this, spec);
  }

  #check(kernel: Kernel | undefined, method: 'load' | 'verify'): void {
    if (kernel !== undefined && typeof kernel?.[method] !== 'function')
      throw new BpfError('EINVAL', `${method} takes a kernel, such as embedded() makes, or nothing`);
    for (const spec of Object.values(this.maps)) checkMapSpec(spec);
  }
}

/** An object in a kernel: run its programs, read and write its globals, maps and arena. */
export class LoadedObject<Shape extends ObjectShape = AnyShape> {
  readonly object: OpenedObject<Shape>;
  /** The loaded programs by name. */
  readonly programs: Readonly<Record<string, LoadedProgram>>;
  /** The maps by name; data sections by their section's. */
  readonly maps: Readonly<Record<string, BpfMap>>;
  /** The maps as JavaScript has maps: keys and values by their types, as plain data. */
  readonly typedMaps: Readonly<Record<string, TypedMap>>;
  /** The object's arena; undefined when it has none. */
  readonly arena: ArenaMap | undefined;
  /** The sections of global variables, and the memory each is in. */
  readonly sections: readonly LoadedSection[];
  /**
   * The global variables, as they are now: reading looks into the memory that programs write. Assigning writes it.
   * Arena pointers are followed by property access.
   */
  readonly globals: Shape['globals'];
  readonly #parts: LoadedParts;
  readonly #closeKernel: () => void;
  readonly #options: ViewOptions;
  readonly #heaps = new Map<string, ArenaHeap>();
  #closed = false;

  constructor(
    object: OpenedObject<Shape>,
    parts: LoadedParts,
    closeKernel: () => void,
    options: ViewOptions,
  ) {
    this.object = object;
    this.#parts = parts;
    this.#closeKernel = closeKernel;
    this.#options = options;
    this.programs = named({ ...parts.programs }, `${object.name} has no program`);
    this.maps = named({ ...parts.maps }, `${object.name} has no map`);
    this.arena = parts.arena;
    this.sections = parts.sections;
    const { types } = object;
    const typed = Object.entries(parts.maps).map(([name, map]) => [
      name,
      new TypedMap(map, object.maps[name], types, options),
    ]);
    this.typedMaps = named(Object.fromEntries(typed), `${object.name} has no map`);
    this.globals = types ? globalsView<Shape['globals']>(types, parts.sections, options) : withoutTypes();
  }

  /**
   * A copy of all global variables as plain data, for printing: structs as objects, pointers as `0x…` or null. One that
   * cannot be read says why.
   */
  readGlobals(options?: PlainOptions): Record<string, Plain> {
    const { types: btf } = this.object;
    const plain: Record<string, Plain> = Object.create(null);
    if (btf === undefined) return plain;
    for (const { variables, memory, base } of this.sections) {
      for (const { name, type, offset } of variables) {
        if (name in plain) continue;
        try {
          const isPointer = btf.kindOf(btf.resolve(type)) === 'ptr';
          plain[name] = isPointer
            ? pointerAt(memory, base + offset)
            : toPlain(viewOf(btf, type, memory, base + offset), options);
        } catch (error) {
          if (!(error instanceof BpfError)) throw error;
          plain[name] = `(${error.message})`;
        }
      }
    }
    return plain;
  }

  /**
   * The allocator that user space shares with the programs: the arena global of type `struct arena_slab` (include/arena_slab.h).
   * `loaded.heap.alloc('struct node', { value: 1n })`. Throws BpfError ENOENT when the object has none, EOPNOTSUPP where user space
   * cannot map the arena.
   */
  get heap(): ArenaHeap {
    return this.heapOf();
  }

  /** The allocator in the variable of that name, for objects with several; default: the first. Throws as {@link heap}. */
  heapOf(name = ''): ArenaHeap {
    let heap = this.#heaps.get(name);
    if (heap === undefined) {
      heap = ArenaHeap.of(this.object, this.#parts, this.#options, name === '' ? undefined : name);
      this.#heaps.set(name, heap);
    }
    return heap;
  }

  /** What console.log shows. */
  [INSPECT](): object {
    const { name } = this.object;
    const programs = Object.keys(this.programs);
    const maps = Object.keys(this.maps);
    if (this.#closed) return { name, programs, maps, closed: true };
    return { name, programs, maps, globals: this.readGlobals(), arena: this.arena?.statistics };
  }

  /** Unloads programs and maps; views of their memory throw EBADF afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#parts.close();
    this.#closeKernel();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The global variables of an object without BTF: nobody knows where they are. */
function withoutTypes(): object {
  return Object.preventExtensions(named({}, 'no type information (compile with -g), so no global variable'));
}

function pointerAt(memory: ViewMemory, offset: number): string | null {
  memory.touch(offset, 8, false);
  const pointer = memory.view.getBigUint64(offset, true);
  return pointer === 0n ? null : `0x${pointer.toString(16)}`;
}
