import { BpfError, ERRNO } from '../../errors.ts';
import {
  BPF_ANY,
  BPF_EXIST,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_WRONLY,
  BPF_NOEXIST,
} from '../../object/map-flags.ts';
import { MAP_TYPES } from '../../object/map-types.ts';
import { LOOPBACK } from '../contexts/structure.ts';
import type { KernelOffset } from '../layout.ts';
import { nextIndex } from './array.ts';
import { checkFlags, type MapAttributes, refusedSetting } from './attributes.ts';
import { HashTable } from './hash-table.ts';
import type { MapHost } from './host.ts';
import type { ValueRegion } from './kernel-map.ts';
import { EmbeddedMap } from './map.ts';

/**
 * Where bpf_redirect_map sends packets: to interfaces (BPF_MAP_TYPE_DEVMAP, _DEVMAP_HASH), CPUs (_CPUMAP) and sockets (_XSKMAP). Test runs
 * send nothing, so what counts is whether an element is there. There is one interface, the loopback; there are no sockets
 * of this kind; and no program runs where a packet arrives.
 */

/** Interfaces: flags of redirecting. */
const BPF_F_BROADCAST = 1 << 3;
const BPF_F_EXCLUDE_INGRESS = 1 << 4;
const FLAGS = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY;
/** Linux: CONFIG_NR_CPUS as Debian sets it. */
const NR_CPUS = 256;
/** Linux: the most that a CPU's queue holds. */
const MAX_QUEUE = 16_384;

/** What bpf_redirect_map can send packets to. */
export interface RedirectMap {
  /** The flags that redirecting takes besides the verdict for when there is no element. */
  readonly redirectFlags: number;
  /** Whether there is an element with a key. */
  leads(key: number, cpu: number): boolean;
}

/** How types differ. */
interface Kind {
  readonly valueSizes: readonly number[];
  readonly flags: number;
  readonly redirectFlags: number;
}

const DEVICES: Kind = {
  valueSizes: [4, 8],
  flags: FLAGS,
  redirectFlags: BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS,
};
const KINDS: Readonly<Record<number, Kind>> = {
  [MAP_TYPES.devmap]: DEVICES,
  [MAP_TYPES.devmap_hash]: DEVICES,
  [MAP_TYPES.cpumap]: { valueSizes: [4, 8], flags: BPF_F_NUMA_NODE, redirectFlags: 0 },
  [MAP_TYPES.xskmap]: { valueSizes: [4], flags: FLAGS, redirectFlags: 0 },
};

function checkAttributes(attributes: MapAttributes): void {
  const { name, type, keySize, valueSize, maxEntries } = attributes;
  const { valueSizes, flags } = KINDS[type];
  if (keySize !== 4) throw refusedSetting(attributes, `the key is 4 bytes, not ${keySize}`);
  if (!valueSizes.includes(valueSize))
    throw refusedSetting(attributes, `the value is ${valueSizes.join(' or ')} bytes, not ${valueSize}`);
  if (maxEntries === 0) throw refusedSetting(attributes, 'max_entries must not be 0');
  checkFlags(attributes, flags);
  if (type === MAP_TYPES.cpumap && maxEntries > NR_CPUS)
    throw new BpfError('E2BIG', `map '${name}': max_entries of a cpumap is at most ${NR_CPUS}`);
}

/** What user space stores: an interface or the length of a queue, and the file descriptor of a program, signed. */
function wanted(view: DataView, value: KernelOffset, valueSize: number): [what: number, program: number] {
  return [view.getUint32(value, true), valueSize > 4 ? view.getInt32(value + 4, true) : 0];
}

/** Bytes of an element: whether it is there, and its value. */
const STRIDE = 16;
const VALUE = 8;

