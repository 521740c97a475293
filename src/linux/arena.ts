import { closeSync, openSync, readSync } from 'node:fs';
import { BpfError, ERRNO } from '../errors.ts';
import { arenaFacts } from '../facts.ts';
import type { ArenaMap, ArenaStatistics, PageState } from '../kernel.ts';
import { showAs } from '../shown.ts';
import type { RemoteBytes } from '../view/memory.ts';
import { ArenaReader } from './arena-reader.ts';
import { type Fd, linuxError, Mapping } from './fd.ts';
import { bufferAt, copyThroughKernel, detach } from './ffi.ts';
import { LinuxMap } from './map.ts';
import { ArenaMemory, RemoteView } from './memory.ts';
import { acquireMapping, releaseMapping } from './shared-mappings.ts';
import { loadSnippet, runSnippet } from './snippet.ts';

/**
 * An arena in Linux: the map, and its mapping into this process, which typed views look at without copying. An arena that
 * answers a touch of an absent page with SIGSEGV is not shown raw: every access goes through process_vm_readv and
 * process_vm_writev on ourselves, which answer with EFAULT instead. One that is only looked at is not mapped at all.
 */

const PAGE_SIZE = 4096;
const BPF_F_SEGV_ON_FAULT = 1 << 17;
const BPF_F_NO_USER_CONV = 1 << 18;

/** V8 spreads its heap, a quarter MiB here and there, over the lower 2^46 bytes: 4 GiB in one piece seldom stay free. */
const TAKEN =
  "JavaScript's heap may lie anywhere below 0x400000000000, so set mapExtra above that, or to 0; or open it read-only";

export interface ArenaOptions {
  /** The name in the object. */
  name?: string;
  /** User space can look, not touch. */
  readOnly?: boolean;
  /** Nobody has mapped it yet: this process decides where it lies. */
  fresh?: boolean;
}

export class LinuxArena extends LinuxMap implements ArenaMap {
  readonly memory: ArenaMemory;
  readonly userVmStart: bigint;
  readonly readOnly: boolean;
  /** It was made here; others that exist hold what somebody put there. */
  readonly fresh: boolean;
  /** Absent when it is only looked at. */
  readonly #mapping: Mapping | undefined;
  readonly #reader: ArenaReader | undefined;
  /** Only where touching is safe. */
  readonly #buffer: ArrayBuffer | undefined;
  #open = true;

