import { BpfError } from '../errors.ts';
import type { RemoteBytes, ViewMemory } from '../view/memory.ts';

/**
 * Memory of Linux maps as typed views see it. Where it is mapped and safe to touch, views look at the mapping itself; where
 * it is not (no mapping, or one that answers a touch with SIGSEGV), a {@link RemoteView} stands in for it, whose every access
 * asks the kernel.
 */

/** A DataView over bytes that are not ours to touch: its methods copy the few bytes they need in or out. */
export class RemoteView extends DataView<ArrayBuffer> {
  readonly #bytes: RemoteBytes;
  readonly #length: number;
  /** The value in transit; by size, so that each is written whole. */
  readonly #scratch: Readonly<Record<1 | 2 | 4 | 8, Uint8Array>>;

  constructor(bytes: RemoteBytes, length: number) {
    const buffer = new ArrayBuffer(8);
    super(buffer);
    this.#bytes = bytes;
    this.#length = length;
    const first = (size: number) => new Uint8Array(buffer, 0, size);
    this.#scratch = { 1: first(1), 2: first(2), 4: first(4), 8: first(8) };
  }

  override get byteLength(): number {
    return this.#length;
  }

  #load(offset: number, size: 1 | 2 | 4 | 8): void {
    this.#bytes.read(offset, this.#scratch[size]);
  }

  #store(offset: number, size: 1 | 2 | 4 | 8): void {
    this.#bytes.write(offset, this.#scratch[size]);
  }

  override getInt8(offset: number): number {
    this.#load(offset, 1);
    return super.getInt8(0);
  }
  override getUint8(offset: number): number {
    this.#load(offset, 1);
    return super.getUint8(0);
  }
  override getInt16(offset: number, little?: boolean): number {
    this.#load(offset, 2);
    return super.getInt16(0, little);
  }
  override getUint16(offset: number, little?: boolean): number {
    this.#load(offset, 2);
    return super.getUint16(0, little);
  }
  override getInt32(offset: number, little?: boolean): number {
    this.#load(offset, 4);
    return super.getInt32(0, little);
  }
  override getUint32(offset: number, little?: boolean): number {
    this.#load(offset, 4);
    return super.getUint32(0, little);
  }
  override getFloat32(offset: number, little?: boolean): number {
    this.#load(offset, 4);
    return super.getFloat32(0, little);
  }
  override getFloat64(offset: number, little?: boolean): number {
    this.#load(offset, 8);
    return super.getFloat64(0, little);
  }
  override getBigInt64(offset: number, little?: boolean): bigint {
    this.#load(offset, 8);
    return super.getBigInt64(0, little);
  }
  override getBigUint64(offset: number, little?: boolean): bigint {
    this.#load(offset, 8);
    return super.getBigUint64(0, little);
  }
  override setInt8(offset: number, value: number): void {
    super.setInt8(0, value);
    this.#store(offset, 1);
  }
  override setUint8(offset: number, value: number): void {
    super.setUint8(0, value);
    this.#store(offset, 1);
  }
  override setInt16(offset: number, value: number, little?: boolean): void {
    super.setInt16(0, value, little);
    this.#store(offset, 2);
  }
  override setUint16(offset: number, value: number, little?: boolean): void {
    super.setUint16(0, value, little);
    this.#store(offset, 2);
  }
  override setInt32(offset: number, value: number, little?: boolean): void {
    super.setInt32(0, value, little);
    this.#store(offset, 4);
  }
  override setUint32(offset: number, value: number, little?: boolean): void {
    super.setUint32(0, value, little);
    this.#store(offset, 4);
  }
  override setFloat32(offset: number, value: number, little?: boolean): void {
    super.setFloat32(0, value, little);
    this.#store(offset, 4);
  }
  override setFloat64(offset: number, value: number, little?: boolean): void {
    super.setFloat64(0, value, little);
    this.#store(offset, 8);
  }
  override setBigInt64(offset: number, value: bigint, little?: boolean): void {
    super.setBigInt64(0, value, little);
    this.#store(offset, 8);
  }
  override setBigUint64(offset: number, value: bigint, little?: boolean): void {
    super.setBigUint64(0, value, little);
    this.#store(offset, 8);
  }
}

/** The upper 16 bits of a kernel address, in the signed upper half of a pointer. */
const KERNEL_BITS = 0xffff;

/** Whether a pointer, by its upper half, leads into the kernel: user space cannot follow it. */
function isKernelAddress(high: number): boolean {
  return high >>> 16 === KERNEL_BITS;
}

/** Memory of which views may touch a range, until it is closed. */
abstract class Bounded implements ViewMemory {
  abstract readonly view: DataView;
  readonly #name: string;
  readonly #readOnly: boolean;
  /** Bytes; −1 once closed, so that one comparison finds both. */
  #end: number;

