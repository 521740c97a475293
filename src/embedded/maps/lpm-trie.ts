import { BpfError, ERRNO } from '../../errors.ts';
import {
  BPF_EXIST,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_NOEXIST,
} from '../../object/map-flags.ts';
import type { KernelOffset } from '../layout.ts';
import { lock, unlock } from '../spin-lock.ts';
import { align8, checkFlags, type MapAttributes, refusedSetting } from './attributes.ts';
import type { MapHost } from './host.ts';
import type { ValueRegion } from './kernel-map.ts';
import { EmbeddedMap } from './map.ts';
import { copyBytes } from './value.ts';

/**
 * BPF_MAP_TYPE_LPM_TRIE: keys are prefixes, and a lookup finds the longest one that what is looked up starts with. A binary trie whose
 * nodes skip the bits in which nothing branches; where two keys part without one at that place, a node without value stands.
 * One writes at a time, and counts before and after: who looks up notes the count and looks again when it has changed, so readers
 * take no lock. A value that is replaced goes into another node, as in Linux.
 *
 * Layout. Words LOCK, COUNT, ROOT, FREED, USED, ENTRIES. A node: CHILD, CHILD + 4 (numbers of nodes from 1; 0 none), KIND, then the
 * value, then the key (prefix length, 4 bytes, and the bits, most significant first).
 */

const FLAGS = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

const LOCK = 0;
/** Odd while somebody writes. */
const COUNT = 1;
const ROOT = 2;
/** The node freed last; the list runs through CHILD. */
const FREED = 3;
/** How many nodes were ever handed out. */
const USED = 4;
/** Keys in the trie. */
const ENTRIES = 5;
const HEADER_BYTES = 32;

const CHILD = 0;
/** 1: it has a value. */
const KIND = 8;
const VALUE = 16;
const PREFIX_BYTES = 4;
/** Linux: LPM_DATA_SIZE_MAX, and KMALLOC_MAX_SIZE less the node. */
const MAX_DATA = 256;
const MAX_VALUE = 2 ** 22 - MAX_DATA - 40;

export class LpmTrieMap extends EmbeddedMap {
  readonly region: ValueRegion;
  readonly #words: Int32Array;
  readonly #nodes: number;
  readonly #stride: number;
  readonly #keyOffset: number;
  readonly #maxPrefix: number;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { name, keySize, valueSize, maxEntries, flags } = attributes;
    const data = keySize - PREFIX_BYTES;
    if (data < 1 || data > MAX_DATA)
      throw refusedSetting(attributes, `the key is a 4-byte length and up to ${MAX_DATA} bytes of prefix`);
    if (valueSize === 0) throw refusedSetting(attributes, 'value_size must not be 0');
    if (maxEntries === 0) throw refusedSetting(attributes, 'max_entries must not be 0');
    if ((flags & BPF_F_NO_PREALLOC) === 0)
      throw refusedSetting(attributes, 'a trie is made with BPF_F_NO_PREALLOC');
    if (valueSize > MAX_VALUE)
      throw new BpfError('EINVAL', `map '${name}': a value of ${valueSize} bytes is too large`);
    checkFlags(attributes, FLAGS | BPF_F_NO_PREALLOC);
    super(host, id, attributes, header);
    this.#maxPrefix = data * 8;
    this.#keyOffset = VALUE + align8(valueSize);
    this.#stride = this.#keyOffset + align8(keySize);
    const start = this.own(HEADER_BYTES);
    this.#words = host.memory.words(start, HEADER_BYTES / 4);
    // Every key but one may need a node where it parts from others; one more for a value that is replaced.
    const bytes = (2 * maxEntries + 1) * this.#stride;
    const nodes = this.own(bytes);
    this.#nodes = nodes - this.#stride;
    this.region = { start: (nodes + VALUE) as KernelOffset, end: nodes + bytes, stride: this.#stride };
  }

