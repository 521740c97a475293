import {
  type AccessSize,
  ATOMIC_OPERATIONS,
  type AtomicOperation,
  atomicOperation,
  BPF_CMPXCHG,
  opcode,
} from '../isa/opcodes.ts';
import type { ContextFieldFact } from '../verifier/facts.ts';
import type { Handler } from './alu.ts';
import { type AccessKind, PAGE_PRESENT, PAGE_WRITTEN } from './environment.ts';
import type { Machine } from './machine.ts';

/**
 * Loads, stores and atomics (RFC 9669, section 5) on the two memories. Which one an instruction reaches the verifier found out.
 * An arena access may lie anywhere: where a page is absent a load gives 0, a store is dropped, and an atomic changes neither
 * memory nor register, as on Linux; but what the register keeps is cut to the size of the access, as the verifier says of what
 * was loaded (on Linux it keeps all 64 bits, and the verifier is wrong). An access to kernel memory is proven to be inside what
 * the program owns; should that be wrong, it still cannot leave kernel memory, for its view knows its bounds.
 */

const PAGE_SHIFT = 12;
const WINDOW = 2 ** 32;
/** A {@link Locate} says that the access touches a page that is absent. */
const ABSENT = -1;

/**
 * Finds the memory and the offset that an access through register `base` reaches.
 * @returns the offset into `machine.target`, or ABSENT.
 */
type Locate = (machine: Machine, pc: number, base: number, size: number, access: AccessKind) => number;

const locateInKernel: Locate = (machine, pc, base) => {
  machine.target = machine.environment.kernelMemory;
  return (machine.regs[2 * base] >>> 0) + machine.code.off[pc];
};

/** The last page of kernel memory is never handed out: an access that ends there is none. */
const PROBED_END = WINDOW - 4096;

/** A pointer that may lead nowhere: what is not kernel memory reads as 0 (Linux: BPF_PROBE_MEM). */
const locateProbed: Locate = (machine, pc, base) => {
  const { environment, regs, code } = machine;
  machine.target = environment.kernelMemory;
  const at = (regs[2 * base] >>> 0) + code.off[pc];
  return regs[2 * base + 1] === environment.kernelHigh && at >= 0 && at < PROBED_END ? at : ABSENT;
};

const locateInArena: Locate = (machine, pc, base, size, access) => {
  const { arena } = machine.environment;
  if (arena === undefined) throw new TypeError('a program without an arena reaches into one');
  const address = (machine.regs[2 * base] >>> 0) + machine.code.off[pc];
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
    // Another CPU may be freeing the page: only this bit is to change.
    Atomics.or(pageTable, address >>> PAGE_SHIFT, PAGE_WRITTEN);
    Atomics.or(pageTable, last >>> PAGE_SHIFT, PAGE_WRITTEN);
  }
  machine.target = arena.view;
  return address;
};

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

function load(size: AccessSize, signed: boolean, locate: Locate): Handler {
  return (machine, pc) => {
    const { regs, code } = machine;
    const dst = code.dst[pc];
    const at = locate(machine, pc, code.src[pc], size, 'load');
    const low = at === ABSENT ? 0 : read(machine.target, at, size, signed);
    const wide = size === 8 && at !== ABSENT;
    regs[2 * dst] = low;
    regs[2 * dst + 1] = wide ? machine.target.getInt32(at + 4, true) : signed ? low >> 31 : 0;
    return pc + 1;
  };
}

function store(size: AccessSize, locate: Locate): Handler {
  return (machine, pc) => {
    const { regs, code } = machine;
    const src = code.src[pc];
    const at = locate(machine, pc, code.dst[pc], size, 'store');
    if (at !== ABSENT) write(machine.target, at, size, regs[2 * src], regs[2 * src + 1]);
    return pc + 1;
  };
}

/** Linux: what skb->queue_mapping cannot be set to, nor to more. */
const NO_QUEUE_MAPPING = 0xffff;

