import type { Cpu } from '../cpu.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { structLayout } from '../struct-layout.ts';

/**
 * The task that a program runs in: a struct task_struct in kernel memory, one for each CPU, of which numbers and name are filled in.
 * Programs read it as they do on Linux, through CO-RE and bpf_probe_read_kernel.
 */

const tasks = new WeakMap<Cpu, KernelOffset>();

/** Where the task of a CPU is. */
export function currentTask(cpu: Cpu): KernelOffset {
  let task = tasks.get(cpu);
  if (task === undefined) {
    task = makeTask(cpu);
    tasks.set(cpu, task);
  }
  return task;
}

/** The CPU whose task is there. */
export function cpuOfTask({ view }: KernelMemory, task: KernelOffset): number {
  return view.getUint32(task + structLayout('task_struct').size, true);
}

const NAME_BYTES = 16;

/** What the process is called, in at most 15 bytes. */
export function taskName(): Uint8Array {
  const title = (globalThis as { process?: { title?: string } }).process?.title ?? 'bpf-arena';
  const name = title.split('/').pop()?.split(' ')[0];
  return new TextEncoder().encode(name || 'bpf-arena').slice(0, NAME_BYTES - 1);
}

function makeTask(cpu: Cpu): KernelOffset {
  const struct = structLayout('task_struct');
  const { memory, processId } = cpu.kernel;
  // Behind it the number of its CPU.
  const task = memory.allocate(struct.size + 4);
  memory.view.setUint32(task + struct.size, cpu.id, true);
  const at = (name: string) => task + struct.at(name);
  memory.view.setInt32(at('pid'), processId, true);
  memory.view.setInt32(at('tgid'), processId, true);
  memory.view.setUint32(at('on_cpu'), 1, true);
  memory.view.setUint32(at('nr_cpus_allowed'), cpu.kernel.cpus, true);
  memory.view.setBigInt64(at('group_leader'), cpu.kernelPointer(task), true);
  memory.bytes.set(taskName(), at('comm'));
  return task;
}

/** Only the process itself has a task here. */
const taskOf = (cpu: Cpu, pid: number): number => (pid === cpu.kernel.processId ? currentTask(cpu) : 0);

export const TASK_KFUNCS = {
  bpf_task_acquire: (_cpu: Cpu, task: KernelOffset): number => task,
  bpf_task_release: (_cpu: Cpu, _task: KernelOffset): undefined => undefined,
  bpf_task_from_pid: taskOf,
  bpf_task_from_vpid: taskOf,
};
