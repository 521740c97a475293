import { readFileSync } from 'node:fs';
import { type BpfError, ERRNO } from '../errors.ts';
import { Fd, linuxError } from './fd.ts';
import { addressOf, syscall } from './ffi.ts';
import { encodeStruct, type StructLayout, structSize } from './layouts.ts';

/**
 * perf_event_open(2): the events that programs are attached to and send records through.
 */

/** struct perf_event_attr, its second version. */
const ATTRIBUTES = {
  type: 4,
  size: 4,
  config: 8,
  /** Or the frequency, when flags say so. */
  sample_period: 8,
  sample_type: 8,
  read_format: 8,
  flags: 8,
  wakeup_events: 4,
  bp_type: 4,
  config1: 8,
  config2: 8,
} as const satisfies StructLayout;

/** PERF_TYPE_*. */
export const PERF_TYPES = {
  hardware: 0,
  software: 1,
  tracepoint: 2,
  hw_cache: 3,
  raw: 4,
  breakpoint: 5,
} as const;

/** Events by the names perf(1) has for them: type and config. */
export const PERF_EVENTS = {
  'cpu-cycles': [PERF_TYPES.hardware, 0],
  instructions: [PERF_TYPES.hardware, 1],
  'cache-references': [PERF_TYPES.hardware, 2],
  'cache-misses': [PERF_TYPES.hardware, 3],
  'branch-instructions': [PERF_TYPES.hardware, 4],
  'branch-misses': [PERF_TYPES.hardware, 5],
  'cpu-clock': [PERF_TYPES.software, 0],
  'task-clock': [PERF_TYPES.software, 1],
  'page-faults': [PERF_TYPES.software, 2],
  'context-switches': [PERF_TYPES.software, 3],
  'cpu-migrations': [PERF_TYPES.software, 4],
  'minor-faults': [PERF_TYPES.software, 5],
  'major-faults': [PERF_TYPES.software, 6],
  'bpf-output': [PERF_TYPES.software, 10],
} as const satisfies Record<string, readonly [type: number, config: number]>;

export type PerfEventName = keyof typeof PERF_EVENTS;

/** Bits of perf_event_attr's flags. */
export const PERF_FLAG = { disabled: 1n << 0n, freq: 1n << 10n } as const;

const PERF_FLAG_FD_CLOEXEC = 8;
const PERF_EVENT_IOC_ENABLE = 0x2400;

export interface PerfEventAttributes {
  readonly type: number;
  readonly config: number | bigint;
  readonly sample_period?: number;
  readonly sample_type?: number;
  readonly flags?: bigint;
  readonly wakeup_events?: number;
  /** Of probes: the name of a function or a file, and an offset. */
  readonly config1?: Uint8Array;
  readonly config2?: number;
}

/** Of whom: −1 is every process, or every CPU; not both. */
export interface PerfEventPlace {
  readonly pid: number;
  readonly cpu: number;
}

/** Opens an event. @param what it is, for the message. Throws EACCES, ENOENT, ENODEV, EOPNOTSUPP and others. */
export function openPerfEvent(
  attributes: PerfEventAttributes,
  { pid, cpu }: PerfEventPlace,
  what: string,
): Fd {
  const attr = encodeStruct(ATTRIBUTES, { ...attributes, size: structSize(ATTRIBUTES) }, addressOf);
  const result = syscall('perf_event_open', attr, BigInt(pid), BigInt(cpu), -1n, PERF_FLAG_FD_CLOEXEC);
  if (result >= 0) return new Fd(result, what);
  throw refused(result, what);
}

function refused(result: number, what: string): BpfError {
  const reasons: Readonly<Record<number, string>> = {
    [ERRNO.EACCES]: `not permitted: it takes root or CAP_PERFMON${paranoid()}`,
    [ERRNO.EPERM]: `not permitted: it takes root or CAP_PERFMON${paranoid()}`,
    [ERRNO.ENOENT]: 'this machine has no such event or function',
    [ERRNO.EOPNOTSUPP]: 'this machine has no such event',
    [ERRNO.ENODEV]: 'that CPU is offline, or has no such event',
    [ERRNO.ESRCH]: 'there is no such process',
    [ERRNO.EINVAL]: 'the event, its period or its CPU is not one that Linux takes',
    [ERRNO.ENOSYS]: 'this kernel was built without CONFIG_PERF_EVENTS',
  };
  return linuxError(result, what, reasons[-result]);
}

function paranoid(): string {
  try {
    return ` (kernel.perf_event_paranoid is ${readFileSync('/proc/sys/kernel/perf_event_paranoid', 'latin1').trim()})`;
  } catch {
    return '';
  }
}

/** Lets an event that was opened disabled count. */
export function enablePerfEvent(fd: Fd, what: string): void {
  const result = syscall('ioctl', fd.number, PERF_EVENT_IOC_ENABLE, 0);
  if (result < 0) throw linuxError(result, what);
}
