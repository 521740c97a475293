import type { Btf } from './btf/index.ts';
import { bytesOf, isBytes } from './bytes.ts';
import { BpfError } from './errors.ts';
import { mapFacts } from './facts.ts';
import type { BpfMap } from './kernel.ts';
import { MappedValues } from './mapped-values.ts';
import type { MapSpec } from './object/map-spec.ts';
import { MAP_TYPES } from './object/map-types.ts';
import { showAs } from './shown.ts';
import { type Plain, PlainMemory, toPlain, type ViewOptions, viewOf, writeValue } from './view/index.ts';

/**
 * A map as JavaScript has maps: keys and values are what their BTF types say, copied in and out as plain data. Each operation is
 * one on the kernel's map, so programs see it at once. What has no type in the object is bytes.
 */

/** What may be put into a map of maps or programs: anything that has a handle. */
export interface Held {
  readonly handle: number;
}

const PER_CPU: readonly number[] = [MAP_TYPES.percpu_hash, MAP_TYPES.percpu_array, MAP_TYPES.lru_percpu_hash];
const HOLDERS: readonly number[] = [MAP_TYPES.array_of_maps, MAP_TYPES.hash_of_maps, MAP_TYPES.prog_array];
const NO_KEY = new Uint8Array(0);

/** Turns what one type describes into bytes and back. */
class Codec {
  readonly #btf: Btf | undefined;
  readonly #type: number;
  readonly #size: number;
  readonly #what: string;
  readonly #options: ViewOptions;

  constructor(btf: Btf | undefined, type: number, size: number, what: string, options: ViewOptions) {
    this.#btf = type === 0 ? undefined : btf;
    this.#type = type;
    this.#size = size;
    this.#what = what;
    this.#options = options;
  }

