import type { Instruction } from '../isa/instruction.ts';
import { BPF_PSEUDO_KFUNC_CALL } from '../isa/opcodes.ts';
import type { Env } from './env.ts';
import type { Held } from './state/state.ts';

/**
 * Regions of a path in which less is allowed: under a lock, in an RCU read section, with preemption or interrupts off. The
 * state says which are open; helpers, kfuncs, calls and exits ask here.
 */

export const LOCKS: readonly Held['type'][] = ['lock', 'res_lock', 'res_lock_irq'];

export function holdsLock({ state }: Env): boolean {
  return state.held.length > 0 && state.held.some(({ type }) => LOCKS.includes(type));
}

/** Whether pointers that RCU protects are safe here (Linux: in_rcu_cs). */
export function inRcuSection(env: Env): boolean {
  return env.state.rcuLocks > 0 || holdsLock(env) || !env.sleepable;
}

/** What forbids to sleep here, as messages name it, but for the program itself; undefined where nothing does. */
export function sleeplessRegion({ state }: Env): string | undefined {
  if (state.rcuLocks > 0) return 'rcu_read_lock region';
  if (state.preemptLocks > 0) return 'non-preemptible region';
  return state.irqId !== 0 ? 'IRQ-disabled region' : undefined;
}

const BPF_FUNC_spin_unlock = 94;

/** Kfuncs that may be called under a lock (Linux: kfunc_spin_allowed). */
const UNDER_LOCK =
  /^bpf_(list_|rbtree_|refcount_acquire_impl$|iter_num_|res_spin_(un)?lock|arena_reserve_pages_none)/;

/** Under a lock only what belongs there may be called, and subprograms (Linux: do_check). */
export function checkCallUnderLock(env: Env, insn: Instruction): void {
  if (!holdsLock(env)) return;
  const isKfunc = insn.src === BPF_PSEUDO_KFUNC_CALL;
  const allowed = isKfunc
    ? insn.off === 0 && UNDER_LOCK.test(env.program.kernelBtf?.nameOf(insn.imm) ?? '')
    : insn.src !== 0 || insn.imm === BPF_FUNC_spin_unlock;
  if (!allowed) throw env.reject('EINVAL', 'function calls are not allowed while holding a lock');
}

/** Whether nothing forbids to sleep here (Linux: in_sleepable_context). */
export function inSleepableContext(env: Env): boolean {
  return sleeplessRegion(env) === undefined && !holdsLock(env) && env.sleepable;
}
