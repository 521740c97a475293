import type { Instruction } from '../../isa/instruction.ts';
import { type AccessSize, type LoadOpcode, opcode, type StoreOpcode } from '../../isa/opcodes.ts';
import { ARENA_MEMORY, KERNEL_MEMORY, type MemoryIndex } from '../encode/code.ts';
import { MEMORY_OP, OP, TYPE } from '../encode/opcodes.ts';
import { arenaAccess } from '../groups.ts';
import { ownStackAccess } from '../stack-slots.ts';
import { type Emission, emitArenaAccess, type Mode } from './arena.ts';
import type { Emitter } from './emitter.ts';

/**
 * Plain loads and stores. Where they go the verifier found out: to a stack slot that is a local, to the stack, to other
 * kernel memory (all proven, so nothing is checked), or to the arena.
 */

const LOAD: Readonly<Record<AccessSize, number>> = {
  1: MEMORY_OP.i64_load8_u,
  2: MEMORY_OP.i64_load16_u,
  4: MEMORY_OP.i64_load32_u,
  8: MEMORY_OP.i64_load,
};

const LOAD_SIGNED: Readonly<Record<AccessSize, number>> = {
  1: MEMORY_OP.i64_load8_s,
  2: MEMORY_OP.i64_load16_s,
  4: MEMORY_OP.i64_load32_s,
  8: MEMORY_OP.i64_load,
};

const STORE: Readonly<Record<AccessSize, number>> = {
  1: MEMORY_OP.i64_store8,
  2: MEMORY_OP.i64_store16,
  4: MEMORY_OP.i64_store32,
  8: MEMORY_OP.i64_store,
};

const SIGN_EXTEND: Readonly<Record<number, number>> = {
  1: OP.i64_extend8_s,
  2: OP.i64_extend16_s,
  4: OP.i64_extend32_s,
};

/** Linux: what skb->queue_mapping cannot be set to, nor to more. */
const NO_QUEUE_MAPPING = 0xffff;

/** The slot holds a load. */
function loadFrom(e: Emitter, at: number, memory: MemoryIndex, offset: number): void {
  const { code, dst } = e.insns[at];
  const { size, signed } = opcode(code) as LoadOpcode;
  e.code.memory((signed ? LOAD_SIGNED : LOAD)[size], memory, offset);
  e.set(dst);
}

const ARENA_LOAD: Emission = {
  fast: (e, at, offset) => loadFrom(e, at, ARENA_MEMORY, offset),
  absent(e, at) {
    e.code.i64(0);
    e.set(e.insns[at].dst);
  },
};

export function emitLoad(e: Emitter, at: number, insn: Instruction, row: LoadOpcode, mode: Mode): void {
  const { code, program } = e;
  const { dst } = insn;
  if (program.facts.reachesArena(at)) {
    const access = arenaAccess(insn, at);
    if (access !== undefined) emitArenaAccess(e, access, mode, ARENA_LOAD);
    return;
  }
  const own = ownStackAccess(e.insns, program.facts, at);
  const cell = own === undefined ? undefined : e.cell(own.offset);
  if (cell !== undefined) {
    code.get(cell);
    // A cell holds its bytes zero-extended.
    if (row.signed) code.op(SIGN_EXTEND[row.size]);
    e.set(dst);
    return;
  }
  if (program.facts.probes.has(at)) {
    pushProbedAddress(e, insn);
    loadFrom(e, at, KERNEL_MEMORY, 0);
    return;
  }
  const offset = pushKernelAddress(e, at, own?.offset, insn.src, insn.off);
  if (program.facts.insns[at]?.contextField !== 'pointer') {
    loadFrom(e, at, KERNEL_MEMORY, offset);
    return;
  }
  code.memory(LOAD[row.size], KERNEL_MEMORY, offset);
  e.kernelPointer();
  e.set(dst);
}

/** The slot holds a store. */
function storeTo(e: Emitter, at: number, memory: MemoryIndex, offset: number): void {
  const row = opcode(e.insns[at].code) as StoreOpcode;
  pushStored(e, e.insns[at], row);
  e.code.memory(STORE[row.size], memory, offset);
}

function pushStored(e: Emitter, { src, imm }: Instruction, { source }: StoreOpcode): void {
  if (source === 'X') e.get(src);
  else e.code.i64(imm);
}

const ARENA_STORE: Emission = {
  fast: (e, at, offset) => storeTo(e, at, ARENA_MEMORY, offset),
  absent: () => undefined,
};

export function emitStore(e: Emitter, at: number, insn: Instruction, row: StoreOpcode, mode: Mode): void {
  const { code, program } = e;
  if (program.facts.reachesArena(at)) {
    const access = arenaAccess(insn, at);
    if (access !== undefined) emitArenaAccess(e, access, mode, ARENA_STORE);
    return;
  }
  const own = ownStackAccess(e.insns, program.facts, at);
  const cell = own === undefined ? undefined : e.cell(own.offset);
  if (cell !== undefined) {
    pushStored(e, insn, row);
    if (row.size < 8) {
      code.i64Big((1n << BigInt(8 * row.size)) - 1n);
      code.op(OP.i64_and);
    }
    code.set(cell);
    return;
  }
  const { contextField } = program.facts.insns[at] ?? {};
  if (contextField === undefined) {
    storeTo(e, at, KERNEL_MEMORY, pushKernelAddress(e, at, own?.offset, insn.dst, insn.off));
    return;
  }
  if (contextField === 'queue') {
    pushStored(e, insn, row);
    code.i64(NO_QUEUE_MAPPING);
    code.op(OP.i64_lt_u);
    code.if();
  }
  const offset = pushKernelAddress(e, at, undefined, insn.dst, insn.off);
  pushStored(e, insn, row);
  code.memory(STORE[2], KERNEL_MEMORY, offset);
  if (contextField === 'queue') code.end();
}

/** The last page of kernel memory is never handed out, and the first is zero. */
const PROBED_END = 2n ** 32n - 4096n;

/** Pushes where a pointer leads that may lead nowhere, i32: 0, where zeroes are, unless it is kernel memory (Linux: BPF_PROBE_MEM). */
export function pushProbedAddress(e: Emitter, { src, off }: Instruction): void {
  const { code } = e;
  const offset = code.temporary(TYPE.i64);
  e.get(src);
  code.i64Big(BigInt.asIntN(64, BigInt(off) - (BigInt(e.target.kernelHigh) << 32n)));
  code.op(OP.i64_add);
  code.tee(offset);
  code.op(OP.i32_wrap_i64);
  code.i32(0);
  code.get(offset);
  code.i64Big(PROBED_END);
  code.op(OP.i64_lt_u);
  code.op(OP.select);
}

/**
 * Pushes an address in kernel memory, i32. @param stack the offset from r10, where it is one known place of this frame.
 * @returns the offset that is still to be added.
 */
export function pushKernelAddress(
  e: Emitter,
  at: number,
  stack: number | undefined,
  base: number,
  off: number,
): number {
  if (stack !== undefined) return e.pushStackBase(stack);
  const known = e.lowConstant(at, base);
  if (known !== undefined) {
    // The register is not asked for, which a loop would have to keep.
    e.code.i32(known + off);
    return 0;
  }
  e.getLow(base);
  if (off >= 0) return off;
  e.code.i32(off);
  e.code.op(OP.i32_add);
  return 0;
}
