import { ERRNO } from '../../errors.ts';
import { clock } from '../clock.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import { currentTask, taskName } from './task.ts';

/** Helpers that tell a program where and when it runs. */

/** Nanoseconds since the process started; monotonic. */
const monotonic = (_cpu: Cpu): number => Math.floor(clock() * 1e6);

/** Linux: HZ is 1000. */
const jiffies = (_cpu: Cpu): number => Math.floor(clock());

/** Nanoseconds since 1970; rounded to 256, where a double ends. */
const wallClock = (_cpu: Cpu): number => (performance.timeOrigin + performance.now()) * 1e6;

interface Process {
  readonly getuid?: () => number;
  readonly getgid?: () => number;
}
const host = (globalThis as { process?: Process }).process;

/** Who the process belongs to; 0 is root, also where there are no users. */
export const userIds = () => ({ uid: host?.getuid?.() ?? 0, gid: host?.getgid?.() ?? 0 });

/** The user in the low half, the group in the upper one. */
const user = (BigInt(userIds().gid) << 32n) | BigInt(userIds().uid);

export const ENVIRONMENT_HELPERS = {
  ktime_get_ns: monotonic,
  /** Nobody tells how long the machine slept. */
  ktime_get_boot_ns: monotonic,
  ktime_get_coarse_ns: monotonic,
  ktime_get_tai_ns: wallClock,
  jiffies64: jiffies,
  get_prandom_u32: (_cpu: Cpu): number => Math.floor(Math.random() * 2 ** 32),
  get_smp_processor_id: (cpu: Cpu): number => cpu.id,
  get_numa_node_id: (_cpu: Cpu): number => 0,

  /** Process id in both halves: a program on CPU 0 runs in the process's main thread. */
  get_current_pid_tgid({ kernel }: Cpu): bigint {
    const pid = BigInt(kernel.processId);
    return (pid << 32n) | pid;
  },

  get_current_uid_gid: (_cpu: Cpu): bigint => user,
  /** All are in the one group that there is, the root. */
  get_current_cgroup_id: (_cpu: Cpu): number => 1,
  get_current_ancestor_cgroup_id: (_cpu: Cpu, level: number): number => (level === 0 ? 1 : 0),
  get_cgroup_classid: (_cpu: Cpu): number => 0,
  /** Nothing is attached with a cookie: these are test runs. */
  get_attach_cookie: (_cpu: Cpu, _ctx: KernelOffset): number => 0,
  get_current_task: (cpu: Cpu): bigint => BigInt.asUintN(64, cpu.kernelPointer(currentTask(cpu))),

  get_current_comm(cpu: Cpu, buffer: KernelOffset, size: number): number {
    if (size === 0) return -ERRNO.EINVAL;
    const { bytes } = cpu.kernel.memory;
    const name = taskName();
    bytes.fill(0, buffer, buffer + size);
    bytes.set(name.subarray(0, size - 1), buffer);
    return 0;
  },
};
