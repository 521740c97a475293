import { BpfError } from '../errors.ts';
import { Grace } from './grace.ts';
import { IndexSet } from './index-set.ts';
import {
  type KernelOffset,
  MAX_CPUS,
  MAX_PAGES,
  MEMORY_BYTES,
  PAGE_SHIFT,
  PAGE_SIZE,
  pagesOf,
} from './layout.ts';
import { discard, takeMemory, zero } from './memory-pool.ts';
import { Heap } from './objects/heap.ts';
import { RangeTree } from './range-tree.ts';
import { locked } from './spin-lock.ts';

/**
 * Memory 1: everything a program can address that is not arena, and the kernel's own bookkeeping that several CPUs
 * share. It is handed out in whole pages by the same {@link RangeTree} as an arena's. What is free and what is handed out stands
 * in its first words, behind a lock: any CPU can allocate. All pages are free and zero again when the last owner has freed its
 * own, so a kernel memory that was closed is reused as it is.
 */

declare global {
  /** For users whose `lib` has no DOM: there, nobody else declares what the types of this package name. */
  namespace WebAssembly {
    interface Memory {}
    interface Module {}
    interface Table {}
  }
}

/** The first 64 KiB are never handed out: an offset near 0 is always a mistake. */
const GUARD_PAGES = 16;
const STATE_OFFSET = (GUARD_PAGES * PAGE_SIZE) as KernelOffset;

/**
 * Words of the state: the lock, the tree of free pages, the set of allocations by their first page, their pages, the heap, and what
 * each CPU runs.
 */
const LOCK = 0;
const TREE = 1;
const OWNED = TREE + RangeTree.words(MAX_PAGES);
const LENGTH = OWNED + IndexSet.words(MAX_PAGES);
const HEAP = LENGTH + MAX_PAGES;
const GRACE = HEAP + Heap.BYTES / 4;
const WORDS = GRACE + Grace.words(MAX_CPUS);
const FIRST_PAGE = GUARD_PAGES + pagesOf(WORDS * 4);

const idle: KernelMemory[] = [];

