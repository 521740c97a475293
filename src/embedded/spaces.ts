import { BpfError } from '../errors.ts';
import type { ViewMemory } from '../view/memory.ts';
import type { Arena } from './arena.ts';
import type { KernelMemory } from './kernel-memory.ts';
import { type ArenaAddress, KERNEL_HIGH } from './layout.ts';
import type { EmbeddedMap } from './maps/map.ts';

/** The two memories as typed views see them: where they may look, and where the pointers that they find lead. */

/** An arena; offsets are arena addresses. */
export class ArenaSpace implements ViewMemory {
  readonly view: DataView;
  readonly #arena: Arena;
  readonly #userHigh: number;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.view = new DataView(arena.memory.buffer);
    this.#userHigh = Number(arena.userVmStart >> 32n) | 0;
  }

  touch(offset: number, length: number, writes: boolean): void {
    this.#arena.touch(offset as ArenaAddress, length, writes);
  }

  pointerTarget(low: number, high: number): ViewMemory | undefined {
    if (high === KERNEL_HIGH) return undefined;
    const start = this.#arena.pages.start;
    const inside = low >>> 0 >= start && low >>> 0 < start + this.#arena.pages.mapped * 4096;
    const known = high === this.#userHigh || (high === 0 && this.#arena.noUserConv);
    // What is wrong with the others, the arena says best.
    if (!inside || !known) this.#arena.arenaAddress((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
    return this;
  }

  pointerOffset(low: number, _high: number): number {
    return low >>> 0;
  }

  addressOf(offset: number): bigint {
    return this.#arena.userAddress(offset as ArenaAddress);
  }
}

/** The value of a map with one element, such as a data section; offsets are those of kernel memory. */
export class ValueSpace implements ViewMemory {
  readonly view: DataView;
  readonly #map: EmbeddedMap;
  readonly #start: number;
  readonly #end: number;
  readonly #arena: ArenaSpace | undefined;

  /** @param arena where pointers in the value may lead. */
  constructor(memory: KernelMemory, map: EmbeddedMap, arena: ArenaSpace | undefined) {
    this.view = memory.view;
    this.#map = map;
    this.#start = map.region?.start ?? 0;
    this.#end = this.#start + map.valueSize;
    this.#arena = arena;
  }

  touch(offset: number, length: number, writes: boolean): void {
    if (this.#map.closed) throw new BpfError('EBADF', `map '${this.#map.name}' is closed`);
    if (offset < this.#start || offset + length > this.#end) {
      const at = offset - this.#start;
      throw new BpfError(
        'EFAULT',
        `bytes ${at} to ${at + length} are outside the ${this.#map.valueSize} of '${this.#map.name}'`,
      );
    }
    if (writes && this.#map.frozen)
      throw new BpfError('EPERM', `map '${this.#map.name}' is frozen: it cannot be changed`);
  }

  pointerTarget(low: number, high: number): ViewMemory | undefined {
    return high === KERNEL_HIGH ? undefined : this.#arena?.pointerTarget(low, high);
  }

  pointerOffset(low: number, _high: number): number {
    return low >>> 0;
  }

  addressOf(_offset: number): bigint {
    throw new BpfError(
      'EINVAL',
      `'${this.#map.name}' is kernel memory: nothing in the arena can point to it`,
    );
  }
}
