import { BpfError } from './errors.ts';

/**
 * Reading what programs send, whatever the buffer and the kernel: one item at a time, all that are there, or all that come. How an
 * item is taken, and how one waits for the next, is what a buffer adds.
 */

export interface ReadOptions {
  /** Ends waiting with its reason; what is not read stays in the buffer. */
  signal?: AbortSignal;
}

/** Items in a row after which timers and I/O get a turn, for a program may fill the buffer faster than we empty it. */
const TURN = 1024;

export abstract class RecordReader<Item> implements AsyncIterable<Item>, Disposable {
  readonly name: string;
  readonly #what: string;
  #open = true;

  /** @param what the buffer is, for messages. */
  constructor(name: string, what: string) {
    this.name = name;
    this.#what = `${what} '${name}'`;
  }

  /** Takes one, or gives undefined when none is there. The buffer is open. */
  protected abstract next(): Item | undefined;
  protected abstract get ready(): boolean;
  /** Resolves when there may be more, or the reader was closed. Rejects with the signal's reason. */
  protected abstract more(signal?: AbortSignal): Promise<void>;

  get open(): boolean {
    return this.#open;
  }

  /** Takes one, or gives undefined when none is there. Throws EBADF when closed. */
  take(): Item | undefined {
    this.checkOpen();
    return this.next();
  }

  /**
   * Takes those that are there now, at most `limit`, without waiting.
   * @param callback returning false stops after this one. @returns how many there were
   */
  drain(callback: (item: Item) => unknown, limit = Number.POSITIVE_INFINITY): number {
    this.checkOpen();
    let count = 0;
    while (count < limit && this.#open) {
      const item = this.next();
      if (item === undefined) break;
      count++;
      if (callback(item) === false) break;
    }
    return count;
  }

  /**
   * Waits until there is something to {@link take} or {@link drain}.
   * @returns false when the buffer was closed instead. Rejects with the signal's reason when that is aborted.
   */
  async wait({ signal }: ReadOptions = {}): Promise<boolean> {
    signal?.throwIfAborted();
    while (this.#open) {
      if (this.ready) return true;
      await this.more(signal);
    }
    return false;
  }

  /**
   * All as they come, until the buffer is closed. Several readers share them.
   * @throws the signal's reason when it is aborted; then nothing is lost that the kernel has room for
   */
  async *records({ signal }: ReadOptions = {}): AsyncGenerator<Item, void, void> {
    for (let turn = 1; this.#open; turn++) {
      signal?.throwIfAborted();
      const item = this.next();
      if (item === undefined) await this.more(signal);
      else yield item;
      if (turn % TURN === 0) await othersTurn();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Item, void, void> {
    return this.records();
  }

  /** Ends all reading, also what waits. */
  close(): void {
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  protected checkOpen(): void {
    if (!this.#open) throw new BpfError('EBADF', `${this.#what} is closed`);
  }
}

/** Lets timers and I/O run. */
function othersTurn(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (done: () => void) => void };
  return new Promise((resolve) => {
    if (setImmediate === undefined) setTimeout(resolve, 0);
    else setImmediate(resolve);
  });
}
