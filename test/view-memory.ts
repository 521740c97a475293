/** A memory for tests of views: an arena of a few pages with faults counted, at a user address, over plain buffers. */

import { BpfError } from '../src/errors.ts';
import type { ViewMemory } from '../src/view/memory.ts';

const ARENA_HIGH = 0x7f00;
export const KERNEL_POINTER = 0xffff_8880_0000_1000n;

export class FakeMemory implements ViewMemory {
  readonly view: DataView;
  /** Pointers with the arena's upper half lead here; the memory itself when it is the arena. */
  readonly arena: FakeMemory;
  readonly faulted = new Set<number>();
  readOnly = false;
  closed = false;

  constructor(bytes: number, arena?: FakeMemory) {
    this.view = new DataView(new SharedArrayBuffer(bytes + 8), 8);
    this.arena = arena ?? this;
  }

  touch(offset: number, length: number, writes: boolean): void {
    if (this.closed) throw new BpfError('EBADF', 'closed');
    if (writes && this.readOnly) throw new BpfError('EPERM', 'read-only');
    if (offset < 0 || offset + length > this.view.byteLength)
      throw new BpfError('EFAULT', `${offset} is outside`);
    for (let page = offset >>> 12; page <= (offset + length - 1) >>> 12; page++) this.faulted.add(page);
  }

  pointerTarget(low: number, high: number): ViewMemory | undefined {
    if (high < 0) return undefined;
    if (high === ARENA_HIGH && low >>> 0 < this.arena.view.byteLength) return this.arena;
    throw new BpfError('EFAULT', 'outside the arena');
  }

  pointerOffset(low: number): number {
    return low >>> 0;
  }

  addressOf(offset: number): bigint {
    if (this.arena !== this) throw new BpfError('EINVAL', 'nothing points here');
    return (BigInt(ARENA_HIGH) << 32n) | BigInt(offset);
  }
}
