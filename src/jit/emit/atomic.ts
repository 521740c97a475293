import type { Instruction } from '../../isa/instruction.ts';
import {
  type AccessSize,
  type AtomicOpcode,
  type AtomicOperation,
  atomicOperation,
  opcode,
} from '../../isa/opcodes.ts';
import { ARENA_MEMORY, KERNEL_MEMORY, type MemoryIndex } from '../encode/code.ts';
import { ATOMIC_OP, OP, TYPE } from '../encode/opcodes.ts';
import { type ArenaAccess, arenaAccess } from '../groups.ts';
import { type Emission, emitArenaAccess, type Mode } from './arena.ts';
import type { Emitter } from './emitter.ts';
import { pushKernelAddress, pushProbedAddress } from './memory.ts';
import { emitPlainUnless } from './plain-atomic.ts';
import { MISALIGNED_OPERATIONS, type MisalignedOperation } from './runtime.ts';

/**
 * Atomic accesses (RFC 9669, section 5.3), sequentially consistent as WebAssembly's are. WebAssembly traps at addresses
 * that are no multiple of the size; those take a slow path. On an absent arena page nothing is written, and the register
 * keeps what it holds, cut to the size of the access.
 */

const PLAIN: Readonly<Record<string, readonly [wide: number, narrow: number]>> = {
  add: [ATOMIC_OP.i64_atomic_rmw_add, ATOMIC_OP.i64_atomic_rmw32_add_u],
  or: [ATOMIC_OP.i64_atomic_rmw_or, ATOMIC_OP.i64_atomic_rmw32_or_u],
  and: [ATOMIC_OP.i64_atomic_rmw_and, ATOMIC_OP.i64_atomic_rmw32_and_u],
  xor: [ATOMIC_OP.i64_atomic_rmw_xor, ATOMIC_OP.i64_atomic_rmw32_xor_u],
  xchg: [ATOMIC_OP.i64_atomic_rmw_xchg, ATOMIC_OP.i64_atomic_rmw32_xchg_u],
  cmpxchg: [ATOMIC_OP.i64_atomic_rmw_cmpxchg, ATOMIC_OP.i64_atomic_rmw32_cmpxchg_u],
};

const LOAD: Readonly<Record<AccessSize, number>> = {
  1: ATOMIC_OP.i64_atomic_load8_u,
  2: ATOMIC_OP.i64_atomic_load16_u,
  4: ATOMIC_OP.i64_atomic_load32_u,
  8: ATOMIC_OP.i64_atomic_load,
};

const STORE: Readonly<Record<AccessSize, number>> = {
  1: ATOMIC_OP.i64_atomic_store8,
  2: ATOMIC_OP.i64_atomic_store16,
  4: ATOMIC_OP.i64_atomic_store32,
  8: ATOMIC_OP.i64_atomic_store,
};

const ARENA_ATOMIC: Emission = {
  fast(e, at, offset) {
    const insn = e.insns[at];
    const { base, off, size } = arenaAccess(insn, at) as ArenaAccess;
    const isAligned = ((off | (1 << e.zeroBits(at, base))) & (size - 1)) === 0;
    emitAt(
      e,
      ARENA_MEMORY,
      offset,
      insn,
      atomicOperation(insn.imm, size) as AtomicOperation,
      size,
      isAligned,
    );
  },
  absent(e, at) {
    const insn = e.insns[at];
    const { size } = opcode(insn.code) as AtomicOpcode;
    const result = resultRegister(atomicOperation(insn.imm, size) as AtomicOperation, insn);
    if (result === undefined || size === 8) return;
    e.get(result);
    cut(e, size);
    e.set(result);
  },
};

export function emitAtomic(e: Emitter, at: number, insn: Instruction, row: AtomicOpcode, mode: Mode): void {
  const { program } = e;
  const operation = atomicOperation(insn.imm, row.size);
  if (operation === undefined) throw new TypeError(`instruction ${at} is no atomic operation`);
  const { size } = row;
  if (program.facts.reachesArena(at)) {
    const access = arenaAccess(insn, at);
    if (access === undefined) return;
    emitArenaAccess(e, access, mode, ARENA_ATOMIC);
    return;
  }
  if (operation.op === 'load_acquire' && program.facts.probes.has(at)) {
    pushProbedAddress(e, insn);
    emitAt(e, KERNEL_MEMORY, 0, insn, operation, size, false);
    return;
  }
  const fact = program.facts.insns[at];
  const own = fact?.memory === 'stack' && fact.frameDistance === 0 ? fact.stackOffset : undefined;
  const base = operation.op === 'load_acquire' ? insn.src : insn.dst;
  const off = pushKernelAddress(e, at, own, base, insn.off);
  emitAt(e, KERNEL_MEMORY, off, insn, operation, size, (fact?.alignment ?? 1) >= size);
}

