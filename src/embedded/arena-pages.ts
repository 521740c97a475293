import { BpfError, ERRNO } from '../errors.ts';
import type { PageState } from '../kernel.ts';
import type { KernelMemory } from './kernel-memory.ts';
import {
  type ArenaAddress,
  type KernelOffset,
  MAX_PAGES,
  MEMORY_BYTES,
  PAGE_SHIFT,
  PAGE_SIZE,
} from './layout.ts';
import { zeroPage } from './memory-pool.ts';
import { RangeTree } from './range-tree.ts';
import { locked } from './spin-lock.ts';

/**
 * The pages of one arena: which are free, reserved or present, and which hold bytes that are not zero. Programs, user
 * space and other CPUs change them under one lock; all state is in kernel memory. Programs mark pages as written without the
 * lock, before they store, so bits of the page table are changed atomically, one by one.
 *
 * The page table has one byte for each page of the 4 GiB window, indexed by arena address >> 12, so that a program can
 * look a store up in one load. A page that was never written is known as such and is neither zeroed nor committed.
 */

/** The page holds memory that programs can store to. */
export const PRESENT = 1;
/** The page may hold bytes that are not zero. A page that is both is the one byte value a fast store looks for. */
export const WRITTEN = 2;
/** The page is kept from allocation by bpf_arena_reserve_pages and holds no memory. */
export const RESERVED = 4;

const LOCK = 0;
const PRESENT_COUNT = 1;
const PEAK = 2;
const RESERVED_COUNT = 3;
const EXPOSED = 4;
const HEADER_WORDS = 16;

/** Of a page. As doubles it is zeroed several times faster than as bytes: engines fill shared bytes one by one. */
const DOUBLES = PAGE_SIZE / 8;

export class ArenaPages {
  /** The page table: PRESENT, WRITTEN and RESERVED for each page of the window. */
  readonly table: Uint8Array;
  /** Where the page table lies in kernel memory. */
  readonly tableOffset: KernelOffset;
  /** Arena address of the first page; pages of this class count from it. */
  readonly start: ArenaAddress;
  /** Pages that allocation may use: the arena's max_entries. */
  readonly pages: number;
  /** Pages that user space has mapped, which may be fewer or more. */
  readonly mapped: number;
  readonly #kernel: KernelMemory;
  readonly #bytes: Uint8Array;
  readonly #doubles: Float64Array;
  readonly #header: Int32Array;
  readonly #free: RangeTree;
  readonly #firstEntry: number;

