import type { Env } from '../env.ts';
import { holdsLock } from '../regions.ts';

/** What must be given back before the program may end here (Linux: check_resource_leak). */

/** What else is open, in the order in which Linux looks; locks come before objects. */
function openRegion(env: Env): string | undefined {
  const { irqId, rcuLocks, preemptLocks } = env.state;
  if (irqId !== 0) return 'bpf_local_irq_save-ed';
  if (rcuLocks > 0) return 'bpf_rcu_read_lock-ed';
  return preemptLocks > 0 ? 'bpf_preempt_disable-ed' : undefined;
}

/**
 * At an exit, an exception, a tail call, a load that may end the program. Objects that a function holds where it ends
 * are its caller's from then on; an exception ends all of them.
 *
 * @param what does not allow it, as the message names it.
 * @param regions whether locks and regions must be left, too.
 */
export function checkResourceLeak(
  env: Env,
  what: string,
  { exception = false, regions = true }: { exception?: boolean; regions?: boolean } = {},
): void {
  const { held, depth } = env.state;
  const inside = (region: string) => env.reject('EINVAL', `${what} cannot be used inside ${region} region`);
  if (regions && holdsLock(env)) throw inside('bpf_spin_lock-ed');
  const lingering = exception || depth === 0 ? held.filter(({ type }) => type === 'ptr') : [];
  for (const { id, insn } of lingering) env.say(`Unreleased reference id=${id} alloc_insn=${insn}`);
  if (lingering.length > 0) throw env.reject('EINVAL', `${what} would lead to reference leak`);
  if (!regions) return;
  const region = openRegion(env);
  if (region !== undefined) throw inside(region);
}
