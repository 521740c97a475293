import { BpfError } from '../../errors.ts';
import { bpf, cString } from '../bpf.ts';
import { Fd } from '../fd.ts';
import {
  enablePerfEvent,
  openPerfEvent,
  PERF_EVENTS,
  PERF_FLAG,
  PERF_TYPES,
  type PerfEventAttributes,
  type PerfEventName,
} from '../perf-event.ts';
import { tracepointId } from '../tracefs.ts';
import { type AttachableProgram, type Attached, createLink, type LinkKind, refusal } from './link.ts';

/**
 * Programs that watch the kernel: at tracepoints, with their raw arguments or through perf; when an event of the processor
 * or of the kernel happened often enough; and at what a program was verified against.
 */

export interface Cookie {
  /** What bpf_get_attach_cookie gives the program. */
  cookie?: bigint;
}

export interface RawTracepointTarget extends Cookie {
  kind: 'raw_tracepoint';
  /** Without its category: `sched_switch`. Default: what the program's section says. */
  name?: string;
}

export interface TracepointTarget extends Cookie {
  kind: 'tracepoint';
  /** With its category: `sched/sched_switch`. Default: what the program's section says. */
  name?: string;
}

export interface PerfEventTarget extends Cookie {
  kind: 'perf_event';
  /** By name, or as perf_event_attr has it. */
  event: PerfEventName | { type: number; config: number | bigint };
  /** The program runs once in so many events, or so many times a second. */
  every: { events: number } | { hertz: number };
  /** On which CPU; default: all, for one thread. */
  cpu?: number;
  /** In which thread, by its id, 0 being the calling one; default: all, on one CPU. */
  pid?: number;
}

/** What a tracing program (tp_btf, fentry, lsm and their like) was verified against when it was loaded. */
export interface TracingTarget extends Cookie {
  kind: 'tracing';
}

const RAW_REFUSALS = {
  reasons: {
    ENOENT: 'this kernel has no such tracepoint; the name goes without its category',
    EINVAL: 'the program reads arguments that the tracepoint has not',
  },
  config: ['CONFIG_BPF_EVENTS'],
} as const;

export const rawTracepoint: LinkKind<RawTracepointTarget> = {
  programTypes: ['raw_tracepoint', 'raw_tracepoint_writable'],
  attach(program, { name = said(program), cookie = 0n }) {
    const where = `raw tracepoint '${name}'`;
    const { result } = bpf('raw_tracepoint_open', {
      name: cString(name),
      prog_fd: program.fdNumber,
      cookie,
    });
    if (result < 0) throw refusal(result, program, where, RAW_REFUSALS);
    return { fd: new Fd(result, where), where };
  },
};

export const tracepoint: LinkKind<TracepointTarget> = {
  programTypes: ['tracepoint'],
  attach(program, { name = said(program), cookie }) {
    const event = { type: PERF_TYPES.tracepoint, config: tracepointId(name), sample_period: 1 };
    return attachToPerfEvent(program, event, { pid: -1, cpu: 0 }, `tracepoint '${name}'`, cookie);
  },
};

export const perfEvent: LinkKind<PerfEventTarget> = {
  programTypes: ['perf_event'],
  attach(program, { event, every, cpu = -1, pid = -1, cookie }) {
    const [type, config] = typeof event === 'string' ? PERF_EVENTS[event] : [event.type, event.config];
    const name = typeof event === 'string' ? event : `${type}:${config}`;
    if (cpu < 0 && pid < 0)
      throw new BpfError('EINVAL', `perf event '${name}': say on which CPU, or in which thread`);
    const period = 'hertz' in every ? every.hertz : every.events;
    const flags = 'hertz' in every ? PERF_FLAG.freq : 0n;
    const attributes = { type, config, sample_period: period, flags };
    const where = `perf event '${name}'${cpu < 0 ? '' : `, CPU ${cpu}`}${pid < 0 ? '' : `, thread ${pid}`}`;
    return attachToPerfEvent(program, attributes, { pid, cpu }, where, cookie);
  },
};

const TRACING_REFUSALS = {
  reasons: {
    EBUSY: 'another program is attached there that allows no other',
    ENOTSUPP: 'this kernel cannot redirect its functions to programs (no ftrace or BPF trampoline here)',
    EINVAL: 'the kernel takes no such program there',
  },
  config: ['CONFIG_BPF_EVENTS'],
} as const;

export const tracing: LinkKind<TracingTarget> = {
  programTypes: ['tracing', 'lsm'],
  attach(program, { cookie = 0n }) {
    const where = `'${program.spec?.attachTo ?? 'what it was loaded for'}' (${program.spec?.attachType ?? 'tracing'})`;
    const attributes = { target_fd: 0, extra2: cookie };
    const attachType = program.spec?.attachType ?? 'trace_fentry';
    return { fd: createLink(program, attributes, attachType, where, TRACING_REFUSALS), where };
  },
};

const PERF_REFUSALS = {
  reasons: {
    EINVAL: 'the kernel takes no such program there, or is older than links to perf events (Linux 5.15)',
    EEXIST: 'the program is attached to this event already',
    EACCES: 'the program reads more of the context than the tracepoint has',
    E2BIG: 'as many programs as there may be (64) are attached already',
  },
  config: ['CONFIG_PERF_EVENTS', 'CONFIG_BPF_EVENTS'],
} as const;

/** The event is opened disabled, so that it does not count before the program is there. */
export function attachToPerfEvent(
  program: AttachableProgram,
  attributes: PerfEventAttributes,
  place: { pid: number; cpu: number },
  where: string,
  cookie = 0n,
): Attached {
  const flags = (attributes.flags ?? 0n) | PERF_FLAG.disabled;
  const event = openPerfEvent({ ...attributes, flags }, place, `opening ${where}`);
  try {
    const halves = { extra0: Number(cookie & 0xffffffffn), extra1: Number(cookie >> 32n) };
    const fd = createLink(
      program,
      { target_fd: event.number, ...halves },
      'perf_event',
      where,
      PERF_REFUSALS,
    );
    try {
      enablePerfEvent(event, where);
    } catch (error) {
      fd.close();
      throw error;
    }
    return { fd, where, besides: [event] };
  } catch (error) {
    event.close();
    throw error;
  }
}

/** What the program's section says to attach to. */
function said({ name, spec }: AttachableProgram): string {
  if (spec?.attachTo !== undefined) return spec.attachTo;
  throw new BpfError('EINVAL', `program '${name}': its section does not say what it is for; give a name`);
}
