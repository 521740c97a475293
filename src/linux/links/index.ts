import { BpfError } from '../../errors.ts';
import { type CgroupTarget, cgroup } from './cgroup.ts';
import { type IteratorTarget, iterator } from './iterator.ts';
import { type AttachableProgram, Link, type LinkKind } from './link.ts';
import { type KprobeTarget, kprobe, type UprobeTarget, uprobe } from './probe.ts';
import { type TcxTarget, tcx } from './tcx.ts';
import {
  type PerfEventTarget,
  perfEvent,
  type RawTracepointTarget,
  rawTracepoint,
  type TracepointTarget,
  type TracingTarget,
  tracepoint,
  tracing,
} from './tracing.ts';
import { type XdpTarget, xdp } from './xdp.ts';

/** Attaching programs: the table of all that they can be attached to, and the one function that does it. */

export type AttachTarget =
  | CgroupTarget
  | IteratorTarget
  | KprobeTarget
  | PerfEventTarget
  | RawTracepointTarget
  | TcxTarget
  | TracepointTarget
  | TracingTarget
  | UprobeTarget
  | XdpTarget;

export type { AttachableProgram, LinkInfo, LinkType } from './link.ts';
export type {
  CgroupTarget,
  IteratorTarget,
  KprobeTarget,
  PerfEventTarget,
  RawTracepointTarget,
  TcxTarget,
  TracepointTarget,
  TracingTarget,
  UprobeTarget,
  XdpTarget,
};
export { Link };

type Kinds = { readonly [Kind in AttachTarget['kind']]: LinkKind<Extract<AttachTarget, { kind: Kind }>> };

const KINDS: Kinds = {
  cgroup,
  iter: iterator,
  kprobe,
  perf_event: perfEvent,
  raw_tracepoint: rawTracepoint,
  tcx,
  tracepoint,
  tracing,
  uprobe,
  xdp,
};

/**
 * Attaches a program: from now on the kernel runs it, until the link is closed.
 * @returns the link; close it, or let `using` do it
 * @throws BpfError that says in one sentence why not: not permitted, not configured, the interface is missing, something is
 * attached already, the program does not fit
 */
export function attach(program: AttachableProgram, target: AttachTarget): Link {
  // The target's kind chooses the row, so they belong together; TypeScript cannot follow that.
  const kind = KINDS[target.kind] as LinkKind<AttachTarget>;
  if (!kind.programTypes.includes(program.type)) {
    const takes = kind.programTypes.join(', ');
    const problem = `is of type ${program.type}; what is attached as ${target.kind} is of type ${takes}`;
    throw new BpfError('EINVAL', `program '${program.name}' ${problem}`);
  }
  return new Link(kind.attach(program, target));
}
