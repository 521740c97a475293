/**
 * User space's side of the slab allocator in include/arena_slab.h: TypeScript allocates objects that programs read, and frees what
 * programs allocated, while they do the same. All state is in the arena, and this takes the same lock words as programs do, with
 * Atomics. What user space cannot do is take pages from the arena: it uses those that the allocator keeps, and runs the program
 * `<slab>_refill` when there are none.
 */

import { BpfError } from './errors.ts';
import type { ArenaMap, LoadedParts, LoadedProgram } from './kernel.ts';
import type { BpfObject } from './object/object.ts';
import { showAs } from './shown.ts';
import { addressOf, type ViewMemory, type ViewOptions, viewNamed } from './view/index.ts';

/** The layout that arena_slab.h fixes: bytes from the start of each struct. */
const SLAB = { lock: 0, kept: 4, empty: 8, pages: 16, bins: 64 } as const;
const BIN = { lock: 0, objects: 4, first: 8, bytes: 16 } as const;
const PAGE = {
  next: 0,
  prev: 8,
  freed: 16,
  size: 24,
  used: 26,
  fresh: 28,
  bin: 30,
  live: 32,
  bytes: 64,
} as const;
const PAGE_SIZE = 4096;

/** Sizes of objects in bytes; an object's is the smallest that will do. */
const SIZES = [
  16, 32, 48, 64, 96, 112, 144, 192, 224, 288, 336, 448, 576, 672, 1008, 1344, 2016, 4032,
] as const;

/** Attempts to take a lock before its holder is given up: some seconds. Programs hold one for a few instructions. */
const ATTEMPTS = 1 << 28;

/** What an allocator has. */
export interface HeapStatistics {
  /** Objects that live. */
  objects: number;
  /** Pages taken from the arena. */
  pages: number;
  /** Those of them that are empty. */
  kept: number;
}

/** Where an allocator is, and what it needs. */
interface Place {
  readonly object: BpfObject;
  readonly arena: ArenaMap;
  /** Offset of the struct in the arena's memory. */
  readonly at: number;
  /** Bytes of the struct. */
  readonly bytes: number;
  /** The name of its variable. */
  readonly name: string;
  readonly refill: LoadedProgram | undefined;
}

/** A slab allocator in an arena, shared with the programs of its object. */
export class ArenaHeap {
  readonly #place: Place;
  readonly #memory: ViewMemory;
  readonly #options: ViewOptions;
  /** What to add to an offset for the low half of its address, and the upper half of all addresses. */
  readonly #low: number;
  readonly #high: number;
  #words: Int32Array;

  private constructor(place: Place, options: ViewOptions) {
    const { memory, userVmStart } = place.arena;
    if (memory.remote !== undefined)
      throw new BpfError(
        'EOPNOTSUPP',
        `${place.name}: user space has no mapping of this arena to take locks in`,
      );
    this.#place = place;
    this.#memory = memory;
    this.#options = options;
    this.#low = Number(BigInt.asUintN(32, userVmStart)) - place.arena.offsetOf(userVmStart);
    this.#high = Number(userVmStart >> 32n);
    this.#words = wordsOf(memory);
  }

  /**
   * The allocator of a loaded object: its arena global of type `struct arena_slab`.
   *
   * @param name the variable, where there are several; default: the first.
   * @throws BpfError ENOENT when there is none, EOPNOTSUPP where user space cannot map the arena, EINVAL when it is not laid
   * out as include/arena_slab.h has it
   */
  static of(object: BpfObject, loaded: LoadedParts, options: ViewOptions = {}, name?: string): ArenaHeap {
    const { arena, sections, programs } = loaded;
    const { types } = object;
    for (const { memory, base, variables } of sections) {
      if (types === undefined || arena === undefined || memory !== arena.memory) continue;
      for (const variable of variables) {
        if (name !== undefined && variable.name !== name) continue;
        const type = types.type(types.resolve(variable.type));
        const struct = type.kind === 'var' ? types.type(types.resolve(type.type)) : type;
        if (struct.kind !== 'struct' || struct.name !== 'arena_slab') continue;
        const page = types.idOf('arena_slab_page', 'struct');
        if (page === undefined || types.sizeOf(page) !== PAGE.bytes || struct.size % BIN.bytes !== 0)
          throw new BpfError('EINVAL', `${variable.name} is not laid out as include/arena_slab.h has it`);
        const place = { object, arena, at: base + variable.offset, bytes: struct.size, name: variable.name };
        return new ArenaHeap({ ...place, refill: programs[`${variable.name}_refill`] }, options);
      }
    }
    throw new BpfError(
      'ENOENT',
      `${name ?? 'the object'} has no allocator: include arena_slab.h, define struct arena_slab __arena_global heap`,
    );
  }

