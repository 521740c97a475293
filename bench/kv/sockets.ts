import { linuxError } from '../../src/linux/fd.ts';
import { addressOf, syscall } from '../../src/linux/ffi.ts';
import { inNetworkNamespace } from '../../src/linux/interfaces.ts';

/**
 * Sockets that block, by system calls. A UDP socket sends and receives many datagrams with one (sendmmsg, recvmmsg), so that a
 * generator written in JavaScript is as fast as one in C: what is sent lies in memory beforehand, headers included, and sending is
 * a call with the place of the first and a count.
 */

const AF_INET = 2;
const SOCK_STREAM_CLOEXEC = 0x80001;
const SOCK_DGRAM_CLOEXEC = 0x80002;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_RCVTIMEO = 20;
const MSG_DONTWAIT = 0x40;
const MSG_WAITFORONE = 0x10000;
const EAGAIN = -11;
const EINTR = -4;
/** struct mmsghdr on 64-bit Linux: a pointer to the pieces at 16, how many at 24, and the length received at 56. */
const MMSGHDR_BYTES = 64;
const IOVEC_BYTES = 16;

/** Datagrams in a row, ready for the kernel. */
export class Datagrams {
  readonly count: number;
  readonly headers: Uint8Array;
  readonly #lengths: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #each: number;
  readonly #vectors: BigUint64Array;

  /** @param each bytes of one, or of the room for one. @param fill writes datagram `index` into its room. */
  constructor(count: number, each: number, fill?: (index: number, room: Uint8Array) => void) {
    this.count = count;
    this.#each = each;
    this.#bytes = new Uint8Array(count * each);
    this.#vectors = new BigUint64Array((count * IOVEC_BYTES) / 8);
    this.headers = new Uint8Array(count * MMSGHDR_BYTES);
    this.#lengths = new Uint32Array(this.headers.buffer);
    const view = new DataView(this.headers.buffer);
    const [bytes, vectors] = [addressOf(this.#bytes), addressOf(this.#vectors)];
    for (let i = 0; i < count; i++) {
      fill?.(i, this.#bytes.subarray(i * each, (i + 1) * each));
      this.#vectors[2 * i] = bytes + BigInt(i * each);
      this.#vectors[2 * i + 1] = BigInt(each);
      view.setBigUint64(i * MMSGHDR_BYTES + 16, vectors + BigInt(i * IOVEC_BYTES), true);
      view.setBigUint64(i * MMSGHDR_BYTES + 24, 1n, true);
    }
  }

  /** Bytes of a datagram that was received. */
  length(index: number): number {
    return this.#lengths[(index * MMSGHDR_BYTES + 56) / 4];
  }

  bytes(index: number): Uint8Array {
    return this.#bytes.subarray(index * this.#each, index * this.#each + this.length(index));
  }

  /** Room of all, one behind the other. */
  get room(): Uint8Array {
    return this.#bytes;
  }
}

/** Where a server listens. */
export interface Server {
  readonly address: string;
  readonly port: number;
}

/** A socket in a namespace, connected. @param timeout of receiving, milliseconds. Throws what connecting throws: ECONNREFUSED. */
function connected(netns: string | undefined, type: number, server: Server, timeout: number): number {
  const fd = inNetworkNamespace(netns, () => check('socket', syscall('socket', AF_INET, type, 0)));
  const address = new DataView(new ArrayBuffer(16));
  address.setUint16(0, AF_INET, true);
  address.setUint16(2, server.port);
  server.address.split('.').forEach((byte, i) => {
    address.setUint8(4 + i, Number(byte));
  });
  const size = new Int32Array([1 << 20]);
  for (const option of [SO_SNDBUF, SO_RCVBUF]) syscall('setsockopt', fd, SOL_SOCKET, option, size, 4);
  const wait = new BigInt64Array([BigInt(Math.floor(timeout / 1000)), BigInt((timeout % 1000) * 1000)]);
  check('setsockopt', syscall('setsockopt', fd, SOL_SOCKET, SO_RCVTIMEO, wait, 16));
  const result = syscall('connect', fd, address, 16);
  if (result < 0) {
    syscall('close', fd);
    throw linuxError(result, `connecting to ${server.address}:${server.port}`);
  }
  return fd;
}

export class UdpClient {
  readonly #fd: number;

  /** Connected to a server. @param timeout of receiving, milliseconds */
  constructor(netns: string | undefined, server: Server, timeout = 20) {
    this.#fd = connected(netns, SOCK_DGRAM_CLOEXEC, server, timeout);
  }

  /** @returns how many were sent. */
  send({ headers }: Datagrams, first: number, count: number): number {
    return check(
      'sendmmsg',
      syscall('sendmmsg', this.#fd, headers.subarray(first * MMSGHDR_BYTES), count, 0),
    );
  }

  /** @param wait for one at least. @returns how many came; 0 when the time is up. */
  receive({ headers, count }: Datagrams, wait: boolean): number {
    const result = syscall('recvmmsg', this.#fd, headers, count, wait ? MSG_WAITFORONE : MSG_DONTWAIT, 0);
    return result === EAGAIN || result === EINTR ? 0 : check('recvmmsg', result);
  }

  close(): void {
    syscall('close', this.#fd);
  }
}

export class TcpClient implements Disposable {
  readonly #fd: number;

  /** Connects. Throws ECONNREFUSED where nobody listens. */
  constructor(netns: string | undefined, server: Server, timeout = 5000) {
    this.#fd = connected(netns, SOCK_STREAM_CLOEXEC, server, timeout);
  }

  /** Sends all of it. */
  send(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; )
      at += completed('write', () => syscall('write', this.#fd, bytes.subarray(at), bytes.length - at));
  }

  /** Waits until the room is full. Throws when the server closes, or sends nothing for too long. */
  receive(room: Uint8Array): void {
    for (let at = 0; at < room.length; ) {
      const count = completed('read', () => syscall('read', this.#fd, room.subarray(at), room.length - at));
      if (count === 0)
        throw new Error(`the server closed the connection after ${at} of ${room.length} bytes`);
      at += count;
    }
  }

  /** What comes until the server closes, as text of one byte a character. */
  receiveAll(): string {
    const room = new Uint8Array(4096);
    let text = '';
    for (;;) {
      const count = completed('read', () => syscall('read', this.#fd, room, room.length));
      if (count === 0) return text;
      text += Buffer.from(room.buffer, 0, count).toString('latin1');
    }
  }

  close(): void {
    syscall('close', this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A call that waits, made again where a signal (a child's end, say) interrupted it. */
function completed(what: string, call: () => number): number {
  for (;;) {
    const result = call();
    if (result !== EINTR) return check(what, result);
  }
}

function check(what: string, result: number): number {
  if (result < 0) throw linuxError(result, what);
  return result;
}
