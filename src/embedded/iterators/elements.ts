import { BpfError } from '../../errors.ts';
import { MAP_TYPES } from '../../object/map-types.ts';
import type { Given } from '../cpu.ts';
import type { EmbeddedKernel } from '../kernel.ts';
import type { KernelOffset } from '../layout.ts';
import { align8 } from '../maps/attributes.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import { copyBytes } from '../maps/value.ts';
import type { Walk } from './walks.ts';

/**
 * A walk over the elements of a map. The program gets the key and the value where they are, so what it writes is in the map; of a
 * per-CPU map it gets a copy of all CPUs' values in a row, each padded to 8 bytes.
 */

const PER_CPU: readonly number[] = [MAP_TYPES.percpu_hash, MAP_TYPES.lru_percpu_hash, MAP_TYPES.percpu_array];

const NONE = 0 as KernelOffset;

export interface Elements {
  /** What a program sees of a value, bytes. */
  readonly valueBytes: number;
  /** Begins. Throws ENOMEM, EINVAL for a type that has nothing of the kind. */
  walk(): Walk;
}

export function elementsOf(kernel: EmbeddedKernel, map: EmbeddedMap, key: KernelOffset): Elements {
  const perCpu = PER_CPU.includes(map.type);
  const valueBytes = perCpu ? align8(map.valueSize) * kernel.cpus : map.valueSize;
  return { valueBytes, walk: () => new ElementWalk(kernel, map, key, perCpu ? valueBytes : 0) };
}

class ElementWalk implements Walk {
  readonly #map: EmbeddedMap;
  readonly #kernel: EmbeddedKernel;
  readonly #cursor;
  /** All CPUs' values, of per-CPU maps; else 0. */
  readonly #copy: KernelOffset;
  readonly #copyBytes: number;

  constructor(kernel: EmbeddedKernel, map: EmbeddedMap, key: KernelOffset, copyBytes: number) {
    const cursor = map.cursor(key);
    if (cursor === undefined) throw new BpfError('EINVAL', `nobody iterates over map '${map.name}'`);
    this.#kernel = kernel;
    this.#map = map;
    this.#cursor = cursor;
    this.#copyBytes = copyBytes;
    this.#copy = copyBytes === 0 ? NONE : kernel.memory.allocate(copyBytes);
    map.holders++;
  }

  start(): boolean {
    return this.#cursor.start();
  }

  next(): boolean {
    return this.#cursor.next();
  }

  shown(end: boolean): readonly KernelOffset[] {
    const { header } = this.#map;
    if (end) return [header, NONE, NONE];
    return [header, this.#cursor.key, this.#copy === NONE ? this.#cursor.value(0) : this.#gather()];
  }

  get given(): readonly Given[] {
    const key = { start: this.#cursor.key, bytes: this.#map.keySize, writes: false };
    return this.#copy === NONE ? [key] : [key, { start: this.#copy, bytes: this.#copyBytes, writes: true }];
  }

  close(): void {
    if (this.#copy !== NONE) this.#kernel.memory.free(this.#copy);
    this.#map.holders--;
    this.#kernel.closeHeld(this.#map);
  }

  #gather(): KernelOffset {
    const { memory, cpus } = this.#kernel;
    const { valueSize, valueFields } = this.#map;
    const stride = align8(valueSize);
    for (let cpu = 0; cpu < cpus; cpu++) {
      const at = this.#copy + cpu * stride;
      copyBytes(memory, at, this.#cursor.value(cpu), stride);
      valueFields.clear(at);
    }
    return this.#copy;
  }
}
