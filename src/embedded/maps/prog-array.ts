import { BpfError, ERRNO } from '../../errors.ts';
import {
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
} from '../../object/map-flags.ts';
import type { KernelOffset } from '../layout.ts';
import { checkFlags, type MapAttributes } from './attributes.ts';
import type { MapHost } from './host.ts';
import { EmbeddedMap } from './map.ts';

/**
 * BPF_MAP_TYPE_PROG_ARRAY: where tail calls lead. A slot holds the number of a program, 0 for none; compiled programs read it
 * themselves (src/jit/emit/call.ts). User space puts programs in by their handles. All programs in it, and all that jump through
 * it, are of one kind.
 */

const FLAGS = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

/** Bytes from one slot to the next. */
export const PROG_SLOT_BYTES = 4;
/** Linux: MAX_TAIL_CALL_CNT. */
export const MAX_TAIL_CALLS = 33;

/** What programs in an array have in common (Linux: struct bpf_map_owner), as one text. */
export interface TailCaller {
  readonly id: number;
  readonly owner: string;
}

export class ProgArrayMap extends EmbeddedMap {
  readonly region = undefined;
  readonly #slots: Int32Array;
  #owner: string | undefined;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    const { name, keySize, valueSize, maxEntries } = attributes;
    const refuse = (problem: string) => new BpfError('EINVAL', `map '${name}': ${problem}`);
    if (keySize !== 4 || valueSize !== 4) throw refuse('index and value of a program array have 4 bytes');
    if (maxEntries === 0) throw refuse('max_entries must not be 0');
    checkFlags(attributes, FLAGS);
    super(host, id, attributes, header);
    this.#slots = host.memory.words(this.own(PROG_SLOT_BYTES * maxEntries), maxEntries);
  }

  /** Whether a program may be in the array, or jump through it; the first one says for all (Linux: bpf_prog_map_compatible). */
  accepts({ owner }: TailCaller): boolean {
    this.#owner ??= owner;
    return this.#owner === owner;
  }

  /** Empties the slots that hold a program: it is closed. */
  drop({ id }: TailCaller): void {
    this.#slots.forEach((held, index) => {
      if (held === id) Atomics.store(this.#slots, index, 0);
    });
  }

  /** The number of the program in a slot, 0 for none. */
  programAt(index: number): number {
    return index < this.maxEntries ? Atomics.load(this.#slots, index) : 0;
  }

  /** A slot that holds a program, as user space reads it: its id. */
  override find(key: KernelOffset): KernelOffset {
    const index = this.kernel.view.getUint32(key, true);
    return (this.programAt(index) === 0 ? 0 : this.#slots.byteOffset + 4 * index) as KernelOffset;
  }

  override store(key: KernelOffset, value: KernelOffset, flags: number): number {
    const { view } = this.kernel;
    const index = view.getUint32(key, true);
    if (flags !== 0) return -ERRNO.EINVAL;
    if (index >= this.maxEntries) return -ERRNO.E2BIG;
    const program = this.host.tailCaller?.(view.getUint32(value, true));
    if (program === undefined) return -ERRNO.EBADF;
    if (!this.accepts(program)) return -ERRNO.EINVAL;
    Atomics.store(this.#slots, index, program.id);
    return 0;
  }

  override remove(key: KernelOffset): number {
    const index = this.kernel.view.getUint32(key, true);
    if (index >= this.maxEntries) return -ERRNO.E2BIG;
    return Atomics.exchange(this.#slots, index, 0) === 0 ? -ERRNO.ENOENT : 0;
  }

  override next(key: KernelOffset, next: KernelOffset): number {
    const { view } = this.kernel;
    const index = key === 0 ? this.maxEntries : view.getUint32(key, true);
    if (index === this.maxEntries - 1) return -ERRNO.ENOENT;
    view.setUint32(next, index >= this.maxEntries ? 0 : index + 1, true);
    return 0;
  }
}
