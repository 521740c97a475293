import {
  type AccessSize,
  ATOMIC_OPERATIONS,
  type AtomicOperation,
  BPF_CMPXCHG,
  opcode,
} from '../isa/opcodes.ts';
import type { Handler } from './alu.ts';
import { type AccessKind, type ArenaWindow, PAGE_PRESENT, PAGE_WRITTEN } from './environment.ts';
import { Violation } from './guard.ts';
import { ARENA_POINTER, type Machine, SCALAR } from './machine.ts';

/**
 * Loads, stores and atomics (RFC 9669, section 5) on the two memories. Which one an access reaches depends on the
 * pointer it goes through. An arena access may lie anywhere: where a page is absent a load gives 0, a store is dropped,
 * and an atomic changes neither memory nor register, as on Linux. A kernel-memory access is checked by the guard.
 */

const PAGE_SHIFT = 12;
const WINDOW = 2 ** 32;
/** {@link locate} says that the access touches a page that is absent. */
const ABSENT = -1;

/**
 * Finds the memory and the offset that an access through register `base` reaches.
 * @returns the offset into `machine.target`, or ABSENT. Throws a Violation when the program may not access it.
 */
function locate(machine: Machine, pc: number, base: number, size: number, access: AccessKind): number {
  const { regs, code, environment } = machine;
  const low = regs[2 * base] >>> 0;
  const address = low + code.off[pc];
  const arena = environment.arena;
  if (machine.tags[base] === ARENA_POINTER && arena !== undefined) {
    return locateInArena(machine, arena, pc, address, size, access);
  }
  if (regs[2 * base + 1] !== environment.kernelHigh) {
    const hint = address === code.off[pc] && regs[2 * base + 1] === 0 ? ': it is NULL' : '';
    throw new Violation(machine, `R${base} invalid mem access 'scalar'${hint}`);
  }
  const onStack = address >= machine.stackBottom && address + size <= machine.stackTop;
  if (!onStack) {
    const refusal = environment.refusal(address, size, access !== 'load');
    if (refusal !== undefined) throw new Violation(machine, refusal);
  }
  machine.target = environment.kernelMemory;
  return address;
}

function locateInArena(
  machine: Machine,
  arena: ArenaWindow,
  pc: number,
  address: number,
  size: number,
  access: AccessKind,
): number {
  const last = address + size - 1;
  const { pageTable } = arena;
  const inside = address >= 0 && last < WINDOW;
  // An access straddles two pages at most; what holds for both holds for it.
  const both = inside ? pageTable[address >>> PAGE_SHIFT] & pageTable[last >>> PAGE_SHIFT] : 0;
  if ((both & PAGE_PRESENT) === 0) {
    machine.environment.fault({ insn: pc, address, size, access });
    return ABSENT;
  }
  if (access !== 'load' && (both & PAGE_WRITTEN) === 0) {
    pageTable[address >>> PAGE_SHIFT] |= PAGE_WRITTEN;
    pageTable[last >>> PAGE_SHIFT] |= PAGE_WRITTEN;
  }
  machine.target = arena.view;
  return address;
}

/** The low half of what `size` bytes hold, sign- or zero-extended to 32 bits. */
function read(target: DataView, at: number, size: AccessSize, signed: boolean): number {
  switch (size) {
    case 1:
      return signed ? target.getInt8(at) : target.getUint8(at);
    case 2:
      return signed ? target.getInt16(at, true) : target.getUint16(at, true);
    default:
      return target.getInt32(at, true);
  }
}

function write(target: DataView, at: number, size: AccessSize, low: number, high: number): void {
  switch (size) {
    case 1:
      target.setInt8(at, low);
      break;
    case 2:
      target.setInt16(at, low, true);
      break;
    case 4:
      target.setInt32(at, low, true);
      break;
    case 8:
      target.setInt32(at, low, true);
      target.setInt32(at + 4, high, true);
  }
}

/** Remembers that a stack slot holds an arena pointer, or forgets it: spill and fill keep the type. */
function tagStack(machine: Machine, at: number, size: number, tag: number): void {
  const bottom = machine.stackTop - machine.stackTags.length * 8;
  if (machine.target !== machine.environment.kernelMemory || at < bottom || at >= machine.stackTop) return;
  const slot = (at - bottom) >> 3;
  machine.stackTags[slot] = size === 8 && at % 8 === 0 ? tag : SCALAR;
  machine.stackTags[(at + size - 1 - bottom) >> 3] = machine.stackTags[slot];
}

function stackTag(machine: Machine, at: number, size: number): number {
  const bottom = machine.stackTop - machine.stackTags.length * 8;
  const onStack =
    machine.target === machine.environment.kernelMemory && at >= bottom && at < machine.stackTop;
  return onStack && size === 8 && at % 8 === 0 ? machine.stackTags[(at - bottom) >> 3] : SCALAR;
}

function load(size: AccessSize, signed: boolean): Handler {
  return (machine, pc) => {
    const { regs, code, tags } = machine;
    const dst = code.dst[pc];
    const at = locate(machine, pc, code.src[pc], size, 'load');
    const low = at === ABSENT ? 0 : read(machine.target, at, size, signed);
    const wide = size === 8 && at !== ABSENT;
    regs[2 * dst] = low;
    regs[2 * dst + 1] = wide ? machine.target.getInt32(at + 4, true) : signed ? low >> 31 : 0;
    tags[dst] = wide ? stackTag(machine, at, size) : SCALAR;
    return pc + 1;
  };
}