/** The register that an atomic operation writes. */
function resultRegister({ op, fetch }: AtomicOperation, { dst, src }: Instruction): number | undefined {
  if (op === 'load_acquire') return dst;
  if (op === 'cmpxchg') return 0;
  return fetch ? src : undefined;
}

/** Emits the operation at the address on the stack plus `off`. */
function emitAt(
  e: Emitter,
  memory: MemoryIndex,
  off: number,
  insn: Instruction,
  operation: AtomicOperation,
  size: AccessSize,
  isAligned: boolean,
): void {
  const { code } = e;
  if (off !== 0) {
    code.i32(off);
    code.op(OP.i32_add);
  }
  const exposed = memory === ARENA_MEMORY && e.options.plainAtomics !== false ? e.arena.exposed : undefined;
  if (exposed === undefined) {
    emitShared(e, memory, insn, operation, size, isAligned);
    return;
  }
  emitPlainUnless(
    e,
    exposed,
    (pushAddress) => {
      pushAddress();
      emitShared(e, memory, insn, operation, size, isAligned);
    },
    insn,
    operation,
    size,
    resultRegister(operation, insn),
    () => {
      e.get(0);
      cut(e, size);
    },
  );
}

/** Emits the operation at the address on the stack, where other threads may be at it, too. */
function emitShared(
  e: Emitter,
  memory: MemoryIndex,
  insn: Instruction,
  operation: AtomicOperation,
  size: AccessSize,
  isAligned: boolean,
): void {
  const { code } = e;
  const mask = size - 1;
  if (mask === 0 || isAligned) {
    emitAligned(e, memory, insn, operation, size);
    return;
  }
  const address = e.scratch;
  code.tee(address);
  code.i32(mask);
  code.op(OP.i32_and);
  code.if(TYPE.empty, false);
  emitMisaligned(e, memory, address, insn, operation, size);
  code.else();
  code.get(address);
  emitAligned(e, memory, insn, operation, size);
  code.end();
}

function emitAligned(
  e: Emitter,
  memory: MemoryIndex,
  insn: Instruction,
  operation: AtomicOperation,
  size: AccessSize,
): void {
  const { code } = e;
  const align = Math.log2(size);
  const result = resultRegister(operation, insn);
  if (operation.op === 'load_acquire') {
    code.atomic(LOAD[size], memory, 0, align);
    e.set(insn.dst);
    return;
  }
  if (operation.op === 'store_release') {
    e.get(insn.src);
    code.atomic(STORE[size], memory, 0, align);
    return;
  }
  if (operation.op === 'cmpxchg') {
    e.get(0);
    cut(e, size);
  }
  e.get(insn.src);
  code.atomic(PLAIN[operation.op][size === 8 ? 0 : 1], memory, 0, align);
  if (result === undefined) code.op(OP.drop);
  else e.set(result);
}

function emitMisaligned(
  e: Emitter,
  memory: MemoryIndex,
  address: number,
  insn: Instruction,
  operation: AtomicOperation,
  size: AccessSize,
): void {
  const { code } = e;
  const { op } = operation;
  const result = resultRegister(operation, insn);
  const name: MisalignedOperation = op === 'load_acquire' ? 'load' : op === 'store_release' ? 'xchg' : op;
  code.get(address);
  code.i32(size);
  code.i32(MISALIGNED_OPERATIONS.indexOf(name));
  if (op === 'load_acquire') code.i64(0);
  else e.get(insn.src);
  e.get(0);
  cut(e, size);
  code.call(e.callees.misaligned(memory));
  if (result === undefined) code.op(OP.drop);
  else e.set(result);
}

/** Cuts the i64 on the stack to the size of an access. */
function cut(e: Emitter, size: AccessSize): void {
  if (size === 8) return;
  e.code.i64Big((1n << BigInt(8 * size)) - 1n);
  e.code.op(OP.i64_and);
}
