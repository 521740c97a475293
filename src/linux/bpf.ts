import { Fd, linuxError } from './fd.ts';
import { addressOf, syscall } from './ffi.ts';
import {
  type Attributes,
  COMMANDS,
  type Command,
  decodeStruct,
  encodeStruct,
  INFO,
  type Info,
  type InfoKind,
  readField,
  type StructLayout,
  structSize,
} from './layouts.ts';

/**
 * bpf(2). `bpf` makes one call, whatever the command; the functions below it are those that need more than one, or whose
 * answer is not just a number. All throw a BpfError with what was attempted.
 */

/** An answer of bpf(2): its result, and the attributes as the kernel left them. */
export interface BpfAnswer<Name extends Command> {
  /** Not negative: a file descriptor, or 0. Negative: an errno. */
  readonly result: number;
  /** An integer that the kernel wrote into the attributes. */
  field(name: keyof Attributes<Name> & string): number;
}

const EAGAIN = 11;
const SIG_BLOCK = 0;
const SIG_SETMASK = 2;

/** Makes one call of bpf(2). @returns the answer, also when the kernel refused. */
export function bpf<Name extends Command>(name: Name, attributes: Attributes<Name>): BpfAnswer<Name> {
  const [command, layout] = COMMANDS[name];
  const attr = encodeStruct(layout, attributes, addressOf);
  const call = () => syscall('bpf', command, attr, attr.length);
  const first = call();
  const result = first === -EAGAIN && name === 'prog_load' ? withoutSignals(call) : first;
  return { result, field: (field) => readField<StructLayout>(layout, attr, field) };
}

/**
 * The same call many times, with the same attributes: they are encoded once. Memory that they name must stay referenced.
 * @returns makes the call, and gives what {@link bpf} gives.
 */
export function bpfAgain<Name extends Command>(
  name: Name,
  attributes: Attributes<Name>,
): () => BpfAnswer<Name> {
  const [command, layout] = COMMANDS[name];
  const attr = encodeStruct(layout, attributes, addressOf);
  const address = Number(addressOf(attr));
  const answer = {
    result: 0,
    field: (field: string) => readField<StructLayout>(layout, attr, field),
  };
  return () => {
    answer.result = syscall('bpf', command, address, attr.length);
    return answer;
  };
}

/**
 * Makes a call that signals interrupt, while none reach the calling thread: BPF_PROG_LOAD gives up with EAGAIN when one
 * waits (libbpf tries five times, but a profiler sends a thousand a second), repeated test runs with EINTR. Other threads
 * take the signals that are for the process.
 */
export function withoutSignals<Result>(call: () => Result): Result {
  const before = new Uint8Array(8);
  const all = new Uint8Array(8).fill(0xff);
  syscall('rt_sigprocmask', SIG_BLOCK, all, before, before.length);
  try {
    return call();
  } finally {
    syscall('rt_sigprocmask', SIG_SETMASK, before, 0, before.length);
  }
}

/** As {@link bpf}, but throws when the kernel refuses. @param what was attempted, for the message. */
export function bpfOrThrow<Name extends Command>(
  name: Name,
  attributes: Attributes<Name>,
  what: string,
): BpfAnswer<Name> {
  const answer = bpf(name, attributes);
  if (answer.result < 0) throw linuxError(answer.result, what);
  return answer;
}

/** As {@link bpfOrThrow}, for commands that give a file descriptor. */
export function bpfFd<Name extends Command>(name: Name, attributes: Attributes<Name>, what: string): Fd {
  return new Fd(bpfOrThrow(name, attributes, what).result, what);
}

/** A path as the kernel takes it. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

type Infos = { readonly [Kind in InfoKind]: Info<Kind> };

/**
 * BPF_OBJ_GET_INFO_BY_FD.
 * @param arrays memory for what the kernel tells in arrays, by the field that points to it, with the counts.
 */
export function infoOf<Kind extends InfoKind>(
  kind: Kind,
  fd: number,
  arrays: Readonly<Record<string, number | ArrayBufferView>> = {},
): Infos[Kind] {
  const layout = INFO[kind];
  const info = encodeStruct(layout, arrays, addressOf);
  bpfOrThrow(
    'obj_get_info_by_fd',
    { bpf_fd: fd, info_len: structSize(layout), info },
    `asking about a ${kind}`,
  );
  return decodeStruct(layout, info) as unknown as Infos[Kind];
}

/** What has ids. */
export type IdKind = 'prog' | 'map' | 'btf' | 'link';

