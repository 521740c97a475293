import { BpfError, ERRNO, type ErrnoName, errnoName } from '../errors.ts';
import { bufferAt, detach, syscall } from './ffi.ts';

/**
 * What a process holds of the kernel and must give back: file descriptors and mappings, each with one owner that closes
 * it; and a list of such owners, which closes the last one first.
 */

export interface Closable {
  /** Gives it back; the second time does nothing. */
  close(): void;
}

/** The error for a negative errno. @param what was attempted, and on what. */
export function linuxError(result: number, what: string, advice?: string): BpfError {
  const name = errnoName(result);
  const known = name in ERRNO;
  const reason = advice ?? REASONS[name] ?? '';
  const text = `${what}: ${known ? name : `errno ${-result}`}${reason && `, ${reason}`}`;
  return new BpfError(known ? (name as ErrnoName) : 'EIO', text);
}

const REASONS: Record<string, string> = {
  EPERM: 'not permitted: run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN',
  ENOMEM: 'out of memory (or beyond a memory limit)',
  EMFILE: 'too many open files: raise the limit (ulimit -n)',
  ENOSYS: 'this kernel has no such system call',
  ENOTSUPP: 'this kernel does not support it',
};

/** A file descriptor that is ours. */
export class Fd implements Closable {
  readonly #number: number;
  readonly #what: string;
  #open = true;

  /** @param what it is, for messages. */
  constructor(number: number, what: string) {
    this.#number = number;
    this.#what = what;
  }

  /** Throws EBADF when it is closed: the number may be somebody else's by then. */
  get number(): number {
    if (!this.#open) throw new BpfError('EBADF', `${this.#what} is closed`);
    return this.#number;
  }

  get open(): boolean {
    return this.#open;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    syscall('close', this.#number);
  }
}

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FIXED_NOREPLACE = 0x100000;

export interface MappingOptions {
  /** Bytes. */
  length: number;
  /** Exactly there, and only where nothing is mapped; 0 or absent lets the kernel choose. */
  address?: number;
  /** Where in the file the mapping starts, bytes. */
  offset?: number;
  readOnly?: boolean;
}

/** Shared memory of a map in our address space. */
export class Mapping implements Closable {
  readonly address: number;
  readonly length: number;
  readonly #buffers: ArrayBuffer[] = [];
  #open = true;

  private constructor(address: number, length: number) {
    this.address = address;
    this.length = length;
  }

  /** Maps a file descriptor. @returns the mapping, or a negative errno. */
  static map(
    fd: number,
    { length, address = 0, offset = 0, readOnly = false }: MappingOptions,
  ): Mapping | number {
    const flags = MAP_SHARED | (address === 0 ? 0 : MAP_FIXED_NOREPLACE);
    const protection = readOnly ? PROT_READ : PROT_READ | PROT_WRITE;
    const result = syscall('mmap', address, length, protection, flags, fd, offset);
    if (result < 0) return result;
    // Linux before 4.17 takes MAP_FIXED_NOREPLACE for a hint.
    if (address === 0 || result === address) return new Mapping(result, length);
    syscall('munmap', result, length);
    return -ERRNO.EEXIST;
  }

  /** A mapping that another thread of this process made, and that is this one's to use now. */
  static existing(address: number, length: number): Mapping {
    return new Mapping(address, length);
  }

  /** The bytes, until {@link close} detaches them. */
  get buffer(): ArrayBuffer {
    if (!this.#open) throw new BpfError('EBADF', 'the memory is not mapped any more');
    this.#buffers[0] ??= bufferAt(this.address, this.length);
    return this.#buffers[0];
  }

  /** @param unmap unless other threads use it still. */
  close(unmap = true): void {
    if (!this.#open) return;
    this.#open = false;
    for (const buffer of this.#buffers) detach(buffer);
    if (unmap) syscall('munmap', this.address, this.length);
  }
}

/** Things to close, last first: what a load made, until it is closed or fails. */
export class Owned implements Closable {
  readonly #items: Closable[] = [];

  add<Item extends Closable>(item: Item): Item {
    this.#items.push(item);
    return item;
  }

  close(): void {
    for (let item = this.#items.pop(); item !== undefined; item = this.#items.pop()) item.close();
  }
}