function store(size: AccessSize): Handler {
  return (machine, pc) => {
    const { regs, code, tags } = machine;
    const src = code.src[pc];
    const at = locate(machine, pc, code.dst[pc], size, 'store');
    if (at === ABSENT) return pc + 1;
    write(machine.target, at, size, regs[2 * src], regs[2 * src + 1]);
    tagStack(machine, at, size, tags[src]);
    return pc + 1;
  };
}

/** What an atomic operation leaves in memory, from what stood there and the operand. */
const COMBINE: Record<string, (old: bigint, operand: bigint) => bigint> = {
  add: (old, operand) => old + operand,
  or: (old, operand) => old | operand,
  and: (old, operand) => old & operand,
  xor: (old, operand) => old ^ operand,
  xchg: (_, operand) => operand,
};

/** The fetching operations that Linux translates for arena memory. */
const ARENA_FETCHES = new Set(['add', 'xchg', 'cmpxchg']);

/** Reads a whole aligned word atomically where the address allows it. */
function readAtomic(target: DataView, at: number, size: AccessSize): bigint {
  if (at % size !== 0) return readWide(target, at, size);
  return BigInt(Atomics.load(typed(target, at, size) as BigUint64Array, 0));
}

function readWide(target: DataView, at: number, size: AccessSize): bigint {
  return size === 8
    ? target.getBigUint64(at, true)
    : BigInt.asUintN(8 * size, BigInt(read(target, at, size, false)));
}

function typed(
  target: DataView,
  at: number,
  size: AccessSize,
): Uint8Array | Uint16Array | Uint32Array | BigUint64Array {
  const { buffer, byteOffset } = target;
  switch (size) {
    case 1:
      return new Uint8Array(buffer, byteOffset + at, 1);
    case 2:
      return new Uint16Array(buffer, byteOffset + at, 1);
    case 4:
      return new Uint32Array(buffer, byteOffset + at, 1);
    case 8:
      return new BigUint64Array(buffer, byteOffset + at, 1);
  }
}

/** Replaces `old` by `value` if it still stands there; a misaligned word is replaced in one go of this thread. */
function replace(target: DataView, at: number, size: AccessSize, old: bigint, value: bigint): boolean {
  const stored = BigInt.asUintN(8 * size, value);
  if (at % size !== 0) {
    write(target, at, size, Number(BigInt.asIntN(32, stored)), Number(BigInt.asIntN(32, stored >> 32n)));
    return true;
  }
  const word = typed(target, at, size);
  if (word instanceof BigUint64Array) return Atomics.compareExchange(word, 0, old, stored) === old;
  return Atomics.compareExchange(word, 0, Number(old), Number(stored)) === Number(old);
}

function setRegister(machine: Machine, register: number, value: bigint): void {
  machine.wide[register] = value;
  machine.tags[register] = SCALAR;
}

function atomic(size: AccessSize): Handler {
  return (machine, pc) => {
    const { code } = machine;
    const row = ATOMIC_OPERATIONS.find(({ imm }) => imm === code.imm[pc]) as AtomicOperation;
    if (row.op === 'load_acquire') return loadAcquire(machine, pc, size);
    const dst = code.dst[pc];
    const src = code.src[pc];
    if (machine.tags[dst] === ARENA_POINTER && row.fetch && !ARENA_FETCHES.has(row.op)) {
      throw new Violation(machine, `BPF_ATOMIC stores into R${dst} arena is not allowed`);
    }
    const at = locate(machine, pc, dst, size, row.op === 'store_release' ? 'store' : 'atomic');
    if (at === ABSENT) return pc + 1;
    const operand = BigInt.asUintN(8 * size, machine.wide[src]);
    tagStack(machine, at, size, SCALAR);
    for (;;) {
      const old = readAtomic(machine.target, at, size);
      if (row.imm === BPF_CMPXCHG) {
        const expected = BigInt.asUintN(8 * size, machine.wide[0]);
        if (old !== expected || replace(machine.target, at, size, old, operand)) {
          setRegister(machine, 0, old);
          return pc + 1;
        }
      } else if (replace(machine.target, at, size, old, (COMBINE[row.op] ?? COMBINE.xchg)(old, operand))) {
        if (row.fetch) setRegister(machine, src, old);
        return pc + 1;
      }
    }
  };
}

function loadAcquire(machine: Machine, pc: number, size: AccessSize): number {
  const at = locate(machine, pc, machine.code.src[pc], size, 'load');
  if (at !== ABSENT) setRegister(machine, machine.code.dst[pc], readAtomic(machine.target, at, size));
  return pc + 1;
}

/** The handler for a code byte that accesses memory, or undefined when it is none. */
export function memoryHandler(code: number): Handler | undefined {
  const row = opcode(code);
  switch (row?.kind) {
    case 'load':
      return load(row.size, row.signed);
    case 'store':
      return store(row.size);
    case 'atomic':
      return atomic(row.size);
    default:
      return undefined;
  }
}
