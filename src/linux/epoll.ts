import { isMainThread } from 'node:worker_threads';
import { BpfError, ERRNO } from '../errors.ts';
import { type Closable, Fd, linuxError } from './fd.ts';
import { syscall, syscallOnThread } from './ffi.ts';

/**
 * Waiting for file descriptors without blocking JavaScript. All who wait share one epoll set and one call of epoll_pwait,
 * which occupies one thread of Node's pool while anybody waits and none otherwise. The set is edge-triggered: whoever
 * waits looks first for what is there, and is woken by what comes after.
 */

const EPOLL_CLOEXEC = 0x80000;
const EFD_CLOEXEC_NONBLOCK = 0x80800;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;
const EPOLLET = 0x80000000;
/** struct epoll_event is packed on x86-64 alone. */
const EVENT = process.arch === 'x64' ? { size: 12, data: 4 } : { size: 16, data: 8 };
/** Events that one call brings; more come with the next. */
const EVENTS = 64;
/** Milliseconds. Terminating a worker tells nobody in it, and Node waits for the call to return: so it does, in time. */
const TIMEOUT = isMainThread ? -1 : 250;

/** The set, the event that interrupts waiting for it, and who waits. Made for the first watch, closed after the last. */
class EpollSet {
  readonly #set: Fd;
  readonly #interrupt: Fd;
  readonly #watches = new Map<number, Watch>();
  readonly #waiting = new Set<Watch>();
  #lastToken = 0;
  #running: Promise<void> | undefined;

  constructor() {
    this.#set = made('epoll_create1', EPOLL_CLOEXEC);
    try {
      this.#interrupt = made('eventfd2', 0, EFD_CLOEXEC_NONBLOCK);
    } catch (error) {
      this.#set.close();
      throw error;
    }
    // Token 0, which is nobody's.
    this.#control(EPOLL_CTL_ADD, this.#interrupt.number, 0);
  }

  add(watch: Watch, fds: readonly number[]): number {
    const token = ++this.#lastToken;
    fds.forEach((fd, done) => {
      const result = this.#control(EPOLL_CTL_ADD, fd, token);
      if (result >= 0) return;
      for (const added of fds.slice(0, done)) this.#control(EPOLL_CTL_DEL, added, token);
      this.#closeIfUnused();
      throw linuxError(result, 'epoll_ctl');
    });
    this.#watches.set(token, watch);
    return token;
  }

  remove(watch: Watch, token: number, fds: readonly number[]): void {
    for (const fd of fds) this.#control(EPOLL_CTL_DEL, fd, token);
    this.#watches.delete(token);
    this.forget(watch);
    this.#closeIfUnused();
  }

  /** The watch waits from now on, until {@link Watch.wake} or {@link forget}. */
  await(watch: Watch): void {
    this.#waiting.add(watch);
    this.#running ??= this.#run();
  }

  /** Nobody waits for the watch any more. */
  forget(watch: Watch): void {
    this.#waiting.delete(watch);
    if (this.#waiting.size === 0 && this.#running !== undefined) this.#wakeThread();
  }

  /** Resolves when the thread is back. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const wakeThread = () => this.#wakeThread();
    // Node joins its threads when it exits, and would wait for ours for ever.
    process.on('exit', wakeThread);
    const events = new DataView(new ArrayBuffer(EVENTS * EVENT.size));
    try {
      while (this.#waiting.size > 0) {
        const count = await syscallOnThread('epoll_pwait', this.#set.number, events, EVENTS, TIMEOUT, 0, 0);
        for (let i = 0; i < count; i++) this.#deliver(events.getUint32(i * EVENT.size + EVENT.data, true));
      }
    } catch (error) {
      // No thread to be had (koffi has a limit): those who wait are told.
      for (const watch of this.#waiting) watch.fail(error);
      this.#waiting.clear();
    } finally {
      process.off('exit', wakeThread);
      this.#running = undefined;
      this.#closeIfUnused();
    }
  }

  #deliver(token: number): void {
    const watch = this.#watches.get(token);
    if (watch === undefined || !this.#waiting.delete(watch)) return;
    watch.wake();
  }

  #wakeThread(): void {
    syscall('write', this.#interrupt.number, new BigUint64Array([1n]), 8);
  }

  #closeIfUnused(): void {
    if (this.#watches.size > 0 || this.#running !== undefined) return;
    if (shared === this) shared = undefined;
    this.#set.close();
    this.#interrupt.close();
  }

  #control(operation: number, fd: number, token: number): number {
    const event = new DataView(new ArrayBuffer(EVENT.size));
    event.setUint32(0, (EPOLLIN | EPOLLET) >>> 0, true);
    event.setUint32(EVENT.data, token, true);
    return syscall('epoll_ctl', this.#set.number, operation, fd, event);
  }
}

let shared: EpollSet | undefined;

function made(call: 'epoll_create1' | 'eventfd2', ...args: readonly number[]): Fd {
  const result = syscall(call, ...args);
  if (result < 0) throw linuxError(result, call);
  return new Fd(result, call);
}

/** Resolves when no thread waits: after the last watch was closed, all that waiting took is given back then. */
export async function epollSettled(): Promise<void> {
  await shared?.settled();
}

interface Waiter {
  resolve(open: boolean): void;
  reject(reason: unknown): void;
}

/** File descriptors of one reader, which waits for any of them to become readable. */
export class Watch implements Closable {
  readonly #set: EpollSet;
  readonly #token: number;
  readonly #fds: readonly number[];
  readonly #waiters = new Set<Waiter>();
  #open = true;

  /** @param fds stay their owner's, who closes the watch first. Throws EMFILE, ENOMEM, ENOSPC. */
  constructor(fds: readonly number[]) {
    shared ??= new EpollSet();
    this.#set = shared;
    this.#fds = fds;
    this.#token = this.#set.add(this, fds);
  }

  /**
   * Waits until something happens to the file descriptors after this call.
   * @returns false when the watch was closed instead. Rejects with the signal's reason when that is aborted.
   */
  wait(signal?: AbortSignal): Promise<boolean> {
    if (!this.#open) return Promise.resolve(false);
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const settle = () => signal?.removeEventListener('abort', abort);
      const waiter: Waiter = {
        resolve: (open) => {
          settle();
          resolve(open);
        },
        reject: (reason) => {
          settle();
          reject(reason);
        },
      };
      const abort = () => {
        this.#waiters.delete(waiter);
        if (this.#waiters.size === 0) this.#set.forget(this);
        waiter.reject(signal?.reason);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiters.add(waiter);
      this.#set.await(this);
    });
  }

  /** All who wait look again. For {@link EpollSet}. */
  wake(): void {
    for (const waiter of this.#taken()) waiter.resolve(this.#open);
  }

  /** All who wait are told why that failed. For {@link EpollSet}. */
  fail(error: unknown): void {
    for (const waiter of this.#taken()) waiter.reject(error);
  }

  #taken(): Waiter[] {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    return waiters;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#set.remove(this, this.#token, this.#fds);
    this.wake();
  }
}

const F_DUPFD_CLOEXEC = 1030;

/** Another descriptor of the same file, which stays when the first one's owner closes that. */
export function duplicate(fd: number, what: string): Fd {
  const result = syscall('fcntl', fd, F_DUPFD_CLOEXEC, 0);
  if (result === -ERRNO.EBADF) throw new BpfError('EBADF', `${what} is closed`);
  if (result < 0) throw linuxError(result, what);
  return new Fd(result, what);
}
