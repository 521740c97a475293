import { existsSync, readFileSync } from 'node:fs';
import { BpfError, ERRNO } from '../errors.ts';
import { cString } from './bpf.ts';
import { Fd } from './fd.ts';
import { syscall } from './ffi.ts';

/**
 * Tracepoints by name: perf_event_open wants the numbers that tracefs has for them. Where tracefs is mounted nowhere, an
 * instance that only this process sees is opened for the question.
 */

const MOUNTS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;
const MOUNT_ATTR_RDONLY = 1;

/** The number of a tracepoint. @param name `category/name`. Throws ENOENT, and EACCES when tracefs is hidden from us. */
export function tracepointId(name: string): number {
  if (!/^[\w.-]+\/[\w.-]+$/.test(name))
    throw new BpfError('EINVAL', `'${name}' is no tracepoint: write category/name, as in sched/sched_switch`);
  return withTracefs((folder) => {
    try {
      return Number(readFileSync(`${folder}/events/${name}/id`, 'latin1'));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT')
        throw new BpfError('EACCES', `tracepoint '${name}': tracefs may not be read without root`, { cause });
      throw new BpfError('ENOENT', `this kernel has no tracepoint '${name}'`, { cause });
    }
  });
}

function withTracefs<Result>(work: (folder: string) => Result): Result {
  const mounted = MOUNTS.find((folder) => existsSync(`${folder}/events`));
  if (mounted !== undefined) return work(mounted);
  const mount = openTracefs();
  try {
    return work(`/proc/self/fd/${mount.number}`);
  } finally {
    mount.close();
  }
}

/** A mount that is attached nowhere, and goes with its file descriptor. */
function openTracefs(): Fd {
  const context = syscall('fsopen', cString('tracefs'), FSOPEN_CLOEXEC);
  if (context < 0) throw unavailable(context);
  try {
    const created = syscall('fsconfig', context, FSCONFIG_CMD_CREATE, 0, 0, 0);
    const mount = created < 0 ? created : syscall('fsmount', context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
    if (mount < 0) throw unavailable(mount);
    return new Fd(mount, 'tracefs');
  } finally {
    syscall('close', context);
  }
}

function unavailable(result: number): BpfError {
  if (result === -ERRNO.ENODEV)
    return new BpfError('ENODEV', 'this kernel has no tracefs: it was built without CONFIG_TRACING');
  const advice = 'mount it (mount -t tracefs tracefs /sys/kernel/tracing)';
  return new BpfError('ENOENT', `tracefs is not mounted, which tells the numbers of tracepoints; ${advice}`);
}
