import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import { HELD_LOCK, type KernelOffset } from '../layout.ts';
import { unlock as letGo, lock as take } from '../spin-lock.ts';

/**
 * bpf_spin_lock, and the resilient locks that notice deadlocks. A lock is the word in the map value: 0, or the number of the CPU that
 * holds it, plus one. A plain lock whose holder never lets go ends the run with EDEADLK; the verifier sees to it that a
 * program that holds one can do nothing else but come to its end. A resilient one gives up by itself.
 */

/** Linux: RES_DEF_TIMEOUT. */
const TIMEOUT_MS = 250;
/** Rounds between two looks at the clock. */
const SPINS = 1000;
/** In the first pages of kernel memory, which are never handed out: for each CPU the lock that it waits for. */
const WAITS = 0x1000 >>> 2;

function spin_lock(cpu: Cpu, lock: KernelOffset): void {
  take(cpu.kernel.memory.int32, lock >>> 2);
  cpu.kernel.memory.int32[heldBy(cpu)] = lock;
}

function spin_unlock(cpu: Cpu, lock: KernelOffset): void {
  cpu.kernel.memory.int32[heldBy(cpu)] = 0;
  letGo(cpu.kernel.memory.int32, lock >>> 2);
}

/** The word that says which plain lock the CPU holds; there is one at most. Routines write it, too (routines/locks.ts). */
const heldBy = ({ id }: Cpu) => (HELD_LOCK.at + HELD_LOCK.stride * id) >>> 2;

/** Lets go of what a program holds that was stopped. */
export function releaseLocks(cpu: Cpu): void {
  const plain = cpu.kernel.memory.int32[heldBy(cpu)] >>> 0;
  if (plain !== 0) spin_unlock(cpu, plain as KernelOffset);
  for (let lock = cpu.heldLocks.pop(); lock !== undefined; lock = cpu.heldLocks.pop())
    letGo(cpu.kernel.memory.int32, lock >>> 2);
}

/** @returns 0; −EDEADLK when this CPU holds it, or another that waits for this one; −ETIMEDOUT when it is not let go. */
function resilientLock(cpu: Cpu, lock: KernelOffset): number {
  const words = cpu.kernel.memory.int32;
  const error =
    Atomics.compareExchange(words, lock >>> 2, 0, cpu.id + 1) === 0 ? 0 : waitFor(cpu, words, lock);
  if (error === 0) cpu.heldLocks.push(lock);
  return error;
}

/** Likewise, when it was not free. */
function waitFor({ id }: Cpu, words: Int32Array, lock: KernelOffset): number {
  const self = id + 1;
  let deadline = 0;
  Atomics.store(words, WAITS + id, lock);
  try {
    for (let round = 1; ; round++) {
      const holder = Atomics.compareExchange(words, lock >>> 2, 0, self);
      if (holder === 0) return 0;
      if (holder === self) return -ERRNO.EDEADLK;
      const wanted = Atomics.load(words, WAITS + holder - 1) >>> 2;
      // Only if it still holds this one: else it may have got the other meanwhile.
      const deadlock = wanted !== 0 && Atomics.load(words, wanted) === self;
      if (deadlock && Atomics.load(words, lock >>> 2) === holder) return -ERRNO.EDEADLK;
      if (round % SPINS !== 0) continue;
      const now = performance.now();
      deadline ||= now + TIMEOUT_MS;
      if (now >= deadline) return -ERRNO.ETIMEDOUT;
    }
  } finally {
    Atomics.store(words, WAITS + id, 0);
  }
}

/** Locks are given back in the opposite order: that is proven. */
function resilientUnlock(cpu: Cpu, lock: KernelOffset): undefined {
  cpu.heldLocks.pop();
  letGo(cpu.kernel.memory.int32, lock >>> 2);
}

export const LOCK_HELPERS = { spin_lock, spin_unlock };

export const LOCK_KFUNCS = {
  bpf_res_spin_lock: resilientLock,
  bpf_res_spin_unlock: resilientUnlock,
  bpf_res_spin_lock_irqsave: (cpu: Cpu, lock: KernelOffset, _flags: KernelOffset) => resilientLock(cpu, lock),
  bpf_res_spin_unlock_irqrestore: (cpu: Cpu, lock: KernelOffset, _flags: KernelOffset) =>
    resilientUnlock(cpu, lock),
};
