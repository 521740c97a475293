import type { Env } from './env.ts';
import type { Held } from './state/state.ts';

/**
 * Regions of a path in which less is allowed: under a lock, in an RCU read section, with preemption or interrupts off. The
 * state says which are open; helpers, kfuncs, calls and exits ask here.
 */

const LOCKS: readonly Held['type'][] = ['lock', 'res_lock', 'res_lock_irq'];

export function holdsLock({ state }: Env): boolean {
  return state.held.some(({ type }) => LOCKS.includes(type));
}

/** May the program sleep here, as far as its type and the callback it is in say (Linux: in_sleepable)? */
export function inSleepable(env: Env): boolean {
  return env.sleepable;
}

/** Whether pointers that RCU protects are safe here (Linux: in_rcu_cs). */
export function inRcuSection(env: Env): boolean {
  return env.state.rcuLocks > 0 || holdsLock(env) || !inSleepable(env);
}

/** Whether nothing that is open forbids to sleep (Linux: in_sleepable_context). */
export function inSleepableContext(env: Env): boolean {
  const { state } = env;
  return (
    state.rcuLocks === 0 &&
    state.preemptLocks === 0 &&
    !holdsLock(env) &&
    state.irqId === 0 &&
    inSleepable(env)
  );
}
