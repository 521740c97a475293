import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import { RingBufferMap } from '../maps/ring-buffer.ts';
import type { UserRingBufferMap } from '../maps/user-ring-buffer.ts';
import { DYNPTR, dynptrData, isTooLargeForDynptr, makeDynptr, makeNullDynptr } from './dynptr.ts';

/** Helpers on ring buffers. The verifier lets no other maps get here. */

export function ringbuf_output(
  _cpu: Cpu,
  map: EmbeddedMap,
  data: KernelOffset,
  size: number,
  flags: number,
): number {
  return (map as RingBufferMap).output(data, size, flags);
}

export function ringbuf_reserve(_cpu: Cpu, map: EmbeddedMap, size: number, flags: number): number {
  return flags === 0 ? (map as RingBufferMap).reserve(size) : 0;
}

export function ringbuf_submit(cpu: Cpu, record: KernelOffset, flags: number): void {
  RingBufferMap.of(cpu.kernel, record).commit(record, flags, false);
}

export function ringbuf_discard(cpu: Cpu, record: KernelOffset, flags: number): void {
  RingBufferMap.of(cpu.kernel, record).commit(record, flags, true);
}

export function ringbuf_query(_cpu: Cpu, map: EmbeddedMap, what: number): number {
  return (map as RingBufferMap).query(what);
}

export function ringbuf_reserve_dynptr(
  cpu: Cpu,
  map: EmbeddedMap,
  size: number,
  flags: number,
  dynptr: KernelOffset,
): number {
  const error = flags !== 0 ? -ERRNO.EINVAL : isTooLargeForDynptr(size) ? -ERRNO.E2BIG : 0;
  const record = error === 0 ? (map as RingBufferMap).reserve(size) : (0 as KernelOffset);
  if (record === 0) {
    makeNullDynptr(cpu, dynptr);
    return error || -ERRNO.EINVAL;
  }
  makeDynptr(cpu, dynptr, DYNPTR.ringbuf, record, size);
  return 0;
}

export function ringbuf_submit_dynptr(cpu: Cpu, dynptr: KernelOffset, flags: number): void {
  commitDynptr(cpu, dynptr, flags, false);
}

export function ringbuf_discard_dynptr(cpu: Cpu, dynptr: KernelOffset, flags: number): void {
  commitDynptr(cpu, dynptr, flags, true);
}

function commitDynptr(cpu: Cpu, dynptr: KernelOffset, flags: number, discard: boolean): void {
  const record = dynptrData(cpu, dynptr);
  if (record !== 0) RingBufferMap.of(cpu.kernel, record).commit(record, flags, discard);
  makeNullDynptr(cpu, dynptr);
}

/** BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP: nobody waits for room here. */
const WAKEUP_FLAGS = 3;

export function user_ringbuf_drain(
  cpu: Cpu,
  map: EmbeddedMap,
  callback: number,
  ctx: bigint,
  flags: number,
): number {
  if (flags > WAKEUP_FLAGS) return -ERRNO.EINVAL;
  return (map as UserRingBufferMap).drain((record, size, dynptr) => {
    makeDynptr(cpu, dynptr, DYNPTR.local, record, size);
    return Number(cpu.invoke(callback, [cpu.kernelPointer(dynptr), ctx]));
  }, cpu.id);
}
