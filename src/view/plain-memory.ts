import { BpfError } from '../errors.ts';
import type { ViewMemory } from './memory.ts';

/** Bytes that belong to nobody else, as views see them: a data section before load, a copy of a map's key or value. */
export class PlainMemory implements ViewMemory {
  readonly view: DataView;
  readonly #what: string;

  /** @param what the bytes are, for messages. */
  constructor(bytes: Uint8Array, what: string) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  touch(offset: number, length: number): void {
    if (offset + length > this.view.byteLength)
      throw new BpfError('EFAULT', `bytes ${offset} to ${offset + length} are outside ${this.#what}`);
  }

  /** Where pointers lead is not known here. */
  pointerTarget(): undefined {
    return undefined;
  }

  pointerOffset(): number {
    return 0;
  }

  addressOf(): bigint {
    throw new BpfError('EINVAL', `nothing in ${this.#what} has an address`);
  }
}
