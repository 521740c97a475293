import { ERRNO } from '../../errors.ts';
import {
  BPF_ANY,
  BPF_EXIST,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
} from '../../object/map-flags.ts';
import { MAP_TYPES } from '../../object/map-types.ts';
import type { KernelOffset } from '../layout.ts';
import { lock, unlock } from '../spin-lock.ts';
import { checkFlags, type MapAttributes, refusedSetting } from './attributes.ts';
import type { MapHost } from './host.ts';
import { EmbeddedMap } from './map.ts';
import { copyBytes } from './value.ts';

/**
 * BPF_MAP_TYPE_QUEUE and BPF_MAP_TYPE_STACK: values without keys, first or last in first out, in a ring of one slot more than
 * max_entries. Values are copied in and out under the map's lock, so there are no pointers to them.
 */

const FLAGS = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

/** Words before the slots: the lock, where the next value goes, and where the oldest is. */
const LOCK = 0;
const HEAD = 1;
const TAIL = 2;
const HEADER_BYTES = 16;

export class QueueMap extends EmbeddedMap {
  readonly region = undefined;
  readonly #words: Int32Array;
  readonly #slots: KernelOffset;
  readonly #size: number;
  readonly #isStack: boolean;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { keySize, valueSize, maxEntries } = attributes;
    if (keySize !== 0) throw refusedSetting(attributes, 'there are no keys: key_size is 0');
    if (valueSize === 0) throw refusedSetting(attributes, 'value_size must not be 0');
    if (maxEntries === 0) throw refusedSetting(attributes, 'max_entries must not be 0');
    checkFlags(attributes, FLAGS);
    super(host, id, attributes, header);
    this.#isStack = attributes.type === MAP_TYPES.stack;
    this.#size = maxEntries + 1;
    const start = this.own(HEADER_BYTES + this.#size * valueSize);
    this.#words = host.memory.words(start, HEADER_BYTES / 4);
    this.#slots = (start + HEADER_BYTES) as KernelOffset;
  }

  /** @param flags BPF_EXIST: the oldest value makes room when the map is full. */
  override push(value: KernelOffset, flags: number): number {
    if (flags !== BPF_ANY && flags !== BPF_EXIST) return -ERRNO.EINVAL;
    const words = this.#words;
    lock(words, LOCK);
    const next = this.#after(words[HEAD]);
    const isFull = next === words[TAIL];
    if (isFull && flags === BPF_EXIST) words[TAIL] = this.#after(words[TAIL]);
    if (!isFull || flags === BPF_EXIST) {
      copyBytes(this.kernel, this.#slot(words[HEAD]), value, this.valueSize);
      words[HEAD] = next;
    }
    unlock(words, LOCK);
    return isFull && flags !== BPF_EXIST ? -ERRNO.E2BIG : 0;
  }

  override pop(value: KernelOffset): number {
    return this.#take(value, true);
  }

  override peek(value: KernelOffset): number {
    return this.#take(value, false);
  }

  /** Copies the next value out; where there is none, zeroes. */
  #take(value: KernelOffset, remove: boolean): number {
    const words = this.#words;
    lock(words, LOCK);
    const isEmpty = words[HEAD] === words[TAIL];
    if (!isEmpty) {
      const last = words[HEAD] === 0 ? this.#size - 1 : words[HEAD] - 1;
      copyBytes(this.kernel, value, this.#slot(this.#isStack ? last : words[TAIL]), this.valueSize);
      if (remove && this.#isStack) words[HEAD] = last;
      else if (remove) words[TAIL] = this.#after(words[TAIL]);
    }
    unlock(words, LOCK);
    if (isEmpty) this.kernel.bytes.fill(0, value, value + this.valueSize);
    return isEmpty ? -ERRNO.ENOENT : 0;
  }

  #after(slot: number): number {
    return slot + 1 === this.#size ? 0 : slot + 1;
  }

  #slot(index: number): number {
    return this.#slots + index * this.valueSize;
  }

  protected override fetch(_key: KernelOffset, value: KernelOffset): number {
    return this.peek(value);
  }

  protected override insert(_key: KernelOffset, value: KernelOffset, flags: number): number {
    return this.push(value, flags);
  }

  protected override takeOut(_key: KernelOffset, value: KernelOffset): number {
    return this.pop(value);
  }

  override find(): KernelOffset {
    return 0 as KernelOffset;
  }

  override store(): number {
    return -ERRNO.EINVAL;
  }

  override remove(): number {
    return -ERRNO.EINVAL;
  }

  override next(): number {
    return -ERRNO.EINVAL;
  }
}