  /** @param at where the page table lies that another CPU has made; absent: a new arena. */
  constructor(
    kernel: KernelMemory,
    bytes: Uint8Array,
    start: ArenaAddress,
    pages: number,
    mapped: number,
    at?: KernelOffset,
  ) {
    this.#kernel = kernel;
    this.#bytes = bytes;
    this.#doubles = new Float64Array(bytes.buffer);
    this.start = start;
    this.pages = pages;
    this.mapped = mapped;
    this.#firstEntry = start >>> PAGE_SHIFT;
    const governed = Math.min(Math.max(pages, mapped), MAX_PAGES - this.#firstEntry);
    const words = RangeTree.words(governed);
    // One allocation: it succeeds or fails as a whole.
    this.tableOffset = at ?? kernel.allocate(MAX_PAGES + (HEADER_WORDS + words) * 4);
    this.table = kernel.bytes.subarray(this.tableOffset, this.tableOffset + MAX_PAGES);
    const state = kernel.words((this.tableOffset + MAX_PAGES) as KernelOffset, HEADER_WORDS + words);
    this.#header = state.subarray(0, HEADER_WORDS);
    this.#free = new RangeTree(state.subarray(HEADER_WORDS), governed);
    if (at === undefined) this.#free.set(0, pages);
  }

  close(): void {
    this.#kernel.free(this.tableOffset);
  }

  /** See `Arena.allocate`. Never throws: −1 when it cannot. */
  allocate(address: ArenaAddress | undefined, count: number): ArenaAddress | -1 {
    if (count <= 0 || count > this.mapped) return -1;
    if (address !== undefined && address % PAGE_SIZE !== 0) return -1;
    return locked(this.#header, LOCK, () => {
      const page = address === undefined ? this.#free.find(count) : this.#index(address);
      const outside = page < 0 || (address !== undefined && page > this.mapped - count);
      if (outside || !this.#free.isFree(page, count)) return -1;
      this.#free.clear(page, count);
      for (let entry = this.#firstEntry + page, end = entry + count; entry < end; entry++)
        this.#publish(entry);
      return (this.start + page * PAGE_SIZE) as ArenaAddress;
    });
  }

  /** See `Arena.free`. */
  free(address: ArenaAddress, count: number): void {
    const base = address - (address % PAGE_SIZE);
    const end = Math.min(this.start + this.mapped * PAGE_SIZE, base + count * PAGE_SIZE);
    if (base < this.start || base >= end) return;
    const page = (base - this.start) / PAGE_SIZE;
    const clipped = (end - base) / PAGE_SIZE;
    locked(this.#header, LOCK, () => {
      this.#free.set(page, clipped);
      for (let entry = this.#firstEntry + page, last = entry + clipped; entry < last; entry++)
        this.#withdraw(entry);
    });
  }

  /** See `Arena.reserve`. */
  reserve(address: ArenaAddress, count: number): number {
    // Linux takes an address inside a page for one where there is nothing to do.
    if (count === 0 || address % PAGE_SIZE !== 0) return 0;
    const page = this.#index(address);
    if (page < 0 || page + count > this.mapped) return -ERRNO.EINVAL;
    return locked(this.#header, LOCK, () => {
      if (!this.#free.isFree(page, count)) return -ERRNO.EBUSY;
      this.#free.clear(page, count);
      for (let entry = this.#firstEntry + page, end = entry + count; entry < end; entry++)
        Atomics.or(this.table, entry, RESERVED);
      this.#header[RESERVED_COUNT] += count;
      return 0;
    });
  }

  /** See `Arena.touch`. */
  touch(address: ArenaAddress, length: number, writes: boolean, segvOnFault: boolean): void {
    // Beyond the window the shifts below would wrap around.
    if (!(address + length <= MEMORY_BYTES))
      throw new BpfError('EFAULT', beyondMapping(address + length - 1));
    const last = (address + length - 1) >>> PAGE_SHIFT;
    const wanted = writes ? PRESENT | WRITTEN : PRESENT;
    for (let entry = address >>> PAGE_SHIFT; entry <= last; entry++) {
      if ((this.table[entry] & wanted) === wanted) continue;
      if ((this.table[entry] & PRESENT) === 0) this.#faultIn(entry, segvOnFault);
      if (writes) Atomics.or(this.table, entry, WRITTEN);
    }
  }

  /** Whether the page that holds this arena address is present. */
  isPresent(address: ArenaAddress): boolean {
    return (this.table[address >>> PAGE_SHIFT] & PRESENT) !== 0;
  }

  /** The state of a page, counted from the arena's start. */
  state(page: number): PageState {
    const entry = this.table[this.#firstEntry + page];
    return (entry & PRESENT) !== 0 ? 'present' : (entry & RESERVED) !== 0 ? 'reserved' : 'free';
  }

  /** Where in kernel memory the word lies that is not 0 after {@link assumeWritten}. */
  get exposedOffset(): KernelOffset {
    return (this.tableOffset + MAX_PAGES + EXPOSED * 4) as KernelOffset;
  }

  get statistics(): { present: number; reserved: number; peak: number } {
    const header = this.#header;
    return { present: header[PRESENT_COUNT], reserved: header[RESERVED_COUNT], peak: header[PEAK] };
  }

  /** From now on every page counts as written: user space has the raw bytes and may write without our noticing. */
  assumeWritten(): void {
    this.#header[EXPOSED] = 1;
  }

  /** Byte ranges of the window that may not be zero. */
  *written(): Generator<{ start: number; length: number }> {
    const governed = this.#free.pages;
    if (this.#header[EXPOSED] !== 0) {
      yield { start: this.start, length: governed * PAGE_SIZE };
      return;
    }
    const end = this.#firstEntry + governed;
    for (let entry = this.#firstEntry; entry < end; entry++) {
      if ((this.table[entry] & WRITTEN) === 0) continue;
      const first = entry;
      while (entry < end && (this.table[entry] & WRITTEN) !== 0) entry++;
      yield { start: first * PAGE_SIZE, length: (entry - first) * PAGE_SIZE };
    }
  }

  /** Page number of a page-aligned arena address; negative or too large when outside. */
  #index(address: ArenaAddress): number {
    return (address - this.start) / PAGE_SIZE;
  }

  #faultIn(entry: number, segvOnFault: boolean): void {
    const page = entry - this.#firstEntry;
    if (page < 0 || page >= this.mapped) throw new BpfError('EFAULT', beyondMapping(entry * PAGE_SIZE));
    if (segvOnFault) {
      const at = `arena address 0x${(entry * PAGE_SIZE).toString(16)}`;
      throw new BpfError('EFAULT', `the page at ${at} is not present, and the arena has BPF_F_SEGV_ON_FAULT`);
    }
    locked(this.#header, LOCK, () => {
      if ((this.table[entry] & PRESENT) !== 0) return;
      if (this.#free.isFree(page, 1)) this.#free.clear(page, 1);
      this.#publish(entry);
    });
  }

  /**
   * Makes a page present. It is zeroed once more: a store that raced with its free may have landed since. One that was ever
   * written stays so, for such a store may still be on its way.
   */
  #publish(entry: number): void {
    const was = this.table[entry];
    this.#zero(entry, was);
    if ((was & RESERVED) !== 0) {
      this.#header[RESERVED_COUNT]--;
      Atomics.and(this.table, entry, ~RESERVED);
    }
    Atomics.or(this.table, entry, PRESENT);
    const present = ++this.#header[PRESENT_COUNT];
    if (present > this.#header[PEAK]) this.#header[PEAK] = present;
  }

  /** Makes a page absent; it reads zero from here on. WRITTEN stays, so that {@link #publish} zeroes it again. */
  #withdraw(entry: number): void {
    const was = Atomics.and(this.table, entry, WRITTEN);
    if ((was & RESERVED) !== 0) this.#header[RESERVED_COUNT]--;
    if ((was & PRESENT) === 0) return;
    this.#header[PRESENT_COUNT]--;
    this.#zero(entry, was);
  }

  /** Makes a page read zero. One that is known to be written is filled: that takes a fifth of looking first. */
  #zero(entry: number, state: number): void {
    if ((state & WRITTEN) !== 0) this.#doubles.fill(0, entry * DOUBLES, (entry + 1) * DOUBLES);
    else if (this.#header[EXPOSED] !== 0) zeroPage(this.#bytes, entry * PAGE_SIZE);
  }
}

function beyondMapping(address: number): string {
  return `arena address 0x${address.toString(16)} is outside the arena's mapping`;
}
