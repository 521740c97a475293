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
  /** Memory that views may still reach after it was given back: {@link lend}. */
  readonly #lent = new Set<KernelOffset>();
  readonly #collected = new FinalizationRegistry<KernelOffset>((offset) => {
    if (this.#lent.delete(offset)) this.free(offset);
  });

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

  /**
   * Frees what is still handed out; the object must not be used afterwards. It is used again unless user space may still hold
   * a view of it: then it is left to the garbage collector.
   */
  close(): void {
    const reachable = this.#lent.size > 0;
    this.#lent.clear();
    for (const offset of [...this.#owned.keys()]) this.free(offset);
    if (!reachable) idle.push(this);
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

/** Another buffer object over a memory. Where the platform makes none, the memory's: then what is lent is never free again. */
function bufferOfItsOwn({ buffer }: WebAssembly.Memory): SharedArrayBuffer {
  const shared = buffer as unknown as SharedArrayBuffer;
  try {
    return structuredClone(shared);
  } catch {
    return shared;
  }
}
