import { BpfError } from '../errors.ts';
import type { ArenaStatistics, PageState } from '../kernel.ts';
import { BPF_F_MMAPABLE, BPF_F_NO_USER_CONV, BPF_F_SEGV_ON_FAULT } from '../object/map-flags.ts';
import { ArenaPages } from './arena-pages.ts';
import type { KernelMemory } from './kernel-memory.ts';
import {
  type ArenaAddress,
  type KernelOffset,
  MAX_PAGES,
  MEMORY_BYTES,
  PAGE_SIZE,
  pagesOf,
} from './layout.ts';
import { giveMemory, takeMemory, zero } from './memory-pool.ts';

/**
 * A map of type BPF_MAP_TYPE_ARENA: its limits, where user space sees it, and what programs and user space do to its
 * pages. The rules are Linux's (kernel/bpf/arena.c), probed on 6.18; which page is in which state is the business of
 * {@link ArenaPages}.
 */

/** What BPF_MAP_CREATE takes for an arena. */
export interface ArenaAttributes {
  /** The map's, for messages. */
  name?: string;
  /** Bytes; must be 0. */
  keySize: number;
  /** Bytes; must be 0. */
  valueSize: number;
  /** Pages, 1 to 2^20. */
  maxEntries: number;
  /** BPF_F_MMAPABLE, and of BPF_F_SEGV_ON_FAULT and BPF_F_NO_USER_CONV what is wanted. */
  flags: number;
  /** The wanted user_vm_start, page-aligned, or 0. */
  mapExtra: bigint;
}

/** What mmap(2) of an arena takes. */
export interface ArenaMapping {
  /** Bytes, rounded up to whole pages. */
  length: number;
  /** Wanted address; 0 or absent lets the kernel choose. */
  address?: bigint;
  /** MAP_FIXED: exactly there, replacing what is there. */
  fixed?: boolean;
  /** MAP_PRIVATE, which an arena refuses. */
  private?: boolean;
  /** Bytes; must be 0. */
  offset?: number;
}

/** Upper halves of the addresses given to arenas without map_extra: one each, so that no two look alike. */
let nextUpperHalf = 0x7f00;
/** Where such an arena starts in its 4 GiB, when it leaves room: the page at 0 would look like NULL to programs. */
const FIRST_LOW_HALF = 0x10000;

/** An arena that is placed, as one CPU tells another of it. */
export interface SharedArena {
  readonly attributes: Readonly<ArenaAttributes>;
  readonly memory: WebAssembly.Memory;
  readonly userVmStart: bigint;
  /** Pages that user space has mapped. */
  readonly mapped: number;
  /** Where the page table lies in kernel memory. */
  readonly pageTable: KernelOffset;
}

export class Arena {
  readonly attributes: Readonly<ArenaAttributes>;
  /** Memory 0 of the programs that use this arena. */
  readonly memory: WebAssembly.Memory;
  readonly #kernel: KernelMemory;
  readonly #bytes: Uint8Array;
  /** Undefined until map_extra or the first mmap fixes where the arena lies. */
  #pages: ArenaPages | undefined;
  #userVmStart: bigint | undefined;
  #mapped = false;
  #exposed = false;
  #closed = false;
  #released = false;

  /**
   * Throws what BPF_MAP_CREATE fails with: EINVAL, E2BIG, ERANGE.
   * @param made by another CPU, which owns and closes it; absent: a new arena.
   */
  constructor(kernel: KernelMemory, attributes: ArenaAttributes, made?: SharedArena) {
    checkArenaAttributes(attributes);
    this.attributes = { ...attributes };
    this.#kernel = kernel;
    this.memory = made?.memory ?? takeMemory();
    this.#bytes = new Uint8Array(this.memory.buffer);
    if (made !== undefined) {
      this.#place(made.userVmStart, made.mapped, made.pageTable);
      return;
    }
    if (attributes.mapExtra === 0n) return;
    try {
      this.#place(attributes.mapExtra, attributes.maxEntries);
    } catch (error) {
      giveMemory(this.memory);
      throw error;
    }
  }

  /** The user address of the arena's first byte. Throws EINVAL before map_extra or mmap fixed it. */
  get userVmStart(): bigint {
    if (this.#userVmStart === undefined) {
      throw new BpfError('EINVAL', "arena's user address must be set via map_extra or mmap()");
    }
    return this.#userVmStart;
  }

  /** The upper half of {@link userVmStart}, unsigned. Throws EINVAL as that. */
  get userHigh(): number {
    return Number(this.userVmStart >> 32n);
  }

  /** What another CPU needs to use it. Throws EINVAL as {@link userVmStart}. */
  get shared(): SharedArena {
    const { attributes, memory, userVmStart, pages } = this;
    return { attributes, memory, userVmStart, mapped: pages.mapped, pageTable: pages.tableOffset };
  }

  /** Whether {@link userVmStart} is known. */
  get placed(): boolean {
    return this.#userVmStart !== undefined;
  }

  get noUserConv(): boolean {
    return (this.attributes.flags & BPF_F_NO_USER_CONV) !== 0;
  }

