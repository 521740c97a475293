import type { Env } from '../env.ts';
import type { Held } from '../state/state.ts';

/** What must be given back before the program may end here (Linux: check_resource_leak). */

/** What else may be open, in the order in which Linux looks. */
const REGIONS: readonly (readonly [types: readonly Held['type'][], name: string])[] = [
  [['lock', 'res_lock', 'res_lock_irq'], 'bpf_spin_lock-ed'],
  [['irq'], 'bpf_local_irq_save-ed'],
];

/**
 * @param what does not allow it, as the message names it.
 * @param objects whether references to objects may be left, `all` whether locks and regions may.
 */
export function checkResourceLeak(
  env: Env,
  what: string,
  { objects, all }: { readonly objects: boolean; readonly all: boolean },
): void {
  const { held } = env.state;
  const lingering = objects ? held.filter(({ type }) => type === 'ptr') : [];
  for (const { id, insn } of lingering) env.say(`Unreleased reference id=${id} alloc_insn=${insn}`);
  if (lingering.length > 0) throw env.reject('EINVAL', `${what} would lead to reference leak`);
  if (!all) return;
  for (const [types, name] of REGIONS)
    if (held.some(({ type }) => types.includes(type)))
      throw env.reject('EINVAL', `${what} cannot be used inside ${name} region`);
}
