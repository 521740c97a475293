import { clock } from '../clock.ts';
import type { Cpu } from '../cpu.ts';

/** Helpers that tell a program where and when it runs. */

/** Nanoseconds since the process started; monotonic. */
export function ktime_get_ns(_cpu: Cpu): number {
  return Math.floor(clock() * 1e6);
}

export function get_prandom_u32(_cpu: Cpu): number {
  return Math.floor(Math.random() * 2 ** 32);
}

export function get_smp_processor_id(cpu: Cpu): number {
  return cpu.id;
}

/** Process id in both halves: a program on CPU 0 runs in the process's main thread. */
export function get_current_pid_tgid(cpu: Cpu): bigint {
  const pid = BigInt(cpu.kernel.processId);
  return (pid << 32n) | pid;
}