  /** Page states and the page table that programs look stores up in. Throws EINVAL as {@link userVmStart}. */
  get pages(): ArenaPages {
    if (this.#pages === undefined) void this.userVmStart;
    return this.#pages as ArenaPages;
  }

  /**
   * Maps the arena into user space, as mmap(2) of its file descriptor does. The first mapping fixes where the arena
   * lies and how large user space sees it; a later one must repeat both.
   * @returns the user address. Throws EINVAL, E2BIG, EBUSY.
   */
  mmap({
    length,
    address = 0n,
    fixed = false,
    private: isPrivate = false,
    offset = 0,
  }: ArenaMapping): bigint {
    const pages = pagesOf(length);
    if (isPrivate) throw new BpfError('EINVAL', 'an arena is mapped MAP_SHARED');
    if (offset !== 0) throw new BpfError('EINVAL', 'an arena is mapped from offset 0');
    if (pages === 0) throw new BpfError('EINVAL', 'a mapping has at least one byte');
    if (pages > MAX_PAGES) throw new BpfError('E2BIG', 'an arena is mapped at 4 GiB at most');
    const intoPage = address % BigInt(PAGE_SIZE);
    if (fixed && intoPage !== 0n) throw new BpfError('EINVAL', 'MAP_FIXED wants a multiple of the page size');
    const wanted = address - intoPage;
    if (this.#userVmStart === undefined) {
      this.#place(wanted !== 0n ? uncrossed(wanted, pages) : chooseUserVmStart(pages), pages);
    } else {
      const size = this.pages.mapped;
      if (pages > size) throw new BpfError('E2BIG', `the arena is mapped with ${size} pages, not ${pages}`);
      if (pages < size) throw new BpfError('EINVAL', `the arena is mapped with ${size} pages, not ${pages}`);
      if (wanted !== this.#userVmStart) {
        throw new BpfError('EINVAL', `the arena's user address is 0x${this.#userVmStart.toString(16)}`);
      }
      if (this.#mapped && !fixed) {
        throw new BpfError('EBUSY', "something is mapped at the arena's user address; MAP_FIXED replaces it");
      }
    }
    this.#mapped = true;
    return this.userVmStart;
  }

  /**
   * bpf_arena_alloc_pages: makes free pages present and zero.
   * @param address arena address of the first page, or undefined for the best place.
   * @param count pages. @returns the arena address, or −1 where the kfunc gives NULL.
   */
  allocate(address: ArenaAddress | undefined, count: number): ArenaAddress | -1 {
    return this.pages.allocate(address, count);
  }

  /** bpf_arena_free_pages: from the page that holds `address`, `count` pages become free and read zero. */
  free(address: ArenaAddress, count: number): void {
    this.pages.free(address, count);
  }

  /** bpf_arena_reserve_pages. @returns 0, or a negative errno: −EINVAL outside the arena, −EBUSY when one is taken. */
  reserve(address: ArenaAddress, count: number): number {
    return this.pages.reserve(address, count);
  }

  /** The user address for an arena address. */
  userAddress(address: ArenaAddress): bigint {
    return ((this.userVmStart >> 32n) << 32n) | BigInt(address);
  }

  /**
   * The arena address for a user address, checked for user space: throws EFAULT when it lies outside the mapping. In
   * a NO_USER_CONV arena programs store pointers without an upper half; those are taken, too.
   */
  arenaAddress(user: bigint): ArenaAddress {
    const start = this.userVmStart;
    const full = this.noUserConv && user >> 32n === 0n ? user | ((start >> 32n) << 32n) : user;
    const end = start + BigInt(this.pages.mapped) * BigInt(PAGE_SIZE);
    if (full >= start && full < end) return Number(full & 0xffffffffn) as ArenaAddress;
    const hint = user >> 32n === 0n ? ' (it has no upper half: was it stored without cast_user?)' : '';
    const range = `0x${start.toString(16)} to 0x${(end - 1n).toString(16)}`;
    throw new BpfError('EFAULT', `0x${user.toString(16)} is outside the arena, ${range}${hint}`);
  }

  /**
   * User space touches `length` bytes at an arena address: pages that are not present are faulted in, zeroed. Throws
   * EFAULT where Linux sends SIGSEGV: outside the mapping, or absent under BPF_F_SEGV_ON_FAULT.
   */
  touch(address: ArenaAddress, length: number, writes: boolean): void {
    this.#checkOpen();
    const segv = (this.attributes.flags & BPF_F_SEGV_ON_FAULT) !== 0;
    this.pages.touch(address, length, writes, segv);
  }

  /**
   * All bytes of the mapping, for code that needs speed over safety: a touch does not fault pages in, so a write to a
   * page that is not present is lost to programs; and the array outlives {@link close}, though not its contents.
   */
  get bytes(): Uint8Array {
    this.#checkOpen();
    this.#exposed = true;
    this.pages.assumeWritten();
    const start = Number(this.userVmStart & 0xffffffffn);
    return this.#bytes.subarray(start, start + this.pages.mapped * PAGE_SIZE);
  }

  /** Memory 0 as bytes, indexed by arena address; for rooms of this kernel, which keep the page states right. */
  get window(): Uint8Array {
    return this.#bytes;
  }

  get statistics(): ArenaStatistics {
    this.#checkOpen();
    return { pages: this.attributes.maxEntries, ...this.pages.statistics };
  }

  /** The state of page `index`, counted from the arena's start. Throws EINVAL where neither arena nor mapping has it. */
  pageState(index: number): PageState {
    this.#checkOpen();
    const pages = Math.max(this.attributes.maxEntries, this.pages.mapped);
    if (!Number.isInteger(index) || index < 0 || index >= pages)
      throw new BpfError('EINVAL', `the arena has pages 0 to ${pages - 1}, not ${index}`);
    return this.pages.state(index);
  }

  /** Closes it for user space: views throw. Programs that still run may use it until {@link close}. */
  retire(): void {
    this.#closed = true;
  }

  /** Gives the memory back. No program may still use it. */
  close(): void {
    this.#closed = true;
    if (this.#released) return;
    this.#zeroWritten();
    this.#pages?.close();
    this.#release();
  }

  /**
   * Gives only the memory back, where a CPU was stopped in the middle of something and kernel memory is abandoned.
   * @param stopped whether that CPU is known to have ended; else the memory is left to the garbage collector.
   */
  abandon(stopped: boolean): void {
    this.#closed = true;
    if (this.#released) return;
    if (stopped) this.#zeroWritten();
    this.#release(stopped);
  }

  #zeroWritten(): void {
    for (const { start, length } of this.#pages?.written() ?? []) zero(this.#bytes, start, length);
  }

  /** Someone may still hold `bytes`: such memory goes to the garbage collector, not to the next arena. */
  #release(reusable = true): void {
    this.#released = true;
    if (reusable && !this.#exposed) giveMemory(this.memory);
  }

  #checkOpen(): void {
    if (this.#closed) throw new BpfError('EBADF', 'the arena is closed');
  }

  #place(userVmStart: bigint, mapped: number, pageTable?: KernelOffset): void {
    const start = Number(userVmStart & 0xffffffffn) as ArenaAddress;
    const { maxEntries } = this.attributes;
    this.#pages = new ArenaPages(this.#kernel, this.#bytes, start, maxEntries, mapped, pageTable);
    this.#userVmStart = userVmStart;
  }
}

/** Throws EINVAL, E2BIG, ERANGE for what no arena can be made of. */
export function checkArenaAttributes({
  name,
  keySize,
  valueSize,
  maxEntries,
  flags,
  mapExtra,
}: ArenaAttributes): void {
  const arena = name === undefined ? 'arena' : `arena '${name}'`;
  const refuse = (problem: string) => new BpfError('EINVAL', `${arena}: ${problem}`);
  if (keySize !== 0) throw refuse(`key_size must be 0, not ${keySize}`);
  if (valueSize !== 0) throw refuse(`value_size must be 0, not ${valueSize}`);
  if (maxEntries === 0) throw refuse('max_entries, the number of pages, must not be 0');
  if ((flags & BPF_F_MMAPABLE) === 0) throw refuse('map_flags must hold BPF_F_MMAPABLE (0x400)');
  const unknown = flags & ~(BPF_F_MMAPABLE | BPF_F_SEGV_ON_FAULT | BPF_F_NO_USER_CONV);
  if (unknown !== 0) throw refuse(`map_flags 0x${(unknown >>> 0).toString(16)} are not for arenas`);
  if ((mapExtra & BigInt(PAGE_SIZE - 1)) !== 0n)
    throw refuse('map_extra must be a multiple of the page size');
  if (maxEntries > MAX_PAGES) {
    throw new BpfError('E2BIG', `${arena}: ${maxEntries} pages are more than 4 GiB (${MAX_PAGES} pages)`);
  }
  const last = mapExtra + BigInt(maxEntries) * BigInt(PAGE_SIZE) - 1n;
  if (mapExtra >> 32n !== last >> 32n) {
    throw new BpfError(
      'ERANGE',
      `${arena}: the region at map_extra 0x${mapExtra.toString(16)} crosses a 4 GiB boundary`,
    );
  }
}

/** Where a mapping goes that would cross a 4 GiB boundary: to the boundary, also with MAP_FIXED. */
function uncrossed(address: bigint, pages: number): bigint {
  const last = address + BigInt(pages) * BigInt(PAGE_SIZE) - 1n;
  return address >> 32n === last >> 32n ? address : ((address >> 32n) + 1n) << 32n;
}

function chooseUserVmStart(pages: number): bigint {
  const upper = BigInt(nextUpperHalf) << 32n;
  nextUpperHalf = nextUpperHalf === 0x7fff ? 0x7f00 : nextUpperHalf + 1;
  return pages * PAGE_SIZE + FIRST_LOW_HALF <= MEMORY_BYTES ? upper | BigInt(FIRST_LOW_HALF) : upper;
}
