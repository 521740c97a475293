import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';

/**
 * Regions in which a program must not be interrupted, or in which what it sees must not be freed. Nothing interrupts a program
 * here, and what another CPU frees stays readable; that regions are opened and closed in order is proven. So nothing is left
 * to do, and compiled programs do it without a call.
 */

const nothing = (_cpu: Cpu): undefined => undefined;

export const REGION_KFUNCS = {
  bpf_rcu_read_lock: nothing,
  bpf_rcu_read_unlock: nothing,
  bpf_preempt_disable: nothing,
  bpf_preempt_enable: nothing,
  bpf_local_irq_save: (_cpu: Cpu, _flags: KernelOffset): undefined => undefined,
  bpf_local_irq_restore: (_cpu: Cpu, _flags: KernelOffset): undefined => undefined,
};

/** Whether calling a kfunc does nothing at all. */
export const doesNothing = (kfunc: string) => kfunc in REGION_KFUNCS;
