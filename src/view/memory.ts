/**
 * What a view needs to know of the memory it looks at. Each kernel implements this for its arenas, map values and global
 * data; views never see a kernel. The two pointer methods share their arguments so that following a pointer, which is
 * what walking a list does all day, makes neither a BigInt nor an object.
 */

/** Bytes that are reached by calls, not by address. Offsets are as in {@link ViewMemory.view}. */
export interface RemoteBytes {
  /** Fills `into`. @throws BpfError EFAULT where there is no memory: nothing was read */
  read(offset: number, into: Uint8Array): void;
  /** @throws BpfError EFAULT where there is no memory */
  write(offset: number, from: Uint8Array): void;
}

/** A memory that views look at: one buffer, and the rules for touching it. */
export interface ViewMemory {
  /**
   * The whole buffer: up to 4 GiB, possibly shared. Offsets count from its start. Views read it anew on each access, so
   * an implementation may replace it (a WebAssembly memory that grew); a plain field is the fastest.
   */
  readonly view: DataView;

  /**
   * Given when the memory cannot be touched by address (a touch would end the process, or there is no mapping). Then
   * {@link view} is a DataView in name only: its methods go through here, and `buffer` is not the memory.
   */
  readonly remote?: RemoteBytes | undefined;

  /**
   * Called before `length` bytes at `offset` are read or written: faults pages in, or throws. Must be cheap, since every
   * field access calls it. `offset + length` may lie beyond the buffer (a flexible array): that must throw, too.
   *
   * @throws BpfError EFAULT outside the memory, EBADF when it is closed, EPERM when `writes` and it is read-only
   */
  touch(offset: number, length: number, writes: boolean): void;

  /**
   * The memory that a pointer stored in this one leads to; undefined when user space cannot follow it (a kernel address),
   * which gives the user an opaque pointer with its address. Allocates nothing. Never called for NULL.
   *
   * @param low the pointer's bits 0 to 31, as a signed integer
   * @param high the pointer's bits 32 to 63, as a signed integer
   * @throws BpfError EFAULT for an arena pointer outside the arena
   */
  pointerTarget(low: number, high: number): ViewMemory | undefined;

  /** Where in {@link pointerTarget}'s memory the pointer leads. Only called, with the same halves, after it gave one. */
  pointerOffset(low: number, high: number): number;

  /**
   * The pointer to store, in any memory, for an offset in this one: what assigning a view to a pointer field writes. For
   * an arena it is the user address, or what programs of a NO_USER_CONV arena use.
   *
   * @throws BpfError EINVAL when nothing can point here (a global variable that is not in an arena)
   */
  addressOf(offset: number): bigint;
}