/** The three that are arrays. */
export class RedirectArray extends EmbeddedMap implements RedirectMap {
  readonly region: ValueRegion;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    checkAttributes(attributes);
    super(host, id, attributes, header);
    const bytes = STRIDE * attributes.maxEntries;
    const start = (this.own(bytes) + VALUE) as KernelOffset;
    this.region = { start, end: start + bytes - VALUE, stride: STRIDE };
  }

  get redirectFlags(): number {
    return KINDS[this.type].redirectFlags;
  }

  leads(key: number): boolean {
    return key < this.maxEntries && Atomics.load(this.kernel.int32, this.#word(key)) !== 0;
  }

  override find(key: KernelOffset): KernelOffset {
    const index = this.kernel.view.getUint32(key, true);
    return (this.leads(index) ? this.#valueOf(index) : 0) as KernelOffset;
  }

  override store(key: KernelOffset, value: KernelOffset, flags: number): number {
    const { view } = this.kernel;
    const index = view.getUint32(key, true);
    const [what, program] = wanted(view, value, this.valueSize);
    if (flags > BPF_EXIST) return -ERRNO.EINVAL;
    if (index >= this.maxEntries) return -ERRNO.E2BIG;
    if (flags === BPF_NOEXIST) return -ERRNO.EEXIST;
    const problem = this.#problem(index, what, program);
    if (problem !== 0) return problem;
    const place = this.#valueOf(index);
    view.setUint32(place, what, true);
    if (this.valueSize > 4) view.setUint32(place + 4, 0, true);
    Atomics.store(this.kernel.int32, this.#word(index), what === 0 ? 0 : 1);
    return 0;
  }

  #problem(index: number, what: number, program: number): number {
    if (this.type === MAP_TYPES.xskmap) return -ERRNO.EBADF;
    if (this.type === MAP_TYPES.devmap) return deviceProblem(what, program);
    if (what > MAX_QUEUE) return -ERRNO.EOVERFLOW;
    if (index >= this.host.cpus) return -ERRNO.ENODEV;
    return what !== 0 && program > 0 ? -ERRNO.EINVAL : 0;
  }

  override remove(key: KernelOffset): number {
    const index = this.kernel.view.getUint32(key, true);
    if (index >= this.maxEntries) return -ERRNO.EINVAL;
    Atomics.store(this.kernel.int32, this.#word(index), 0);
    return 0;
  }

  override next(key: KernelOffset, next: KernelOffset): number {
    return nextIndex(this.kernel, this.maxEntries, key, next);
  }

  protected override fetch(key: KernelOffset, value: KernelOffset, flags: number): number {
    return this.type === MAP_TYPES.xskmap ? -ERRNO.EOPNOTSUPP : super.fetch(key, value, flags);
  }

  #valueOf(index: number): number {
    return this.region.start + STRIDE * index;
  }

  /** The word that says whether an element is there. */
  #word(index: number): number {
    return (this.#valueOf(index) - VALUE) >>> 2;
  }
}

/** 0, or why there is no such element of interfaces. An interface 0 takes the element away. */
function deviceProblem(device: number, program: number): number {
  return device > LOOPBACK || program > 0 ? -ERRNO.EINVAL : 0;
}

export class DevmapHash extends HashTable implements RedirectMap {
  readonly redirectFlags = KINDS[MAP_TYPES.devmap_hash].redirectFlags;
  /** A key for each CPU to look for. */
  readonly #keys: KernelOffset;

  constructor(host: MapHost, id: number, attributes: MapAttributes, header?: KernelOffset) {
    checkAttributes(attributes);
    super(host, id, attributes, header);
    this.#keys = this.own(4 * host.cpus);
  }

  leads(key: number, cpu: number): boolean {
    const at = (this.#keys + 4 * cpu) as KernelOffset;
    this.kernel.view.setUint32(at, key, true);
    return this.find(at, cpu) !== 0;
  }

  override store(key: KernelOffset, value: KernelOffset, flags: number, cpu: number): number {
    const { view } = this.kernel;
    const [device, program] = wanted(view, value, this.valueSize);
    if (flags > BPF_EXIST || device === 0) return -ERRNO.EINVAL;
    const problem = deviceProblem(device, program);
    if (problem !== 0) return problem;
    if (this.valueSize > 4) view.setUint32(value + 4, 0, true);
    return super.store(key, value, flags === BPF_EXIST ? BPF_ANY : flags, cpu);
  }

  protected override get batches(): 'none' {
    return 'none';
  }

  protected override takeOut(): number {
    return -ERRNO.ENOTSUPP;
  }
}
