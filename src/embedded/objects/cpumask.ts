import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';

/** Giving up a struct bpf_cpumask, which programs do, and so does a map value that holds one. */

/** The word that counts who holds it; in front of it are 256 bits. */
export const CPUMASK_USAGE = 8;

/** One holder less; the last one frees it. */
export function releaseCpumask(memory: KernelMemory, mask: KernelOffset): void {
  if (Atomics.sub(memory.int32, (mask >>> 2) + CPUMASK_USAGE, 1) === 1)
    memory.grace.afterwards(() => memory.free(mask));
}
