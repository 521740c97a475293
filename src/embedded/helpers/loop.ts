import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';

/** Linux: BPF_MAX_LOOPS. */
export const MAX_LOOPS = 8 * 1024 * 1024;

/** bpf_loop as the interpreter does it; compiled programs have the loop in their own code. @returns rounds, or an errno. */
export function loop(cpu: Cpu, count: number, callback: number, ctx: bigint, flags: number): number {
  if (flags !== 0) return -ERRNO.EINVAL;
  if (count > MAX_LOOPS) return -ERRNO.E2BIG;
  for (let i = 0; i < count; i++) {
    if (cpu.invoke(callback, [BigInt(i), ctx]) !== 0n) return i + 1;
  }
  return count;
}
