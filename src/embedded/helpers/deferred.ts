import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import { DeferredField } from '../deferred.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';

/**
 * bpf_timer_* and bpf_wq_*: functions of the program that run later, on CPU 0, when its thread has nothing else to do. The rules are
 * those of kernel/bpf/helpers.c; what is known of a timer stands in the timer (deferred.ts).
 */

/** Clocks that a timer may have: they are one here. */
const CLOCKS: readonly number[] = [0, 1, 7];
const BPF_F_TIMER_ABS = 1;
const BPF_F_TIMER_CPU_PIN = 2;

export function timer_init(cpu: Cpu, timer: KernelOffset, map: EmbeddedMap, flags: number): number {
  return CLOCKS.includes(flags) ? initialize(cpu, timer, map) : -ERRNO.EINVAL;
}

export function timer_set_callback(cpu: Cpu, timer: KernelOffset, callback: number): number {
  return new DeferredField(cpu.kernel.memory, timer).setCallback(cpu.deferring, callback) ? 0 : -ERRNO.EINVAL;
}

export function timer_start(cpu: Cpu, timer: KernelOffset, nanoseconds: number, flags: number): number {
  if ((flags & ~(BPF_F_TIMER_ABS | BPF_F_TIMER_CPU_PIN)) !== 0) return -ERRNO.EINVAL;
  const at = (flags & BPF_F_TIMER_ABS) !== 0 ? nanoseconds : cpu.now() + nanoseconds;
  return start(cpu, timer, at);
}

export function timer_cancel(cpu: Cpu, timer: KernelOffset): number {
  const field = new DeferredField(cpu.kernel.memory, timer);
  if (!field.isInitialized) return -ERRNO.EINVAL;
  // In its own callback, or while that runs and may be waiting for who calls here.
  if (field.isRunning) return -ERRNO.EDEADLK;
  return field.cancel() ? 1 : 0;
}

function bpf_wq_init(cpu: Cpu, wq: KernelOffset, map: EmbeddedMap, flags: number): number {
  return flags === 0 ? initialize(cpu, wq, map) : -ERRNO.EINVAL;
}

function bpf_wq_set_callback_impl(cpu: Cpu, wq: KernelOffset, callback: number, flags: number): number {
  if (flags !== 0) return -ERRNO.EINVAL;
  return new DeferredField(cpu.kernel.memory, wq).setCallback(cpu.deferring, callback) ? 0 : -ERRNO.EINVAL;
}

function bpf_wq_start(cpu: Cpu, wq: KernelOffset, flags: number): number {
  return flags === 0 ? start(cpu, wq, cpu.now()) : -ERRNO.EINVAL;
}

function initialize(cpu: Cpu, field: KernelOffset, map: EmbeddedMap): number {
  return new DeferredField(cpu.kernel.memory, field).initialize(map.id) ? 0 : -ERRNO.EBUSY;
}

/** @param at nanoseconds, as bpf_ktime_get_ns counts them. */
function start(cpu: Cpu, offset: KernelOffset, at: number): number {
  const field = new DeferredField(cpu.kernel.memory, offset);
  const generation = field.arm(cpu.kernel.starts);
  if (generation === undefined) return -ERRNO.EINVAL;
  cpu.kernel.defer({ field: offset, map: field.map, generation, at });
  return 0;
}

/** The kfuncs of work queues. */
export const DEFERRED_KFUNCS = { bpf_wq_init, bpf_wq_set_callback_impl, bpf_wq_start };