/** The ids of all programs, maps, BTF objects or links that are loaded now, ascending. */
export function* idsOf(kind: IdKind): Generator<number> {
  for (let id = 0; ; ) {
    const answer = bpf(`${kind}_get_next_id`, { start_id: id });
    if (answer.result < 0) {
      if (answer.result === -2) return;
      throw linuxError(answer.result, `listing ${kind}s`);
    }
    id = answer.field('next_id');
    yield id;
  }
}

/** Opens what has this id. Throws ENOENT when nothing has. @param flags BPF_F_RDONLY for a map that is only read. */
export function openById(kind: IdKind, id: number, flags = 0): Fd {
  return bpfFd(`${kind}_get_fd_by_id`, { id, open_flags: flags }, `opening ${kind} ${id}`);
}

/** Opens what is pinned at a path of a BPF file system. @param flags BPF_F_RDONLY for a map that is only read. */
export function openPinned(path: string, flags = 0): Fd {
  return bpfFd(
    'obj_get',
    { pathname: cString(path), file_flags: flags },
    `opening what is pinned at '${path}'`,
  );
}

/** Pins an object at a path of a BPF file system (/sys/fs/bpf). */
export function pin(fd: number, path: string): void {
  bpfOrThrow('obj_pin', { pathname: cString(path), bpf_fd: fd }, `pinning at '${path}'`);
}

/** What a load gives when the kernel refuses it: the errno, and the verifier's (or BTF's) log. */
export interface LoggedAnswer {
  readonly result: number;
  readonly log: string;
}

const FIRST_LOG_BYTES = 1 << 16;
/** Linux: bpf_verifier_log_attr_valid. */
const MAX_LOG_BYTES = 2 ** 30 - 1;
const ENOSPC = 28;
const MAX_TEXT_BYTES = 2 ** 28;

/**
 * Makes a call that writes a log, again with a larger buffer while the log does not fit.
 * @param call with a buffer; tells the result and the bytes the log needs, where the kernel says so (since 6.4).
 */
function withLog(call: (log: Uint8Array) => { result: number; needed: number }): LoggedAnswer {
  let bytes = FIRST_LOG_BYTES;
  for (;;) {
    const log = new Uint8Array(bytes);
    const { result, needed } = call(log);
    if (result === -ENOSPC && bytes < MAX_LOG_BYTES) {
      bytes = Math.min(MAX_LOG_BYTES, Math.max(bytes * 4, needed));
      continue;
    }
    const end = log.indexOf(0);
    const text = log.subarray(0, end < 0 ? bytes : end);
    // More than a string holds: the end says why.
    return { result, log: new TextDecoder().decode(text.subarray(-MAX_TEXT_BYTES)) };
  }
}

/** BPF_BTF_LOAD. @returns the file descriptor, or why not. */
export function loadBtf(bytes: Uint8Array): Fd | LoggedAnswer {
  const { result } = bpf('btf_load', { btf: bytes, btf_size: bytes.length });
  if (result >= 0) return new Fd(result, 'BTF');
  const answer = withLog((log) => {
    const second = bpf('btf_load', {
      btf: bytes,
      btf_size: bytes.length,
      btf_log_buf: log,
      btf_log_size: log.length,
      btf_log_level: 1,
    });
    return { result: second.result, needed: second.field('btf_log_true_size') };
  });
  return answer.result >= 0 ? new Fd(answer.result, 'BTF') : answer;
}

const BPF_LOG_STATS = 4;

/**
 * BPF_PROG_LOAD: without a log first, for that is faster; when it is refused, again with one.
 * @param logLevel what is wanted of a program that is accepted, too: 0 nothing, 1 and 2 as Linux has them; 4 adds
 * statistics. @returns the file descriptor, if any, and the log.
 */
export function loadProgram(
  attributes: Attributes<'prog_load'>,
  logLevel = 0,
): { fd: Fd | undefined; result: number; log: string } {
  if (logLevel === 0) {
    const { result } = bpf('prog_load', attributes);
    if (result >= 0) return { fd: new Fd(result, 'program'), result, log: '' };
  }
  const first = loadWithLog(attributes, logLevel || 1);
  // Statistics alone do not say where a program is wrong.
  return first.fd === undefined && logLevel === BPF_LOG_STATS ? loadWithLog(attributes, logLevel | 1) : first;
}

function loadWithLog(attributes: Attributes<'prog_load'>, logLevel: number): ReturnType<typeof loadProgram> {
  const { result, log } = withLog((buffer) => {
    const answer = bpf('prog_load', {
      ...attributes,
      log_buf: buffer,
      log_size: buffer.length,
      log_level: logLevel,
    });
    return { result: answer.result, needed: answer.field('log_true_size') };
  });
  return { fd: result < 0 ? undefined : new Fd(result, 'program'), result, log };
}
