import { ERRNO } from '../../errors.ts';
import {
  BPF_ANY,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
} from '../../object/map-flags.ts';
import type { KernelOffset } from '../layout.ts';
import { checkFlags, type MapAttributes, refusedSetting } from './attributes.ts';
import type { MapHost } from './host.ts';
import { EmbeddedMap } from './map.ts';

/**
 * BPF_MAP_TYPE_BLOOM_FILTER: a set that says `not there` for sure and `there` perhaps. A value sets a few bits, chosen by as many
 * hashes (map_extra, 5 where that is 0); each is set by an atomic or, so nobody waits.
 */

const FLAGS =
  BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
const DEFAULT_HASHES = 5;
const MAX_HASHES = 15;
/** Linux: a filter for n values with k hashes has about n × k × 7 / 5 bits, rounded up to a power of two. */
const BITS_PER_HASH = 7 / 5;
const MAX_BITS = 2 ** 32;

export class BloomFilterMap extends EmbeddedMap {
  readonly region = undefined;
  readonly #words: Int32Array;
  readonly #hashes: number;
  readonly #mask: number;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { keySize, valueSize, maxEntries, mapExtra } = attributes;
    if (keySize !== 0) throw refusedSetting(attributes, 'there are no keys: key_size is 0');
    if (valueSize === 0) throw refusedSetting(attributes, 'value_size must not be 0');
    if (maxEntries === 0) throw refusedSetting(attributes, 'max_entries must not be 0');
    if (mapExtra > BigInt(MAX_HASHES))
      throw refusedSetting(attributes, `map_extra is the number of hashes, at most ${MAX_HASHES}`);
    checkFlags({ ...attributes, mapExtra: 0n }, FLAGS);
    super(host, id, attributes, header);
    this.#hashes = Number(mapExtra) || DEFAULT_HASHES;
    const wanted = Math.max(64, maxEntries * this.#hashes * BITS_PER_HASH);
    const bits = Math.min(MAX_BITS, 2 ** Math.ceil(Math.log2(wanted)));
    this.#mask = (bits - 1) >>> 0;
    this.#words = host.memory.words(this.own(bits / 8), bits / 32);
  }

  override push(value: KernelOffset, flags: number): number {
    if (flags !== BPF_ANY) return -ERRNO.EINVAL;
    for (let i = 0; i < this.#hashes; i++) {
      const bit = this.#bit(value, i);
      Atomics.or(this.#words, bit >>> 5, 1 << (bit & 31));
    }
    return 0;
  }

  override peek(value: KernelOffset): number {
    for (let i = 0; i < this.#hashes; i++) {
      const bit = this.#bit(value, i);
      if ((this.#words[bit >>> 5] & (1 << (bit & 31))) === 0) return -ERRNO.ENOENT;
    }
    return 0;
  }

  #bit(value: KernelOffset, seed: number): number {
    const { bytes } = this.kernel;
    let hash = Math.imul(seed + 1, 0x9e3779b1);
    for (let at = value as number; at < value + this.valueSize; at++)
      hash = Math.imul(hash ^ bytes[at], 0x01000193) ^ (hash >>> 13);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return ((hash ^ (hash >>> 16)) & this.#mask) >>> 0;
  }

  protected override insert(_key: KernelOffset, value: KernelOffset, flags: number): number {
    return this.push(value, flags);
  }

  /** As Linux does it, the value is the question; without one it is zero. */
  protected override fetch(_key: KernelOffset, value: KernelOffset): number {
    this.kernel.bytes.fill(0, value, value + this.valueSize);
    return this.peek(value);
  }

  override find(): KernelOffset {
    return 0 as KernelOffset;
  }

  override store(): number {
    return -ERRNO.EINVAL;
  }

  override remove(): number {
    return -ERRNO.EOPNOTSUPP;
  }

  override next(): number {
    return -ERRNO.EOPNOTSUPP;
  }
}