  override find(key: KernelOffset): KernelOffset {
    for (;;) {
      const count = Atomics.load(this.#words, COUNT);
      if ((count & 1) !== 0) continue;
      const node = this.#longest(key);
      if (Atomics.load(this.#words, COUNT) !== count) continue;
      return (node === 0 ? 0 : this.#at(node) + VALUE) as KernelOffset;
    }
  }

  /** The node with the longest prefix that a key starts with; 0: none. Ends also when somebody writes meanwhile. */
  #longest(key: KernelOffset): number {
    if (this.#prefix(key) > this.#maxPrefix) return 0;
    let found = 0;
    let node = this.#words[ROOT];
    for (let steps = 0; node !== 0 && steps <= this.#maxPrefix; steps++) {
      const prefix = this.#prefixOf(node);
      const match = this.#match(node, key);
      if (match < prefix) break;
      if (this.#hasValue(node)) found = node;
      if (match === this.#maxPrefix) break;
      node = this.#child(node, this.#bit(key, prefix));
    }
    return found;
  }

  override store(key: KernelOffset, value: KernelOffset, flags: number): number {
    if (flags > BPF_EXIST || this.#prefix(key) > this.#maxPrefix) return -ERRNO.EINVAL;
    return this.#write(() => this.#store(key, value, flags));
  }

  #store(key: KernelOffset, value: KernelOffset, flags: number): number {
    const { at: slot, node, match } = this.#place(key);
    const length = this.#prefix(key);
    const same = node !== 0 && match === length && this.#prefixOf(node) === length;
    const exists = same && this.#hasValue(node);
    if (exists && flags === BPF_NOEXIST) return -ERRNO.EEXIST;
    if (!exists && flags === BPF_EXIST) return -ERRNO.ENOENT;
    const words = this.#words;
    if (!exists && words[ENTRIES] === this.maxEntries) return -ERRNO.ENOSPC;
    const fresh = this.#take();
    const at = this.#at(fresh);
    copyBytes(this.kernel, at + VALUE, value, this.valueSize);
    copyBytes(this.kernel, at + this.#keyOffset, key, this.keySize);
    this.#word(at + KIND, 1);
    this.#word(at + CHILD, 0);
    this.#word(at + CHILD + 4, 0);
    if (!exists) words[ENTRIES]++;
    if (same) {
      this.#word(at + CHILD, this.#child(node, 0));
      this.#word(at + CHILD + 4, this.#child(node, 1));
      this.#free(node);
    } else if (node !== 0 && match === length) {
      // The new prefix is part of the one that is there.
      this.#word(at + CHILD + 4 * this.#bit(this.#key(node), length), node);
    } else if (node !== 0) {
      const parting = this.#take();
      const partingAt = this.#at(parting);
      copyBytes(this.kernel, partingAt + this.#keyOffset, this.#key(node), this.keySize);
      this.#word(partingAt + this.#keyOffset, match);
      this.#word(partingAt + KIND, 0);
      const side = this.#bit(key, match);
      this.#word(partingAt + CHILD + 4 * side, fresh);
      this.#word(partingAt + CHILD + 4 * (1 - side), node);
      this.#word(slot, parting);
      return 0;
    }
    this.#word(slot, fresh);
    return 0;
  }

  override remove(key: KernelOffset): number {
    if (this.#prefix(key) > this.#maxPrefix) return -ERRNO.EINVAL;
    return this.#write(() => this.#remove(key));
  }

  #remove(key: KernelOffset): number {
    const { at, node, match, parentSlot, parent } = this.#place(key);
    const length = this.#prefix(key);
    if (node === 0 || match !== length || this.#prefixOf(node) !== length || !this.#hasValue(node))
      return -ERRNO.ENOENT;
    this.#words[ENTRIES]--;
    const [left, right] = [this.#child(node, 0), this.#child(node, 1)];
    if (left !== 0 && right !== 0) {
      this.#word(this.#at(node) + KIND, 0);
      return 0;
    }
    this.#free(node);
    const only = left || right;
    this.#word(at, only);
    if (only !== 0 || parent === 0 || this.#hasValue(parent)) return 0;
    // A place where nothing parts any more.
    this.#word(parentSlot, this.#child(parent, 0) || this.#child(parent, 1));
    this.#free(parent);
    return 0;
  }

  /** Where a key is or would go: the word that leads there, what stands there, how many bits of it match, and what is above. */
  #place(key: KernelOffset) {
    const { int32 } = this.kernel;
    const length = this.#prefix(key);
    let at = this.#words.byteOffset + 4 * ROOT;
    let [parentSlot, parent, match] = [0, 0, 0];
    let node = int32[at >>> 2];
    for (; node !== 0; node = int32[at >>> 2]) {
      const prefix = this.#prefixOf(node);
      match = this.#match(node, key);
      if (match !== prefix || prefix === length || prefix === this.#maxPrefix) break;
      parentSlot = at;
      parent = node;
      at = this.#at(node) + CHILD + 4 * this.#bit(key, prefix);
    }
    return { at, node, match, parentSlot, parent };
  }

  /** The order in which Linux gives keys: longer prefixes before those that they start with. */
  override next(key: KernelOffset, next: KernelOffset): number {
    const nodes = this.#inOrder();
    const at = key === 0 ? -1 : nodes.findIndex((node) => this.#sameKey(this.#key(node), key));
    if (at + 1 >= nodes.length) return -ERRNO.ENOENT;
    copyBytes(this.kernel, next, this.#key(nodes[at + 1]), this.keySize);
    return 0;
  }

  override *keys(): Generator<Uint8Array> {
    this.nextKey();
    const { bytes } = this.kernel;
    const keys = this.#inOrder().map((node) => bytes.slice(this.#key(node), this.#key(node) + this.keySize));
    yield* keys;
  }

  /** All nodes with values; under the lock, for the way down must hold still. */
  #inOrder(): number[] {
    const found: number[] = [];
    lock(this.#words, LOCK);
    const stack: [node: number, done: boolean][] = [[this.#words[ROOT], false]];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const [node, done] = top;
      if (node === 0) continue;
      if (done && this.#hasValue(node)) found.push(node);
      if (!done) stack.push([node, true], [this.#child(node, 1), false], [this.#child(node, 0), false]);
    }
    unlock(this.#words, LOCK);
    return found;
  }

  protected override get batches() {
    return 'delete' as const;
  }

  #write(action: () => number): number {
    const words = this.#words;
    lock(words, LOCK);
    try {
      Atomics.add(words, COUNT, 1);
      return action();
    } finally {
      Atomics.add(words, COUNT, 1);
      unlock(words, LOCK);
    }
  }

  #take(): number {
    const words = this.#words;
    const freed = words[FREED];
    if (freed === 0) return ++words[USED];
    words[FREED] = this.#child(freed, 0);
    return freed;
  }

  #free(node: number): void {
    this.#word(this.#at(node) + CHILD, this.#words[FREED]);
    this.#words[FREED] = node;
  }

  /** Leading bits that a node's prefix and a key have in common. */
  #match(node: number, key: KernelOffset): number {
    const { bytes } = this.kernel;
    const other = this.#key(node);
    const limit = Math.min(this.#prefixOf(node), this.#prefix(key));
    let bits = 0;
    for (let at = PREFIX_BYTES; bits < limit; at++) {
      const differ = bytes[other + at] ^ bytes[key + at];
      if (differ !== 0) return Math.min(limit, bits + Math.clz32(differ) - 24);
      bits += 8;
    }
    return limit;
  }

  #bit(key: number, index: number): 0 | 1 {
    return ((this.kernel.bytes[key + PREFIX_BYTES + (index >>> 3)] >>> (7 - (index & 7))) & 1) as 0 | 1;
  }

  #sameKey(a: KernelOffset, b: KernelOffset): boolean {
    const length = this.#prefix(a);
    if (length !== this.#prefix(b)) return false;
    for (let bit = 0; bit < length; bit++) if (this.#bit(a, bit) !== this.#bit(b, bit)) return false;
    return true;
  }

  #prefix(key: KernelOffset): number {
    return this.kernel.view.getUint32(key, true);
  }

  #prefixOf(node: number): number {
    return this.#prefix(this.#key(node));
  }

  #hasValue(node: number): boolean {
    return this.kernel.int32[(this.#at(node) + KIND) >>> 2] === 1;
  }

  #child(node: number, side: 0 | 1): number {
    return this.kernel.int32[(this.#at(node) + CHILD + 4 * side) >>> 2];
  }

  #word(at: number, value: number): void {
    this.kernel.int32[at >>> 2] = value;
  }

  #key(node: number): KernelOffset {
    return (this.#at(node) + this.#keyOffset) as KernelOffset;
  }

  #at(node: number): number {
    return this.#nodes + node * this.#stride;
  }
}