  /** Maps the arena. Throws EEXIST when its addresses are taken in this process, ENOMEM, and what mmap(2) answers. */
  constructor(fd: Fd, { name, readOnly = false, fresh = false }: ArenaOptions = {}) {
    super(fd, name);
    this.readOnly = readOnly;
    this.fresh = fresh;
    this.#mapping = readOnly ? undefined : acquireMapping(this.id, () => this.#map(fresh));
    this.userVmStart =
      this.#mapping === undefined ? this.#whereOthersMapped() : BigInt(this.#mapping.address);
    this.#reader = readOnly ? new ArenaReader(fd.number, this.name, this.userVmStart) : undefined;
    const length = this.#mapping?.length ?? this.maxEntries * PAGE_SIZE;
    const safe = this.#mapping !== undefined && (this.flags & BPF_F_SEGV_ON_FAULT) === 0;
    this.#buffer = safe ? bufferAt(Number(this.userVmStart), length) : undefined;
    const remote = safe ? undefined : this.#remote();
    const view =
      remote === undefined ? new DataView(this.#buffer as ArrayBuffer) : new RemoteView(remote, length);
    const options = { name: `arena '${this.name}'`, length, readOnly, view, remote };
    this.memory = new ArenaMemory(options, this.userVmStart, (this.flags & BPF_F_NO_USER_CONV) !== 0);
  }

  get bytes(): Uint8Array {
    this.#checkOpen();
    if (this.#buffer !== undefined) return new Uint8Array(this.#buffer);
    const reason = this.readOnly
      ? 'it was opened read-only'
      : 'a touch of an absent page would end the process';
    throw new BpfError(
      'EOPNOTSUPP',
      `arena '${this.name}' has no raw bytes: ${reason}; use typed views, read and write`,
    );
  }

  /** Copies bytes out, whatever the arena's flags. Throws EFAULT outside, and for pages that Linux does not fault in. */
  read(offset: number, length: number): Uint8Array {
    this.memory.touch(offset, length, false);
    const bytes = new Uint8Array(length);
    this.#copy('read', offset, bytes);
    return bytes;
  }

  /** Copies bytes in. Throws as {@link read}, and EPERM when it was opened read-only. */
  write(offset: number, bytes: Uint8Array): void {
    this.memory.touch(offset, bytes.length, true);
    this.#copy('write', offset, bytes);
  }

  offsetOf(address: bigint): number {
    return this.memory.offsetOf(address);
  }

  /** Linux does not tell which pages programs allocated. */
  get statistics(): ArenaStatistics {
    return { pages: this.maxEntries, present: undefined, reserved: undefined, peak: undefined };
  }

  /**
   * `present` when this process has touched the page and it was not freed since, or, under BPF_F_SEGV_ON_FAULT, when it is
   * present at all. Of other pages Linux does not tell.
   */
  pageState(index: number): PageState | undefined {
    this.#checkOpen();
    if (!Number.isInteger(index) || index < 0 || index >= this.maxEntries)
      throw new BpfError('EINVAL', `arena '${this.name}' has ${this.maxEntries} pages, no page ${index}`);
    const offset = index * PAGE_SIZE;
    if (this.#mapping === undefined || offset >= this.#mapping.length) return undefined;
    const address = this.#mapping.address + offset;
    const present =
      (this.flags & BPF_F_SEGV_ON_FAULT) === 0
        ? inPageTable(address)
        : copyThroughKernel('read', address, new Uint8Array(1)) === 0;
    return present ? 'present' : undefined;
  }

  touch(address: bigint, length: number, writes = false): void {
    const offset = this.memory.offsetOf(address);
    this.memory.touch(offset, length, writes);
    if (length === 0) return;
    const { view } = this.memory;
    for (let page = offset - (offset % PAGE_SIZE); page < offset + length; page += PAGE_SIZE)
      view.getUint8(page);
  }

  override close(): void {
    if (this.#open) {
      this.#open = false;
      this.memory.close();
      if (this.#buffer !== undefined) detach(this.#buffer);
      if (this.#mapping !== undefined) releaseMapping(this.id);
      this.#reader?.close();
    }
    super.close();
  }

  #checkOpen(): void {
    if (!this.#open) throw new BpfError('EBADF', `arena '${this.name}' is closed`);
  }

  #remote(): RemoteBytes {
    return {
      read: (offset, into) => this.#copy('read', offset, into),
      write: (offset, from) => this.#copy('write', offset, from),
    };
  }

  #copy(direction: 'read' | 'write', offset: number, bytes: Uint8Array): void {
    this.#checkOpen();
    if (this.#reader !== undefined) {
      if (direction === 'read') this.#reader.read(offset, bytes);
      else this.#reader.write();
      return;
    }
    const address = Number(this.userVmStart) + offset;
    const result = copyThroughKernel(direction, address, bytes);
    if (result === 0) return;
    const where = `${bytes.length} bytes at 0x${address.toString(16)} (page ${Math.floor(offset / PAGE_SIZE)})`;
    const reason = 'no page is present there, and the arena has BPF_F_SEGV_ON_FAULT';
    throw linuxError(result, `arena '${this.name}': cannot ${direction} ${where}`, reason);
  }

  /** An arena that others mapped must be mapped where and as large as they did. */
  #map(fresh: boolean): Mapping {
    const given = Number(this.info.map_extra);
    const address = given !== 0 || fresh ? given : this.#askWhere();
    const whole = this.maxEntries * PAGE_SIZE;
    let mapping = this.#tryMap(whole, address);
    if (mapping === -ERRNO.E2BIG) mapping = this.#mapAsLargeAsOthers(address);
    if (typeof mapping !== 'number') return mapping;
    const where = address === 0 ? '' : ` at 0x${address.toString(16)}`;
    const advice =
      mapping === -ERRNO.EEXIST ? `something else is mapped there in this process; ${TAKEN}` : undefined;
    throw linuxError(mapping, `mapping arena '${this.name}'${where}`, advice);
  }

  #tryMap(length: number, address: number): Mapping | number {
    return Mapping.map(this.fd.number, { length, address });
  }

  /** The first mapping was shorter than max_entries: E2BIG says too large, EINVAL too small. */
  #mapAsLargeAsOthers(address: number): Mapping | number {
    let low = 1;
    let high = this.maxEntries;
    while (low < high) {
      const pages = (low + high) >>> 1;
      const result = this.#tryMap(pages * PAGE_SIZE, address);
      if (result === -ERRNO.EINVAL) low = pages + 1;
      else if (result === -ERRNO.E2BIG) high = pages;
      else return result;
    }
    return this.#tryMap(low * PAGE_SIZE, address);
  }

  #whereOthersMapped(): bigint {
    const address = this.info.map_extra || BigInt(this.#askWhere());
    if (address !== 0n) return address;
    throw new BpfError(
      'ENODATA',
      `arena '${this.name}': nobody has mapped it yet, so there is nothing to look at`,
    );
  }

  /** No call tells where others mapped it, but a program that refers to the arena gets its user address. 0: nobody did. */
  #askWhere(): number {
    const what = `asking where arena '${this.name}' is mapped`;
    const { fd, log } = loadSnippet(`ld_pseudo r2, 2, ${this.fd.number}
      *(u64 *)(r1 + 0) = r2
      r0 = 0
      exit`);
    if (fd === undefined) {
      if (log.includes("arena's user address must be set")) return 0;
      throw new BpfError('EINVAL', `${what}: ${log.trim()}`);
    }
    try {
      const ctx = new BigUint64Array(1);
      runSnippet(fd.number, ctx, what);
      return Number(ctx[0]);
    } finally {
      fd.close();
    }
  }
}

const PRESENT_OR_SWAPPED = 0xc0;

/** Whether this process's page table has a page at an address. */
function inPageTable(address: number): boolean {
  const file = openSync('/proc/self/pagemap', 'r');
  try {
    const entry = new Uint8Array(8);
    readSync(file, entry, 0, 8, (address / PAGE_SIZE) * 8);
    return (entry[7] & PRESENT_OR_SWAPPED) !== 0;
  } finally {
    closeSync(file);
  }
}

showAs(LinuxArena, arenaFacts);
