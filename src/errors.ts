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
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EFBIG: 27,
  ENOSPC: 28,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENOSYS: 38,
  ELOOP: 40,
  ENODATA: 61,
  EPROTO: 71,
  EOVERFLOW: 75,
  EILSEQ: 84,
  EOPNOTSUPP: 95,
  ENETDOWN: 100,
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
