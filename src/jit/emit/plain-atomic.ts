import type { Instruction } from '../../isa/instruction.ts';
import type { AccessSize, AtomicOperation } from '../../isa/opcodes.ts';
import { ARENA_MEMORY, KERNEL_MEMORY } from '../encode/code.ts';
import { MEMORY_OP, OP, TYPE } from '../encode/opcodes.ts';
import type { Emitter } from './emitter.ts';

/**
 * Atomic operations in an arena that nobody else touches meanwhile: the kernel has one CPU, and user space, on the same thread,
 * has not asked for the bytes, so cannot have given them to another one. Then a load and a store do, at any address, in a
 * twentieth of the time. Linux leaves out lock prefixes in the same way where a machine has one CPU.
 */

const LOAD: Readonly<Record<AccessSize, number>> = {
  1: MEMORY_OP.i64_load8_u,
  2: MEMORY_OP.i64_load16_u,
  4: MEMORY_OP.i64_load32_u,
  8: MEMORY_OP.i64_load,
};

const STORE: Readonly<Record<AccessSize, number>> = {
  1: MEMORY_OP.i64_store8,
  2: MEMORY_OP.i64_store16,
  4: MEMORY_OP.i64_store32,
  8: MEMORY_OP.i64_store,
};

const COMBINE = { add: OP.i64_add, or: OP.i64_or, and: OP.i64_and, xor: OP.i64_xor } as const;

/**
 * Emits an operation at the address on the stack: plainly, or by `shared` where the word at `exposed` says that others may be there.
 * @param result the register that it writes. @param pushExpected pushes what cmpxchg compares with.
 */
export function emitPlainUnless(
  e: Emitter,
  exposed: number,
  shared: (pushAddress: () => void) => void,
  insn: Instruction,
  { op }: AtomicOperation,
  size: AccessSize,
  result: number | undefined,
  pushExpected: () => void,
): void {
  const { code } = e;
  const address = e.atomicAddress;
  const pushAddress = () => code.get(address);
  code.set(address);
  code.i32(exposed);
  code.memory(MEMORY_OP.i32_load, KERNEL_MEMORY, 0, 2);
  code.if(TYPE.empty, false);
  shared(pushAddress);
  code.else();
  const load = () => {
    pushAddress();
    code.memory(LOAD[size], ARENA_MEMORY, 0);
  };
  const store = (push: () => void) => {
    pushAddress();
    push();
    code.memory(STORE[size], ARENA_MEMORY, 0);
  };
  const old = e.atomicOld;
  const pushOld = () => code.get(old);
  const pushOperand = () => e.get(insn.src);
  if (op !== 'store_release') {
    load();
    code.set(old);
  }
  switch (op) {
    case 'load_acquire':
      break;
    case 'store_release':
    case 'xchg':
      store(pushOperand);
      break;
    case 'cmpxchg':
      pushOld();
      pushExpected();
      code.op(OP.i64_eq);
      code.if();
      store(pushOperand);
      code.end();
      break;
    default:
      store(() => {
        pushOld();
        pushOperand();
        code.op(COMBINE[op]);
      });
  }
  if (result !== undefined) {
    pushOld();
    e.set(result);
  }
  code.end();
}
