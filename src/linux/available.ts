import { readFileSync } from 'node:fs';
import { BpfError } from '../errors.ts';
import { ffiUnavailable } from './ffi.ts';
import { loadSnippet } from './snippet.ts';

/**
 * Whether this process can load programs into Linux: decided here alone, by trying, and told as one clause that says what
 * is missing.
 */

let answer: string | undefined | 'untried' = 'untried';

/**
 * Why the Linux kernel cannot be used from this process, as a clause; undefined when it can. Tried once.
 */
export function linuxUnavailable(): string | undefined {
  if (answer === 'untried') answer = ffiUnavailable() ?? tryLoading();
  return answer;
}

/** Throws EOPNOTSUPP with the reason when this process cannot use the Linux kernel. */
export function requireLinux(): void {
  const reason = linuxUnavailable();
  if (reason === undefined) return;
  throw new BpfError(
    'EOPNOTSUPP',
    `the Linux kernel cannot be used: ${reason}; the embedded kernel does without`,
  );
}

const EPERM = 1;
const ENOSYS = 38;
const EINVAL = 22;
const CAP_SYS_ADMIN = 21n;
const CAP_BPF = 39n;

/** The smallest program of the type that arenas are mostly used from; it needs CAP_BPF, and bpf(2) altogether. */
function tryLoading(): string | undefined {
  const { fd, result, log } = loadSnippet('r0 = 0\nexit');
  fd?.close();
  switch (-result) {
    case ENOSYS:
      return 'this kernel has no bpf(2) (CONFIG_BPF_SYSCALL), or a filter hides it';
    case EPERM:
      return permission();
    case EINVAL:
      return 'this kernel is too old: it has no syscall programs (Linux 5.14); arenas need 6.9';
    default:
      return result < 0 ? `it refuses the simplest program, errno ${-result}: ${log.trim()}` : undefined;
  }
}

/** bpf(2) answered EPERM: for want of what? */
function permission(): string {
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(read('/proc/self/status'))?.[1] ?? '0'}`);
  const has = (capability: bigint) => ((capabilities >> capability) & 1n) === 1n;
  if (!has(CAP_BPF) && !has(CAP_SYS_ADMIN)) {
    const sysctl = read('/proc/sys/kernel/unprivileged_bpf_disabled').trim();
    const detail = sysctl === '' ? '' : ` (kernel.unprivileged_bpf_disabled is ${sysctl})`;
    return `this process has neither root nor CAP_BPF${detail}`;
  }
  const lockdown = /\[(\w+)\]/.exec(read('/sys/kernel/security/lockdown'))?.[1];
  if (lockdown !== undefined && lockdown !== 'none') return `the kernel is locked down (${lockdown})`;
  return 'bpf(2) is not permitted here, although this process has the capability: a container or seccomp forbids it';
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
