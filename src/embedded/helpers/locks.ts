import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
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

function spin_lock(cpu: Cpu, lock: KernelOffset): void {
  take(cpu.kernel.memory.int32, lock >>> 2);
  cpu.heldLocks.push(lock);
}

function spin_unlock(cpu: Cpu, lock: KernelOffset): void {
  cpu.heldLocks.pop();
  letGo(cpu.kernel.memory.int32, lock >>> 2);
}

/** Lets go of what a program holds that was stopped. */
export function releaseLocks(cpu: Cpu): void {
  for (let lock = cpu.heldLocks.pop(); lock !== undefined; lock = cpu.heldLocks.pop())
    letGo(cpu.kernel.memory.int32, lock >>> 2);
}

/** @returns 0; −EDEADLK when this CPU holds it, −ETIMEDOUT when another does and keeps it. */
function resilientLock(cpu: Cpu, lock: KernelOffset): number {
  const words = cpu.kernel.memory.int32;
  const self = cpu.id + 1;
  let deadline = 0;
  for (let round = 1; ; round++) {
    const holder = Atomics.compareExchange(words, lock >>> 2, 0, self);
    if (holder === 0) break;
    if (holder === self) return -ERRNO.EDEADLK;
    if (round % SPINS !== 0) continue;
    const now = performance.now();
    deadline ||= now + TIMEOUT_MS;
    if (now >= deadline) return -ERRNO.ETIMEDOUT;
  }
  cpu.heldLocks.push(lock);
  return 0;
}

/** Locks are given back in the opposite order: that is proven. */
const resilientUnlock = (cpu: Cpu, lock: KernelOffset): undefined => spin_unlock(cpu, lock) as undefined;

export const LOCK_HELPERS = { spin_lock, spin_unlock };

export const LOCK_KFUNCS = {
  bpf_res_spin_lock: resilientLock,
  bpf_res_spin_unlock: resilientUnlock,
  bpf_res_spin_lock_irqsave: (cpu: Cpu, lock: KernelOffset, _flags: KernelOffset) => resilientLock(cpu, lock),
  bpf_res_spin_unlock_irqrestore: (cpu: Cpu, lock: KernelOffset, _flags: KernelOffset) =>
    resilientUnlock(cpu, lock),
};