export class KernelMemory {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Its 32-bit words, for atomics. */
  readonly int32: Int32Array;
  /** Pieces smaller than a page. */
  readonly heap: Heap;
  /** Says when what programs may still see can be handed out anew. */
  readonly grace: Grace;
  readonly #state: Int32Array;
  readonly #tree: RangeTree;
  /** First pages of what is handed out, and how many pages that is. */
  readonly #owned: IndexSet;
  readonly #length: Int32Array;
  /** Memory that views may still reach after it was given back: {@link lend}. */
  readonly #lent = new Set<KernelOffset>();
  readonly #collected = new FinalizationRegistry<KernelOffset>((offset) => {
    if (this.#lent.delete(offset)) this.free(offset);
  });

  /** Views of what is handed out to others than user space: how many, and whether it was given back meanwhile: {@link share}. */
  readonly #shares = new Map<KernelOffset, { views: number; freed: boolean }>();
  readonly #unshared = new FinalizationRegistry<KernelOffset>((offset) => {
    const share = this.#shares.get(offset);
    if (share === undefined || --share.views > 0) return;
    this.#shares.delete(offset);
    if (share.freed) this.free(offset);
  });

  private constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.int32 = new Int32Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.#state = this.words(STATE_OFFSET, WORDS);
    this.#tree = new RangeTree(this.#state.subarray(TREE, OWNED), MAX_PAGES);
    this.#owned = new IndexSet(this.#state.subarray(OWNED, LENGTH), MAX_PAGES);
    this.#length = this.#state.subarray(LENGTH, HEAP);
    this.grace = new Grace(this.#state.subarray(GRACE, WORDS));
    this.heap = new Heap(this, (STATE_OFFSET + 4 * HEAP) as KernelOffset);
  }

  /** A kernel memory with nothing handed out. */
  static open(): KernelMemory {
    return idle.pop() ?? new KernelMemory(takeMemory()).#begin();
  }

  /** The kernel memory that another thread opened. */
  static attach(memory: WebAssembly.Memory): KernelMemory {
    return new KernelMemory(memory);
  }

  #begin(): this {
    // The last page stays out of reach, so that the end of an allocation never overflows 32 bits.
    this.#tree.set(FIRST_PAGE, MAX_PAGES - 1 - FIRST_PAGE);
    return this;
  }

  /**
   * Frees what is still handed out; the object must not be used afterwards. It is used again unless user space may still hold
   * a view of it: then it is left to the garbage collector. No other thread may still use it.
   */
  close(): void {
    const reachable = this.#lent.size + this.#shares.size > 0;
    this.#lent.clear();
    this.#shares.clear();
    for (const offset of this.#allocations()) this.free(offset);
    this.heap.clear();
    this.grace.clear();
    if (!reachable) idle.push(this);
  }

  /**
   * Likewise, where a thread that used it was stopped in the middle of something, so that nothing in it can be relied on.
   * @param stopped whether that thread is known to have ended; else the memory is left to the garbage collector.
   */
  abandon(stopped: boolean): void {
    const reachable = this.#lent.size + this.#shares.size > 0;
    this.#lent.clear();
    this.#shares.clear();
    this.grace.clear();
    if (reachable || !stopped || !discard(this.bytes, 0, MEMORY_BYTES)) return;
    idle.push(this.#begin());
  }

  /**
   * Hands out zeroed memory.
   * @param bytes rounded up to whole pages.
   * @returns its offset, page-aligned. Throws ENOMEM when 4 GiB are used up.
   */
  allocate(bytes: number): KernelOffset {
    const pages = Math.max(1, pagesOf(bytes));
    const page = pages > MAX_PAGES ? -1 : this.#take(pages);
    if (page >= 0) return (page * PAGE_SIZE) as KernelOffset;
    throw new BpfError(
      'ENOMEM',
      `${bytes} bytes of kernel memory are not free; the embedded kernel has 4 GiB`,
    );
  }

  #take(pages: number): number {
    return locked(this.#state, LOCK, () => {
      const page = this.#tree.find(pages);
      if (page < 0) return page;
      this.#tree.clear(page, pages);
      this.#owned.add(page);
      this.#length[page] = pages;
      return page;
    });
  }

  /** Takes back what {@link allocate} handed out, and zeroes it; later, where user space has a view of it. */
  free(offset: KernelOffset): void {
    const share = this.#shares.get(offset);
    if (share !== undefined) {
      share.freed = true;
      return;
    }
    const page = offset >>> PAGE_SHIFT;
    const pages = locked(this.#state, LOCK, () => {
      if (offset % PAGE_SIZE !== 0 || !this.#owned.has(page)) return 0;
      this.#owned.delete(page);
      return this.#length[page];
    });
    if (pages === 0) throw new BpfError('EFAULT', `kernel memory at ${offset} is not handed out`);
    // Nobody's meanwhile: others need not wait for it.
    zero(this.bytes, offset, pages * PAGE_SIZE);
    locked(this.#state, LOCK, () => this.#tree.set(page, pages));
  }

  /**
   * Hands out zeroed memory to user space, as a view that nobody can take back: {@link takeBack} says that its time is over, and
   * the memory is free again when no view of it is left. To know when that is, the view gets a buffer object of its own, to
   * which every other view that is made of it leads.
   * @param bytes rounded up to whole pages. @returns its offset, and a view of `bytes` bytes. Throws ENOMEM.
   */
  lend(bytes: number): { offset: KernelOffset; view: Uint8Array<SharedArrayBuffer> } {
    const offset = this.allocate(bytes);
    this.#lent.add(offset);
    return { offset, view: new Uint8Array(bufferOfItsOwn(this.memory), offset, bytes) };
  }

  /** Frees what {@link lend} handed out, when no view leads there any more. */
  takeBack(offset: KernelOffset, { buffer }: Uint8Array<SharedArrayBuffer>): void {
    if (this.#lent.has(offset)) this.#collected.register(buffer, offset);
  }

  /** Gives user space a view of what is handed out already, and keeps that from being free as long as the view is left. */
  share(offset: KernelOffset, bytes: number): Uint8Array {
    const view = new Uint8Array(bufferOfItsOwn(this.memory), offset, bytes);
    const share = this.#shares.get(offset) ?? { views: 0, freed: false };
    share.views++;
    this.#shares.set(offset, share);
    this.#unshared.register(view.buffer, offset);
    return view;
  }

  /** Bytes handed out, in whole pages. */
  get allocated(): number {
    let pages = 0;
    for (const offset of this.#allocations()) pages += this.#length[offset >>> PAGE_SHIFT];
    return pages * PAGE_SIZE;
  }

  *#allocations(): Generator<KernelOffset> {
    for (let page = this.#owned.next(0); page >= 0; page = this.#owned.next(page + 1))
      yield (page * PAGE_SIZE) as KernelOffset;
  }

  /** A typed array over `length` 32-bit words at an offset (a multiple of 4). */
  words(offset: KernelOffset, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, offset, length);
  }
}

/** Another buffer object over a memory. Where the platform makes none, the memory's: then what is lent is never free again. */
function bufferOfItsOwn({ buffer }: WebAssembly.Memory): SharedArrayBuffer {
  const shared = buffer as unknown as SharedArrayBuffer;
  try {
    return structuredClone(shared);
  } catch {
    return shared;
  }
}
