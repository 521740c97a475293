import { Code, KERNEL_MEMORY, type MemoryIndex } from '../encode/code.ts';
import { ATOMIC_OP, MEMORY_OP, OP, TYPE } from '../encode/opcodes.ts';
import { type ArenaTarget, PAGE_PRESENT, PAGE_WRITTEN, type Target } from '../target.ts';
import { ACCESS_KIND } from './arena.ts';

/**
 * Functions that a module gets besides the program's own, for what happens seldom: the full check of an arena access, and
 * atomics at addresses that WebAssembly's atomics refuse. They are written once a module and called from cold code.
 */

const PAGE_SHIFT = 12;

export const CHECK = {
  name: 'arena.check',
  /** Base, offset, bytes, kind of access, instruction. */
  params: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32],
  results: [TYPE.i32],
} as const;

/**
 * Whether an access may go ahead: it lies in the window, and all pages that it touches are present. Pages that a store
 * reaches are marked as written. What may not is reported, where the kernel wants that.
 * @param fault the index of the imported function that reports.
 */
export function checkFunction(arena: ArenaTarget, target: Target, fault: number | undefined): Code {
  const code = new Code(CHECK.params.length);
  const [base, off, size, kind, insn] = CHECK.params.keys();
  const address = code.local(TYPE.i64);
  const first = code.local(TYPE.i32);
  const last = code.local(TYPE.i32);
  const absent = code.block();
  code.get(base);
  code.op(OP.i64_extend_i32_u);
  code.get(off);
  code.op(OP.i64_extend_i32_s);
  code.op(OP.i64_add);
  code.tee(address);
  code.i64(0);
  code.op(OP.i64_lt_s);
  code.brIf(absent);
  code.get(address);
  code.get(size);
  code.op(OP.i64_extend_i32_u);
  code.op(OP.i64_add);
  code.i64Big(1n << 32n);
  code.op(OP.i64_gt_s);
  code.brIf(absent);
  pushPage(code, () => code.get(address));
  code.set(first);
  pushPage(code, () => {
    code.get(address);
    code.get(size);
    code.op(OP.i64_extend_i32_u);
    code.op(OP.i64_add);
    code.i64(1);
    code.op(OP.i64_sub);
  });
  code.set(last);
  const pushBoth = () => {
    for (const page of [first, last]) {
      code.get(page);
      code.memory(MEMORY_OP.i32_load8_u, KERNEL_MEMORY, arena.pageTable);
    }
    code.op(OP.i32_and);
  };
  pushBoth();
  code.i32(PAGE_PRESENT);
  code.op(OP.i32_and);
  code.op(OP.i32_eqz);
  code.brIf(absent);
  code.get(kind);
  code.i32(ACCESS_KIND.load);
  code.op(OP.i32_ne);
  code.if();
  pushBoth();
  code.i32(PAGE_WRITTEN);
  code.op(OP.i32_and);
  code.op(OP.i32_eqz);
  code.if();
  // Another CPU may be freeing the page: only this bit is to change.
  for (const page of [first, last]) {
    code.get(page);
    code.i32(PAGE_WRITTEN);
    code.atomic(ATOMIC_OP.i32_atomic_rmw8_or_u, KERNEL_MEMORY, arena.pageTable, 0);
    code.op(OP.drop);
  }
  code.end();
  code.end();
  code.i32(1);
  code.op(OP.return);
  code.end();
  if (target.reportsFaults && fault !== undefined) {
    for (const each of [base, off, size, kind, insn]) code.get(each);
    code.call(fault);
  }
  code.i32(0);
  return code;
}

/** Pushes the page of the i64 address that `push` pushes. */
function pushPage(code: Code, push: () => void): void {
  push();
  code.i64(PAGE_SHIFT);
  code.op(OP.i64_shr_u);
  code.op(OP.i32_wrap_i64);
}

export const MISALIGNED = {
  /** Address, bytes, which operation, operand, what cmpxchg expects. */
  params: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i64, TYPE.i64],
  results: [TYPE.i64],
} as const;

/** Numbers of the operations that {@link misalignedFunction} knows, in the order in which it knows them. */
export const MISALIGNED_OPERATIONS = ['add', 'or', 'and', 'xor', 'xchg', 'cmpxchg', 'load'] as const;
export type MisalignedOperation = (typeof MISALIGNED_OPERATIONS)[number];

/**
 * An atomic operation at an address that is no multiple of its size: under a lock, so that such operations are atomic among
 * themselves. @returns a body that gives what stood there.
 */
export function misalignedFunction(memory: MemoryIndex, target: Target): Code {
  const code = new Code(MISALIGNED.params.length);
  const [address, size, operation, operand, expected] = MISALIGNED.params.keys();
  const old = code.local(TYPE.i64);
  const next = code.local(TYPE.i64);
  const taken = code.loop();
  code.i32(0);
  code.i32(0);
  code.i32(1);
  code.atomic(ATOMIC_OP.i32_atomic_rmw_cmpxchg, KERNEL_MEMORY, target.atomicLock, 2);
  code.brIf(taken);
  code.end();
  bySize(code, size, (bytes) => {
    code.get(address);
    code.memory(LOADS[bytes], memory, 0);
    code.set(old);
  });
  const finish = code.block();
  const done = code.block();
  const cases = MISALIGNED_OPERATIONS.slice(0, -1).map(() => code.block());
  code.get(operation);
  code.brTable([...[...cases].reverse(), finish]);
  for (const name of MISALIGNED_OPERATIONS.slice(0, -1)) {
    code.end();
    if (name === 'xchg') code.get(operand);
    else if (name === 'cmpxchg') {
      code.get(operand);
      code.get(old);
      code.get(old);
      code.get(expected);
      code.op(OP.i64_eq);
      code.op(OP.select);
    } else {
      code.get(old);
      code.get(operand);
      code.op(COMBINE[name as keyof typeof COMBINE]);
    }
    code.set(next);
    code.br(done);
  }
  code.end();
  bySize(code, size, (bytes) => {
    code.get(address);
    code.get(next);
    code.memory(STORES[bytes], memory, 0);
  });
  code.end();
  code.i32(0);
  code.i32(0);
  code.atomic(ATOMIC_OP.i32_atomic_store, KERNEL_MEMORY, target.atomicLock, 2);
  code.get(old);
  return code;
}

const COMBINE = { add: OP.i64_add, or: OP.i64_or, and: OP.i64_and, xor: OP.i64_xor } as const;
const LOADS = { 2: MEMORY_OP.i64_load16_u, 4: MEMORY_OP.i64_load32_u, 8: MEMORY_OP.i64_load } as const;
const STORES = { 2: MEMORY_OP.i64_store16, 4: MEMORY_OP.i64_store32, 8: MEMORY_OP.i64_store } as const;

/** Emits code for each size that can be misaligned, and the choice between them. */
function bySize(code: Code, size: number, emit: (bytes: 2 | 4 | 8) => void): void {
  for (const bytes of [2, 4, 8] as const) {
    code.get(size);
    code.i32(bytes);
    code.op(OP.i32_eq);
    code.if();
    emit(bytes);
    code.end();
  }
}
