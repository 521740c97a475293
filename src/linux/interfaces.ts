import { closeSync, openSync } from 'node:fs';
import { BpfError, ERRNO } from '../errors.ts';
import { linuxError } from './fd.ts';
import { syscall } from './ffi.ts';

/**
 * Network interfaces, and the namespaces they are in. Asked of a socket and not of /sys, which shows the namespace it was
 * mounted in, not the one this thread is in.
 */

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 0x80002;
const SIOCGIFNAME = 0x8910;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFINDEX = 0x8933;
const IFF_UP = 1;
/** struct ifreq: a name, then what is asked. */
const IFREQ_BYTES = 40;
const NAME_BYTES = 16;
const CLONE_NEWNET = 0x40000000;

export interface NetworkInterface {
  readonly name: string;
  readonly index: number;
  readonly up: boolean;
}

/** Finds an interface of the current namespace by name or index. Throws ENODEV when there is none. */
export function findInterface(nameOrIndex: string | number): NetworkInterface {
  const fd = syscall('socket', AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) throw linuxError(fd, 'socket');
  try {
    const request = new DataView(new ArrayBuffer(IFREQ_BYTES));
    const ask = (call: number) => {
      const result = syscall('ioctl', fd, call, request);
      if (result === 0) return;
      const name = typeof nameOrIndex === 'number' ? `index ${nameOrIndex}` : `'${nameOrIndex}'`;
      if (result === -ERRNO.ENODEV || result === -ERRNO.ENXIO)
        throw new BpfError('ENODEV', `there is no network interface ${name} in this network namespace`);
      throw linuxError(result, `asking about network interface ${name}`);
    };
    if (typeof nameOrIndex === 'number') {
      request.setInt32(NAME_BYTES, nameOrIndex, true);
      ask(SIOCGIFNAME);
    } else {
      const name = new TextEncoder().encode(nameOrIndex);
      if (name.length === 0 || name.length >= NAME_BYTES)
        throw new BpfError('ENODEV', `'${nameOrIndex}' is no interface name: those have 1 to 15 bytes`);
      new Uint8Array(request.buffer).set(name);
      ask(SIOCGIFINDEX);
    }
    const index = request.getInt32(NAME_BYTES, true);
    const name = new Uint8Array(request.buffer, 0, NAME_BYTES);
    ask(SIOCGIFFLAGS);
    const up = (request.getUint16(NAME_BYTES, true) & IFF_UP) !== 0;
    return { name: new TextDecoder().decode(name.subarray(0, name.indexOf(0))), index, up };
  } finally {
    syscall('close', fd);
  }
}

const NAMESPACES = '/run/netns';

/**
 * Does something in another network namespace. A namespace is a thread's, and `work` runs on this one without giving way
 * to anything else: nobody but it notices.
 * @param namespace a name (`ip netns add NAME`) or a path such as `/proc/PID/ns/net`; undefined is where we are
 * @throws ENOENT when there is none, EPERM without CAP_SYS_ADMIN
 */
export function inNetworkNamespace<Result>(namespace: string | undefined, work: () => Result): Result {
  if (namespace === undefined) return work();
  const there = openNamespace(namespace);
  // This thread's own: a worker's may differ from the process's.
  const here = openSync('/proc/thread-self/ns/net', 'r');
  try {
    const result = syscall('setns', there, CLONE_NEWNET);
    if (result < 0) {
      const advice = result === -ERRNO.EPERM ? 'not permitted: it takes root or CAP_SYS_ADMIN' : undefined;
      throw linuxError(result, `entering network namespace '${namespace}'`, advice);
    }
    try {
      return work();
    } finally {
      if (syscall('setns', here, CLONE_NEWNET) < 0)
        // biome-ignore lint/correctness/noUnsafeFinally: nothing that work threw is as bad as this.
        throw new BpfError('EIO', `this thread cannot leave network namespace '${namespace}'`);
    }
  } finally {
    closeSync(there);
    closeSync(here);
  }
}

function openNamespace(namespace: string): number {
  const path = namespace.includes('/') ? namespace : `${NAMESPACES}/${namespace}`;
  try {
    return openSync(path, 'r');
  } catch (cause) {
    const refused = (cause as NodeJS.ErrnoException).code === 'EACCES';
    const reason = refused
      ? 'not permitted: it takes root or CAP_SYS_ADMIN'
      : 'there is no such network namespace';
    throw new BpfError(refused ? 'EACCES' : 'ENOENT', `network namespace '${path}': ${reason}`, { cause });
  }
}