  constructor(name: string, length: number, readOnly: boolean) {
    this.#name = name;
    this.#end = length;
    this.#readOnly = readOnly;
  }

  touch(offset: number, length: number, writes: boolean): void {
    if (offset + length > this.#end || offset < 0 || (writes && this.#readOnly)) this.#refuse(offset, length);
  }

  #refuse(offset: number, length: number): never {
    if (this.#end < 0) throw new BpfError('EBADF', `${this.#name} is closed`);
    if (offset + length <= this.#end && offset >= 0)
      throw new BpfError('EPERM', `${this.#name} is read-only: it cannot be changed`);
    const range = `bytes ${offset} to ${offset + length}`;
    throw new BpfError('EFAULT', `${range} are outside the ${this.#end} of ${this.#name}`);
  }

  close(): void {
    this.#end = -1;
  }

  abstract pointerTarget(low: number, high: number): ViewMemory | undefined;
  abstract pointerOffset(low: number, high: number): number;
  abstract addressOf(offset: number): bigint;
}

export interface MemoryOptions {
  /** For messages: `map 'x'`. */
  readonly name: string;
  /** Bytes. */
  readonly length: number;
  readonly readOnly?: boolean;
  /** The memory: mapped, or reached by calls. */
  readonly view: DataView;
  readonly remote?: RemoteBytes;
}

/** The value of a map with one element, such as a data section; offsets count from its start. */
export class ValueMemory extends Bounded {
  readonly view: DataView;
  readonly remote: RemoteBytes | undefined;
  readonly #name: string;
  readonly #arena: ViewMemory | undefined;

  /** @param arena where pointers in the value may lead. */
  constructor(
    { name, length, readOnly = false, view, remote }: MemoryOptions,
    arena: ViewMemory | undefined,
  ) {
    super(name, length, readOnly);
    this.view = view;
    this.remote = remote;
    this.#name = name;
    this.#arena = arena;
  }

  pointerTarget(low: number, high: number): ViewMemory | undefined {
    return isKernelAddress(high) ? undefined : this.#arena?.pointerTarget(low, high);
  }

  pointerOffset(low: number, high: number): number {
    return this.#arena?.pointerOffset(low, high) ?? 0;
  }

  addressOf(): bigint {
    throw new BpfError('EINVAL', `${this.#name} is kernel memory: nothing in the arena can point to it`);
  }
}

/** An arena; offsets count from its start, `userVmStart`. */
export class ArenaMemory extends Bounded {
  readonly view: DataView;
  readonly remote: RemoteBytes | undefined;
  readonly #userVmStart: bigint;
  readonly #low: number;
  readonly #high: number;
  readonly #length: number;
  readonly #noUserConv: boolean;

  constructor(
    { name, length, readOnly = false, view, remote }: MemoryOptions,
    userVmStart: bigint,
    noUserConv: boolean,
  ) {
    super(name, length, readOnly);
    this.view = view;
    this.remote = remote;
    this.#userVmStart = userVmStart;
    this.#low = Number(userVmStart & 0xffffffffn);
    this.#high = Number(userVmStart >> 32n) | 0;
    this.#length = length;
    this.#noUserConv = noUserConv;
  }

  pointerTarget(low: number, high: number): ViewMemory | undefined {
    const offset = (low >>> 0) - this.#low;
    const known = high === this.#high || (high === 0 && this.#noUserConv);
    if (known && offset >= 0 && offset < this.#length) return this;
    if (isKernelAddress(high)) return undefined;
    throw this.#outside((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
  }

  pointerOffset(low: number, _high: number): number {
    return (low >>> 0) - this.#low;
  }

  /** The offset of a user address. Throws EFAULT outside the arena. */
  offsetOf(address: bigint): number {
    const inArena = this.#noUserConv && address >> 32n === 0n ? Number(address) - this.#low : undefined;
    const offset = inArena ?? Number(address - this.#userVmStart);
    if (offset >= 0 && offset < this.#length) return offset;
    throw this.#outside(address);
  }

  /** Programs of a NO_USER_CONV arena look at the lower half alone. */
  addressOf(offset: number): bigint {
    return this.#userVmStart + BigInt(offset);
  }

  #outside(address: bigint): BpfError {
    const hint = address >> 32n === 0n ? ' (it has no upper half: was it stored without cast_user?)' : '';
    const end = this.#userVmStart + BigInt(this.#length) - 1n;
    const range = `0x${this.#userVmStart.toString(16)} to 0x${end.toString(16)}`;
    return new BpfError('EFAULT', `0x${address.toString(16)} is outside the arena, ${range}${hint}`);
  }
}