  encode(value: unknown): Uint8Array {
    // Wider typed arrays are elements to an array type, and bytes where there is no type.
    if (isBytes(value) && value.byteLength === this.#size) {
      const bytes = value instanceof Uint8Array || !(Symbol.iterator in value);
      if (bytes || this.#btf === undefined) return bytesOf(value, this.#what);
    }
    const bytes = new Uint8Array(this.#size);
    if (this.#btf === undefined) {
      if (typeof value !== 'number' || this.#size !== 4)
        throw new BpfError('EINVAL', `${this.#what} has no type: give its ${this.#size} bytes`);
      new DataView(bytes.buffer).setUint32(0, value, true);
      return bytes;
    }
    writeValue(this.#btf, this.#type, new PlainMemory(bytes, this.#what), value, this.#what, this.#options);
    return bytes;
  }

  mapped<Value>(map: BpfMap): MappedValues<Value> {
    if (this.#btf === undefined) throw new BpfError('EINVAL', `${this.#what} has no type: map its bytes`);
    return new MappedValues<Value>(map.mmap(), this.#btf, this.#type, this.#options);
  }

  decode(bytes: Uint8Array): unknown {
    if (this.#btf === undefined)
      return this.#size === 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) : bytes;
    return toPlain(viewOf(this.#btf, this.#type, new PlainMemory(bytes, this.#what), 0, this.#options));
  }
}

export class TypedMap<Key = Plain, Value = Plain> implements Iterable<[Key, Value]> {
  /** The map itself, whose keys and values are bytes. */
  readonly map: BpfMap;
  readonly #key: Codec;
  readonly #value: Codec;
  readonly #perCpu: boolean;

  /** @param spec what the object says of the map. @param btf the object's types. */
  constructor(map: BpfMap, spec: MapSpec | undefined, btf: Btf | undefined, options: ViewOptions = {}) {
    this.map = map;
    const of = (type: number, size: number, what: string) =>
      new Codec(btf, type, size, `a ${what} of map '${map.name}'`, options);
    this.#key = of(spec?.keyType ?? 0, map.keySize, 'key');
    this.#value = of(spec?.valueType ?? 0, map.valueSize, 'value');
    this.#perCpu = PER_CPU.includes(map.type);
  }

  /** The value; of a per-CPU map an array with each CPU's; undefined where there is none. */
  get(key: Key): Value | undefined {
    const bytes = this.map.lookup(this.#key.encode(key));
    return bytes && this.#decode(bytes);
  }

  /**
   * @param value for per-CPU maps one for all CPUs, or an array with each CPU's; for maps of maps and arrays of programs what they are
   * to hold. @param flags as in `BpfMap.update`. Throws EINVAL, ERANGE for what does not fit its type.
   */
  set(key: Key, value: Value | Held, flags = 0): this {
    this.map.update(this.#key.encode(key), this.#encode(value), flags);
    return this;
  }

  has(key: Key): boolean {
    if (this.map.type === MAP_TYPES.bloom_filter) return this.map.contains(this.#value.encode(key));
    return this.map.lookup(this.#key.encode(key)) !== undefined;
  }

  /** Whether there was such an element. */
  delete(key: Key): boolean {
    return this.map.delete(this.#key.encode(key));
  }

  /** Deletes all that is there now. */
  clear(): void {
    for (const key of this.map.keys()) this.map.delete(key);
  }

  /** How many elements there are now: it counts them. */
  get size(): number {
    let count = 0;
    for (const _ of this.map.keys()) count++;
    return count;
  }

  *keys(): Generator<Key> {
    for (const key of this.map.keys()) yield this.#key.decode(key) as Key;
  }

  *values(): Generator<Value> {
    for (const [, value] of this) yield value;
  }

  /** Elements that are there when their turn comes. */
  *entries(): Generator<[Key, Value]> {
    for (const key of this.map.keys()) {
      const value = this.map.lookup(key);
      if (value !== undefined) yield [this.#key.decode(key) as Key, this.#decode(value)];
    }
  }

  [Symbol.iterator](): Generator<[Key, Value]> {
    return this.entries();
  }

  forEach(visit: (value: Value, key: Key, map: this) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }

  /** Puts a value into a queue, a stack or a bloom filter. @param flags BPF_EXIST 2: the oldest makes room. Throws E2BIG when full. */
  push(value: Value, flags = 0): void {
    this.map.update(NO_KEY, this.#value.encode(value), flags);
  }

  /** Takes the next value out of a queue or stack; undefined when it is empty. */
  pop(): Value | undefined {
    const bytes = this.map.lookupAndDelete(NO_KEY);
    return bytes && this.#decode(bytes);
  }

  /** The next value of a queue or stack. */
  peek(): Value | undefined {
    const bytes = this.map.lookup(NO_KEY);
    return bytes && this.#decode(bytes);
  }

  /**
   * The elements of an mmapable array, to be read and written in place. Close it. Throws what the map's `mmap` throws, EINVAL where
   * the object says no type.
   */
  mmap(): MappedValues<Value> {
    return this.#value.mapped<Value>(this.map);
  }

  #decode(bytes: Uint8Array): Value {
    if (!this.#perCpu) return this.#value.decode(bytes) as Value;
    return this.#places().map((at) => this.#value.decode(bytes.slice(at, at + this.map.valueSize))) as Value;
  }

  #encode(value: unknown): Uint8Array {
    if (HOLDERS.includes(this.map.type) && typeof value === 'object' && value !== null && 'handle' in value)
      return new Uint8Array(Uint32Array.of((value as Held).handle).buffer);
    if (!this.#perCpu) return this.#value.encode(value);
    const bytes = new Uint8Array(this.map.elementSize);
    const places = this.#places();
    const each = Array.isArray(value) ? value : places.map(() => value);
    if (each.length !== places.length) {
      const problem = `${each.length} values for ${places.length} CPUs`;
      throw new BpfError('EINVAL', `map '${this.map.name}': ${problem}; one, or one for each CPU`);
    }
    places.forEach((at, cpu) => {
      bytes.set(this.#value.encode(each[cpu]), at);
    });
    return bytes;
  }

  /** Where each CPU's value starts. */
  #places(): number[] {
    const stride = Math.ceil(this.map.valueSize / 8) * 8;
    return Array.from({ length: this.map.elementSize / stride }, (_, cpu) => cpu * stride);
  }
}

showAs(TypedMap, ({ map }) => mapFacts(map));
