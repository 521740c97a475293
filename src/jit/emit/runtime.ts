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
 * themselves, and by compare-and-exchange of the aligned 64-bit words that hold the bytes, so that nothing which aligned ones do
 * on other CPUs is lost. Where the bytes lie in two words, the second is exchanged after the first, until nobody else has changed
 * it meanwhile: each half is atomic by itself.
 * @returns a body that gives what stood there.
 */
export function misalignedFunction(memory: MemoryIndex, target: Target): Code {
  const code = new Code(MISALIGNED.params.length);
  const [address, size, operation, operand, expected] = MISALIGNED.params.keys();
  const [old, next, mask, low, high, shift] = Array.from({ length: 6 }, () => code.local(TYPE.i64));
  const [word, straddles, first] = Array.from({ length: 3 }, () => code.local(TYPE.i32));
  takeLock(code, target);
  code.get(address);
  code.i32(-8);
  code.op(OP.i32_and);
  code.set(word);
  // How far the bytes are shifted in the first word; below 64.
  code.get(address);
  code.i32(7);
  code.op(OP.i32_and);
  code.i32(3);
  code.op(OP.i32_shl);
  code.op(OP.i64_extend_i32_u);
  code.set(shift);
  // All ones, as many as the operation has bits.
  code.i64(-1);
  code.i64(64);
  code.get(size);
  code.op(OP.i64_extend_i32_u);
  code.i64(3);
  code.op(OP.i64_shl);
  code.op(OP.i64_sub);
  code.op(OP.i64_shr_u);
  code.set(mask);
  code.get(address);
  code.i32(7);
  code.op(OP.i32_and);
  code.get(size);
  code.op(OP.i32_add);
  code.i32(8);
  code.op(OP.i32_gt_u);
  code.set(straddles);
  code.i32(1);
  code.set(first);
  const again = code.loop();
  // Once the first word is exchanged, what was there counts.
  code.get(first);
  code.if();
  code.get(word);
  code.atomic(ATOMIC_OP.i64_atomic_load, memory, 0, 3);
  code.set(low);
  code.end();
  code.get(low);
  code.get(shift);
  code.op(OP.i64_shr_u);
  code.set(old);
  code.get(straddles);
  code.if();
  code.get(word);
  code.atomic(ATOMIC_OP.i64_atomic_load, memory, 8, 3);
  code.tee(high);
  pushRest(code, shift);
  code.op(OP.i64_shl);
  code.get(old);
  code.op(OP.i64_or);
  code.set(old);
  code.end();
  code.get(old);
  code.get(mask);
  code.op(OP.i64_and);
  code.set(old);
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
    code.get(mask);
    code.op(OP.i64_and);
    code.set(next);
    code.br(done);
  }
  code.end();
  code.get(first);
  code.if();
  pushExchange(
    code,
    memory,
    word,
    0,
    low,
    () => pushShifted(code, mask, shift),
    () => pushShifted(code, next, shift),
  );
  code.brIf(again);
  code.end();
  code.get(straddles);
  code.if();
  code.i32(0);
  code.set(first);
  const upper = (value: number) => {
    code.get(value);
    pushRest(code, shift);
    code.op(OP.i64_shr_u);
  };
  pushExchange(
    code,
    memory,
    word,
    8,
    high,
    () => upper(mask),
    () => upper(next),
  );
  code.brIf(again);
  code.end();
  code.end();
  code.end();
  code.i32(0);
  code.i32(0);
  code.atomic(ATOMIC_OP.i32_atomic_store, KERNEL_MEMORY, target.atomicLock, 2);
  code.get(old);
  return code;
}

function takeLock(code: Code, target: Target): void {
  const taken = code.loop();
  code.i32(0);
  code.i32(0);
  code.i32(1);
  code.atomic(ATOMIC_OP.i32_atomic_rmw_cmpxchg, KERNEL_MEMORY, target.atomicLock, 2);
  code.brIf(taken);
  code.end();
}

/** Pushes how far the second word's bytes are shifted: 64 − shift, which is asked only where the shift is not 0. */
function pushRest(code: Code, shift: number): void {
  code.i64(64);
  code.get(shift);
  code.op(OP.i64_sub);
}

function pushShifted(code: Code, value: number, shift: number): void {
  code.get(value);
  code.get(shift);
  code.op(OP.i64_shl);
}

/** Exchanges the bits of a mask in the word that held `was`. Pushes whether it holds something else by now. */
function pushExchange(
  code: Code,
  memory: MemoryIndex,
  word: number,
  offset: number,
  was: number,
  pushMask: () => void,
  pushBits: () => void,
): void {
  code.get(word);
  code.get(was);
  code.get(was);
  pushMask();
  code.i64(-1);
  code.op(OP.i64_xor);
  code.op(OP.i64_and);
  pushBits();
  code.op(OP.i64_or);
  code.atomic(ATOMIC_OP.i64_atomic_rmw_cmpxchg, memory, offset, 3);
  code.get(was);
  code.op(OP.i64_ne);
}

const COMBINE = { add: OP.i64_add, or: OP.i64_or, and: OP.i64_and, xor: OP.i64_xor } as const;