  /**
   * Allocates and zeroes an object.
   *
   * @param type as C names it: `struct node`, a typedef's name.
   * @param fields values to assign to fields.
   * @returns its view. Assign it to a pointer field, or to a global, and programs find it.
   * @throws BpfError ENOENT without such a type, EINVAL when it has no size, E2BIG above 4032 bytes, ENOMEM when the arena is
   * full or the object has no refill program, ETIMEDOUT when a program keeps a lock
   */
  alloc<T extends object>(type: string, fields?: { [field in keyof T]?: unknown }): T {
    const { types } = this.#place.object;
    if (types === undefined) throw new BpfError('ENOENT', `no type is called ${type}: the object has no BTF`);
    const named = viewNamed(types, type, this.#options);
    if (named.size === 0) throw new BpfError('EINVAL', `${type} has no size`);
    const offset = this.#allocate(named.size);
    const view = named.at(this.#memory, offset) as T;
    try {
      Object.assign(view, fields);
    } catch (error) {
      this.#release(offset);
      throw error;
    }
    return view;
  }

  /**
   * Frees what {@link alloc} or a program allocated here: a view of it, or a pointer to it. Views of it then show memory that is
   * somebody else's.
   *
   * @throws BpfError EINVAL when no object of this allocator begins there, as when it was freed before; ETIMEDOUT when a
   * program keeps a lock
   */
  free(view: object): void {
    const address = addressOf(view);
    if (!this.#release(this.#place.arena.offsetOf(address)))
      throw new BpfError('EINVAL', `0x${address.toString(16)}: no object of ${this.#place.name} lives there`);
  }

  get statistics(): HeapStatistics {
    const { at, bytes } = this.#place;
    this.#memory.touch(at, bytes, false);
    const { view } = this.#memory;
    let objects = 0;
    for (let bin = at + SLAB.bins; bin < at + bytes; bin += BIN.bytes)
      objects += view.getUint32(bin + BIN.objects, true);
    const pages = view.getUint32(at + SLAB.pages, true);
    return { objects, pages, kept: view.getUint32(at + SLAB.kept, true) };
  }

  #allocate(bytes: number): number {
    const index = SIZES.findIndex((size) => size >= bytes);
    if (index < 0) throw new BpfError('E2BIG', `${bytes} bytes: an object has at most ${SIZES.at(-1)}`);
    const bin = this.#place.at + SLAB.bins + index * BIN.bytes;
    const offset = this.#locked(bin, () => this.#take(bin)) ?? this.#takeFrom(bin, index);
    this.#memory.touch(offset, bytes, true);
    const { view } = this.#memory;
    new Uint8Array(view.buffer, view.byteOffset + offset, bytes).fill(0);
    return offset;
  }

  /** An object of a new page. */
  #takeFrom(bin: number, index: number): number {
    const page = this.#takePage();
    const { view } = this.#memory;
    this.#memory.touch(page, PAGE_SIZE, true);
    new Uint8Array(view.buffer, view.byteOffset + page, PAGE.bytes).fill(0);
    view.setUint16(page + PAGE.size, SIZES[index], true);
    view.setUint16(page + PAGE.fresh, PAGE.bytes, true);
    view.setUint16(page + PAGE.bin, index, true);
    return this.#locked(bin, () => {
      this.#link(bin, page);
      // It has room: it is new.
      return this.#take(bin) as number;
    });
  }

  /** An object of a page with room in the bin, which is locked. */
  #take(bin: number): number | undefined {
    const page = this.#pointer(bin + BIN.first);
    if (page === undefined) return undefined;
    const { view } = this.#memory;
    this.#memory.touch(page, PAGE_SIZE, true);
    let object = this.#pointer(page + PAGE.freed);
    if (object === undefined) {
      const fresh = view.getUint16(page + PAGE.fresh, true);
      object = page + fresh;
      view.setUint16(page + PAGE.fresh, fresh + view.getUint16(page + PAGE.size, true), true);
    } else {
      this.#setPointer(page + PAGE.freed, this.#pointer(object));
    }
    const live = liveByte(page, object);
    view.setUint8(live.at, view.getUint8(live.at) | live.bit);
    view.setUint16(page + PAGE.used, view.getUint16(page + PAGE.used, true) + 1, true);
    view.setUint32(bin + BIN.objects, view.getUint32(bin + BIN.objects, true) + 1, true);
    if (this.#isFull(page)) this.#unlink(bin, page);
    return object;
  }

  /** Frees an object. Whether there was one. */
  #release(object: number): boolean {
    const page = object - (object % PAGE_SIZE);
    const { arena } = this.#place;
    // Looking at a free page would make it present.
    const state = arena.pageState((page - arena.offsetOf(arena.userVmStart)) / PAGE_SIZE);
    if (state !== undefined && state !== 'present') return false;
    this.#memory.touch(page, PAGE_SIZE, true);
    const { view } = this.#memory;
    const bin = this.#place.at + SLAB.bins + view.getUint16(page + PAGE.bin, true) * BIN.bytes;
    const { at, bytes } = this.#place;
    if (object % 16 !== 0 || view.getUint16(page + PAGE.size, true) === 0 || bin >= at + bytes) return false;
    const left = this.#locked(bin, () => this.#put(bin, page, object));
    if (left === 0) this.#keepPage(page);
    return left !== undefined;
  }

  /** Puts an object back into its page, whose bin is locked. How many are left in it; undefined when it was not there. */
  #put(bin: number, page: number, object: number): number | undefined {
    const { view } = this.#memory;
    const live = liveByte(page, object);
    const byte = view.getUint8(live.at);
    if ((byte & live.bit) === 0) return undefined;
    const wasFull = this.#isFull(page);
    view.setUint8(live.at, byte & ~live.bit);
    this.#setPointer(object, this.#pointer(page + PAGE.freed));
    this.#setPointer(page + PAGE.freed, object);
    view.setUint32(bin + BIN.objects, view.getUint32(bin + BIN.objects, true) - 1, true);
    const left = view.getUint16(page + PAGE.used, true) - 1;
    view.setUint16(page + PAGE.used, left, true);
    if (left === 0 && !wasFull) this.#unlink(bin, page);
    if (left !== 0 && wasFull) this.#link(bin, page);
    return left;
  }

  #isFull(page: number): boolean {
    const { view } = this.#memory;
    const end = view.getUint16(page + PAGE.fresh, true) + view.getUint16(page + PAGE.size, true);
    return end > PAGE_SIZE && this.#pointer(page + PAGE.freed) === undefined;
  }

  #link(bin: number, page: number): void {
    const first = this.#pointer(bin + BIN.first);
    this.#setPointer(page + PAGE.next, first);
    this.#setPointer(page + PAGE.prev, undefined);
    if (first !== undefined) this.#setPointer(first + PAGE.prev, page);
    this.#setPointer(bin + BIN.first, page);
  }

  #unlink(bin: number, page: number): void {
    const next = this.#pointer(page + PAGE.next);
    const prev = this.#pointer(page + PAGE.prev);
    if (next !== undefined) this.#setPointer(next + PAGE.prev, prev);
    this.#setPointer(prev === undefined ? bin + BIN.first : prev + PAGE.next, next);
  }

  /** One of the pages that are kept, after a run of the refill program when there is none. */
  #takePage(): number {
    const { refill, name } = this.#place;
    const page = this.#unkeepPage();
    if (page !== undefined) return page;
    if (refill === undefined)
      throw new BpfError(
        'ENOMEM',
        `${name} has no page left: ARENA_SLAB_REFILL(&arena, ${name}) lets user space get some`,
      );
    const { retval } = refill.run();
    const fresh = this.#unkeepPage();
    if (fresh === undefined)
      throw new BpfError('ENOMEM', `${name} has no page left, and ${refill.name} returned ${retval | 0}`);
    return fresh;
  }

  #unkeepPage(): number | undefined {
    const { at } = this.#place;
    return this.#locked(at, () => {
      const page = this.#pointer(at + SLAB.empty);
      if (page === undefined) return undefined;
      const { view } = this.#memory;
      this.#setPointer(at + SLAB.empty, this.#pointer(page + PAGE.next));
      view.setUint32(at + SLAB.kept, view.getUint32(at + SLAB.kept, true) - 1, true);
      return page;
    });
  }

  /** Keeps a page that is empty, however many there are: the programs' next free gives back what is too much. */
  #keepPage(page: number): void {
    const { at } = this.#place;
    const { view } = this.#memory;
    view.setUint16(page + PAGE.size, 0, true);
    this.#locked(at, () => {
      this.#setPointer(page + PAGE.next, this.#pointer(at + SLAB.empty));
      this.#setPointer(at + SLAB.empty, page);
      view.setUint32(at + SLAB.kept, view.getUint32(at + SLAB.kept, true) + 1, true);
    });
  }

  /** Where the pointer leads that is stored at an offset; undefined for NULL. */
  #pointer(at: number): number | undefined {
    this.#memory.touch(at, 8, false);
    const { view } = this.#memory;
    const low = view.getInt32(at, true);
    const high = view.getInt32(at + 4, true);
    if ((low | high) === 0) return undefined;
    if (this.#memory.pointerTarget(low, high) !== this.#memory)
      throw new BpfError('EFAULT', `${this.#place.name}: a pointer of the allocator leads out of the arena`);
    return this.#memory.pointerOffset(low, high);
  }

  #setPointer(at: number, target: number | undefined): void {
    this.#memory.touch(at, 8, true);
    const { view } = this.#memory;
    view.setUint32(at, target === undefined ? 0 : target + this.#low, true);
    view.setUint32(at + 4, target === undefined ? 0 : this.#high, true);
  }

  /** Does something while it has the lock at an offset: a word that is 0 when nobody has it. */
  #locked<Result>(lock: number, action: () => Result): Result {
    this.#memory.touch(lock, BIN.bytes, true);
    if (this.#words.buffer !== this.#memory.view.buffer) this.#words = wordsOf(this.#memory);
    const word = lock / 4;
    for (let attempt = 0; Atomics.compareExchange(this.#words, word, 0, 1) !== 0; attempt++) {
      if (attempt < ATTEMPTS) continue;
      throw new BpfError('ETIMEDOUT', `${this.#place.name}: a program keeps a lock of the allocator`);
    }
    try {
      return action();
    } finally {
      Atomics.store(this.#words, word, 0);
    }
  }
}

/** A memory as words, for Atomics. */
function wordsOf({ view }: ViewMemory): Int32Array {
  return new Int32Array(view.buffer, view.byteOffset, Math.floor(view.byteLength / 4));
}

/** Where a page notes whether an object lives: a bit for each 16 bytes. */
function liveByte(page: number, object: number): { at: number; bit: number } {
  const unit = (object - page) / 16;
  return { at: page + PAGE.live + (unit >> 3), bit: 1 << (unit & 7) };
}

showAs(ArenaHeap, ({ statistics }) => ({ ...statistics }));
