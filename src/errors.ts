/**
 * Every error this package throws is a {@link BpfError}: an errno as Linux would give it, and a sentence that says what
 * was wrong and what to do. Rooms share this file and nothing else; it imports nothing.
 */

/** Linux errno values (asm-generic/errno-base.h, errno.h) that BPF gives; 524 is the kernel-internal ENOTSUPP. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ELOOP: 40,
  ENODATA: 61,
  EPROTO: 71,
  EOVERFLOW: 75,
  EILSEQ: 84,
  EMSGSIZE: 90,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  ENETDOWN: 100,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  ESTALE: 116,
  ENOTSUPP: 524,
} as const;

/** The name of an errno: `EINVAL`. */
export type ErrnoName = keyof typeof ERRNO;

/** The name for an errno number, or `errno N` when the table has none. */
export function errnoName(errno: number): string {
  return Object.entries(ERRNO).find(([, value]) => value === Math.abs(errno))?.[0] ?? `errno ${errno}`;
}

/** What everything here throws. `code` is the errno's name, `errno` its (positive) number, `message` one sentence. */
export class BpfError extends Error {
  override name = 'BpfError';
  readonly code: ErrnoName;
  readonly errno: number;

  constructor(code: ErrnoName, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.errno = ERRNO[code];
  }
}

/**
 * Bytes or text that are not what they claim to be. `section` and `offset` (bytes into that section; a line number for
 * text) say where; both also stand in the message.
 */
export class FormatError extends BpfError {
  override name = 'FormatError';
  readonly section: string;
  readonly offset: number;

  constructor(
    section: string,
    offset: number,
    problem: string,
    options?: ErrorOptions & { code?: ErrnoName },
  ) {
    super(options?.code ?? 'EINVAL', `${section}, offset ${offset}: ${problem}`, options);
    this.section = section;
    this.offset = offset;
  }
}
