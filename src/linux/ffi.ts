import { createRequire } from 'node:module';
import { BpfError } from '../errors.ts';

/**
 * System calls from JavaScript, through koffi (an optional dependency), which is loaded when the first one is made. One
 * C function does it all: `syscall(2)`, by number. Memory that C shall read or write is a typed array; memory that C owns
 * becomes an ArrayBuffer over its address. Nothing here knows BPF.
 */

/** System call numbers: [x86-64, arm64]. */
const SYSCALLS = {
  bind: [49, 200],
  bpf: [321, 280],
  close: [3, 57],
  connect: [42, 203],
  epoll_create1: [291, 20],
  epoll_ctl: [233, 21],
  epoll_pwait: [281, 22],
  eventfd2: [290, 19],
  fcntl: [72, 25],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  ftruncate: [77, 46],
  gettid: [186, 178],
  ioctl: [16, 29],
  memfd_create: [319, 279],
  mmap: [9, 222],
  munmap: [11, 215],
  perf_event_open: [298, 241],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  read: [0, 63],
  recvmmsg: [299, 243],
  rt_sigprocmask: [14, 135],
  sched_getaffinity: [204, 123],
  sched_setaffinity: [203, 122],
  sendmmsg: [307, 269],
  setns: [308, 268],
  setsockopt: [54, 208],
  socket: [41, 198],
  tgkill: [234, 131],
  write: [1, 64],
} as const satisfies Record<string, readonly [number, number]>;

export type Syscall = keyof typeof SYSCALLS;

const ARCHITECTURES: readonly string[] = ['x64', 'arm64'];

/** An argument: a number, an address, or memory whose address is meant. Absent ones are 0. */
export type SyscallArgument = number | bigint | ArrayBufferView;

type Koffi = typeof import('koffi');
type Numeric = number | bigint;
type RawSyscall = (
  number: number,
  a: Numeric,
  b: Numeric,
  c: Numeric,
  d: Numeric,
  e: Numeric,
  f: Numeric,
) => Numeric;

let koffi: Koffi | undefined;
let raw: RawSyscall | undefined;

/** Why no system call can be made from this process; undefined when they can. */
export function ffiUnavailable(): string | undefined {
  if (process.platform !== 'linux') return `this is ${process.platform}, not Linux`;
  if (!ARCHITECTURES.includes(process.arch))
    return `${process.arch} is not supported; ${ARCHITECTURES.join(' and ')} are`;
  try {
    bind();
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    return `the package koffi cannot be loaded (npm install koffi): ${message.split('\n')[0]}`;
  }
}

/** Throws EOPNOTSUPP where no system call can be made. */
function load(): RawSyscall {
  if (raw !== undefined) return raw;
  const reason = ffiUnavailable();
  if (reason !== undefined) throw new BpfError('EOPNOTSUPP', `the Linux kernel cannot be used: ${reason}`);
  return bind();
}

function bind(): RawSyscall {
  if (raw !== undefined) return raw;
  koffi = createRequire(import.meta.url)('koffi') as Koffi;
  const arguments_ = Array.from({ length: 6 }, () => 'uint64_t').join(', ');
  raw = koffi.load(null).func(`int64_t syscall(int64_t number, ${arguments_})`) as unknown as RawSyscall;
  return raw;
}

/**
 * Makes a system call. Throws EOPNOTSUPP where none can be made.
 * @returns its result, which is an address for mmap; a negative errno when it failed.
 */
export function syscall(name: Syscall, ...args: readonly SyscallArgument[]): number {
  const call = raw ?? load();
  const number = SYSCALLS[name][process.arch === 'arm64' ? 1 : 0];
  const at = (index: number): Numeric => {
    const argument = args[index] ?? 0;
    return typeof argument === 'object' ? addressOf(argument) : argument;
  };
  const result = Number(call(number, at(0), at(1), at(2), at(3), at(4), at(5)));
  return result === -1 ? -(koffi as Koffi).errno() : result;
}

/**
 * As {@link syscall}, for calls that block: a thread of Node's pool makes it, and has no time for anything else until it
 * returns. Memory that it uses stays referenced.
 * @returns its result; −EIO for any failure, since errno belongs to that thread.
 */
export function syscallOnThread(name: Syscall, ...args: readonly SyscallArgument[]): Promise<number> {
  const call = (raw ?? load()) as unknown as { async(...args: unknown[]): void };
  const number = SYSCALLS[name][process.arch === 'arm64' ? 1 : 0];
  const values = Array.from({ length: 6 }, (_, index) => {
    const argument = args[index] ?? 0;
    return typeof argument === 'object' ? addressOf(argument) : argument;
  });
  return new Promise((resolve, reject) => {
    call.async(number, ...values, (error: unknown, result: Numeric) => {
      // Named here so that what they point to lives until now.
      void args;
      if (error) reject(error);
      else resolve(Number(result) === -1 ? -5 : Number(result));
    });
  });
}

/**
 * The address of a typed array's first byte: valid while the array is referenced, which the caller sees to. (Asking for
 * it moves the bytes of small arrays out of the garbage-collected heap for good.)
 */
export function addressOf(memory: ArrayBufferView): bigint {
  load();
  return (koffi as Koffi).address(memory);
}

/**
 * An ArrayBuffer over `length` bytes at an address, up to 4 GiB; no copy. It must be {@link detach}ed before the memory
 * goes away: a touch afterwards would end the process. It cannot be sent to other threads.
 */
export function bufferAt(address: number, length: number): ArrayBuffer {
  load();
  return (koffi as Koffi).view(address, length);
}

/** Takes the memory away from an ArrayBuffer: it has no bytes any more, its views throw or read undefined. */
export function detach(buffer: ArrayBuffer): void {
  // To nothing: a buffer of the same size would count as that much memory, and start a garbage collection.
  buffer.transfer(0);
}

/** iovec of here, iovec of there. */
const vectors = new BigUint64Array(4);

/**
 * Copies between `local` and this process's own memory at `address` through the kernel: where a touch would be answered
 * with SIGSEGV, this is answered with an errno.
 * @returns 0 or a negative errno: −EFAULT also when only part of it could be copied.
 */
export function copyThroughKernel(direction: 'read' | 'write', address: number, local: Uint8Array): number {
  vectors[0] = addressOf(local);
  vectors[1] = BigInt(local.byteLength);
  vectors[2] = BigInt(address);
  vectors[3] = vectors[1];
  const name = direction === 'read' ? 'process_vm_readv' : 'process_vm_writev';
  const here = addressOf(vectors);
  const copied = syscall(name, process.pid, here, 1, here + 16n, 1, 0);
  if (copied === local.byteLength) return 0;
  return copied < 0 ? copied : -14;
}