/** The handler of an access to a field of the context that is more than memory. @param handler of a plain access. */
export function contextFieldHandler(field: ContextFieldFact, handler: Handler): Handler {
  if (field === 'pointer')
    return (machine, pc) => {
      const next = handler(machine, pc);
      machine.regs[2 * machine.code.dst[pc] + 1] = machine.environment.kernelHigh;
      return next;
    };
  return (machine, pc) => {
    const { regs, code } = machine;
    const [low, high] = regs.subarray(2 * code.src[pc]);
    if (field === 'queue' && (high !== 0 || low >>> 0 >= NO_QUEUE_MAPPING)) return pc + 1;
    machine.environment.kernelMemory.setUint16(
      locateInKernel(machine, pc, code.dst[pc], 2, 'store'),
      low,
      true,
    );
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

function atomic(size: AccessSize, locate: Locate): Handler {
  return (machine, pc) => {
    const { code, wide } = machine;
    const row = ATOMIC_OPERATIONS.find(({ imm }) => imm === code.imm[pc]) as AtomicOperation;
    if (row.op === 'load_acquire') return loadAcquire(machine, pc, size, locate);
    const src = code.src[pc];
    const at = locate(machine, pc, code.dst[pc], size, row.op === 'store_release' ? 'store' : 'atomic');
    if (at === ABSENT) {
      if (row.fetch) keepLow(machine, row.imm === BPF_CMPXCHG ? 0 : src, size);
      return pc + 1;
    }
    const operand = BigInt.asUintN(8 * size, wide[src]);
    for (;;) {
      const old = readAtomic(machine.target, at, size);
      if (row.imm === BPF_CMPXCHG) {
        const expected = BigInt.asUintN(8 * size, wide[0]);
        if (old !== expected || replace(machine.target, at, size, old, operand)) {
          wide[0] = old;
          return pc + 1;
        }
      } else if (replace(machine.target, at, size, old, (COMBINE[row.op] ?? COMBINE.xchg)(old, operand))) {
        if (row.fetch) wide[src] = old;
        return pc + 1;
      }
    }
  };
}

function loadAcquire(machine: Machine, pc: number, size: AccessSize, locate: Locate): number {
  const dst = machine.code.dst[pc];
  const at = locate(machine, pc, machine.code.src[pc], size, 'load');
  if (at === ABSENT) keepLow(machine, dst, size);
  else machine.wide[dst] = readAtomic(machine.target, at, size);
  return pc + 1;
}

/** Nothing was loaded: the register keeps its low bytes. */
function keepLow({ wide }: Machine, register: number, size: AccessSize): void {
  wide[register] = BigInt.asUintN(8 * size, wide[register]);
}

/** Loads through pointers that may lead nowhere. @param imm of an atomic instruction, which may be a load, too. */
export function probedHandler(code: number, imm: number): Handler | undefined {
  const row = opcode(code);
  if (row?.kind === 'load') return load(row.size, row.signed, locateProbed);
  if (row?.kind !== 'atomic' || atomicOperation(imm, row.size)?.op !== 'load_acquire') return undefined;
  const { size } = row;
  return (machine, pc) => {
    const at = locateProbed(machine, pc, machine.code.src[pc], size, 'load');
    machine.wide[machine.code.dst[pc]] = at === ABSENT ? 0n : readAtomic(machine.target, at, size);
    return pc + 1;
  };
}

/**
 * The handler for a code byte that accesses memory, or undefined when it is none.
 * @param arena whether it reaches the arena, not kernel memory.
 */
export function memoryHandler(code: number, arena: boolean): Handler | undefined {
  const row = opcode(code);
  const locate = arena ? locateInArena : locateInKernel;
  switch (row?.kind) {
    case 'load':
      return load(row.size, row.signed, locate);
    case 'store':
      return store(row.size, locate);
    case 'atomic':
      return atomic(row.size, locate);
    default:
      return undefined;
  }
}
