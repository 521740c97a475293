import { BpfError } from '../errors.ts';
import { type KernelOffset, MAX_PAGES, PAGE_SHIFT, PAGE_SIZE, pagesOf } from './layout.ts';
import { takeMemory, zero } from './memory-pool.ts';
import { RangeTree } from './range-tree.ts';

/**
 * Memory 1: everything a program can address that is not arena, and the kernel's own bookkeeping that several CPUs
 * share. It is handed out in whole pages by the same {@link RangeTree} as an arena's; the tree's words are its first
 * allocation. All pages are free and zero again when the last owner has freed its own, so a kernel memory that was
 * closed is reused as it is.
 */

/** The first 64 KiB are never handed out: an offset near 0 is always a mistake. */
const GUARD_PAGES = 16;
const TREE_OFFSET = GUARD_PAGES * PAGE_SIZE;

const idle: KernelMemory[] = [];

export class KernelMemory {
  readonly memory = takeMemory();
  readonly bytes = new Uint8Array(this.memory.buffer);
  readonly view = new DataView(this.memory.buffer);
  readonly #tree: RangeTree;
  /** Start → pages, of what is handed out. */
  readonly #owned = new Map<KernelOffset, number>();

  private constructor() {
    const words = RangeTree.words(MAX_PAGES);
    this.#tree = new RangeTree(this.words(TREE_OFFSET as KernelOffset, words), MAX_PAGES);
    const first = GUARD_PAGES + pagesOf(words * 4);
    // The last page stays out of reach, so that the end of an allocation never overflows 32 bits.
    this.#tree.set(first, MAX_PAGES - 1 - first);
  }

  /** A kernel memory with nothing handed out. */
  static open(): KernelMemory {
    return idle.pop() ?? new KernelMemory();
  }

  /** Frees what is still handed out; the object must not be used afterwards. */
  close(): void {
    for (const offset of [...this.#owned.keys()]) this.free(offset);
    idle.push(this);
  }

  /**
   * Hands out zeroed memory.
   * @param bytes rounded up to whole pages.
   * @returns its offset, page-aligned. Throws ENOMEM when 4 GiB are used up.
   */
  allocate(bytes: number): KernelOffset {
    const pages = Math.max(1, pagesOf(bytes));
    const page = pages > MAX_PAGES ? -1 : this.#tree.find(pages);
    if (page < 0) {
      throw new BpfError(
        'ENOMEM',
        `${bytes} bytes of kernel memory are not free; the embedded kernel has 4 GiB`,
      );
    }
    this.#tree.clear(page, pages);
    const offset = (page * PAGE_SIZE) as KernelOffset;
    this.#owned.set(offset, pages);
    return offset;
  }

  /** Takes back what {@link allocate} handed out, and zeroes it. */
  free(offset: KernelOffset): void {
    const pages = this.#owned.get(offset);
    if (pages === undefined) throw new BpfError('EFAULT', `kernel memory at ${offset} is not handed out`);
    this.#owned.delete(offset);
    zero(this.bytes, offset, pages * PAGE_SIZE);
    this.#tree.set(offset >>> PAGE_SHIFT, pages);
  }

  /** Bytes handed out, in whole pages. */
  get allocated(): number {
    let pages = 0;
    for (const count of this.#owned.values()) pages += count;
    return pages * PAGE_SIZE;
  }

  /** A typed array over `length` 32-bit words at an offset (a multiple of 4). */
  words(offset: KernelOffset, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, offset, length);
  }
}
