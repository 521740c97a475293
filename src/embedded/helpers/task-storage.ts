import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import type { TaskStorageMap } from '../maps/task-storage.ts';
import { cpuOfTask, currentTask } from './task.ts';

/** Helpers on the task that a program runs in, and on what programs keep for it. The verifier lets no other maps get here. */

const BPF_LOCAL_STORAGE_GET_F_CREATE = 1;

export const get_current_task_btf = (cpu: Cpu): number => currentTask(cpu);

export function task_storage_get(
  cpu: Cpu,
  map: EmbeddedMap,
  task: KernelOffset,
  initial: KernelOffset,
  flags: number | bigint,
): number {
  if (task === 0 || flags > BPF_LOCAL_STORAGE_GET_F_CREATE) return 0;
  const create = Number(flags) === BPF_LOCAL_STORAGE_GET_F_CREATE;
  return (map as TaskStorageMap).get(cpuOfTask(cpu.kernel.memory, task), create, initial);
}

export function task_storage_delete(cpu: Cpu, map: EmbeddedMap, task: KernelOffset): number {
  if (task === 0) return -ERRNO.EINVAL;
  return (map as TaskStorageMap).forget(cpuOfTask(cpu.kernel.memory, task));
}
