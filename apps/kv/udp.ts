/**
 * Clients on datagrams: an eight-byte frame of request, number, count and zero, then commands. An answer is as many datagrams as it
 * takes, numbered. A request is one datagram; what does not end in it is dropped.
 */
import type { RemoteInfo, Socket } from 'node:dgram';
import type { Engine } from './protocol/engine.ts';
import { Session } from './protocol/session.ts';
import type { Accelerator } from './xdp.ts';

export const FRAME_BYTES = 8;
/** Bytes of a datagram with its frame, at most: memcached's. */
const DATAGRAM_BYTES = 1400;
/** Bytes that are sent and not yet gone, at most; beyond, answers are dropped, as networks do. */
const SENDING_MAX = 4 << 20;

export class Datagrams {
  readonly socket: Socket;
  private readonly engine: Engine;
  private sending = 0;
  /** Sees each datagram first, where the kernel does not. */
  accelerator: Accelerator | undefined;

  constructor(socket: Socket, engine: Engine) {
    this.socket = socket;
    this.engine = engine;
    socket.on('message', (message, from) => this.take(message, from));
  }

  private take(message: Buffer, from: RemoteInfo): void {
    const { engine } = this;
    engine.counters.bytesRead += message.length;
    if (message.length <= FRAME_BYTES || message.readUInt16BE(4) !== 1) return;
    const known = this.accelerator?.answer(message, from.port);
    if (known !== undefined) {
      this.transmit([known], from);
      return;
    }
    const session = new Session(engine);
    let at = FRAME_BYTES;
    const answers: Buffer[] = [];
    let bytes = 0;
    do {
      at = session.take(message, at, message.length);
      bytes += engine.output.used;
      if (engine.output.used > 0) answers.push(Buffer.from(engine.output.content));
      engine.output.clear();
    } while (session.more && !session.closing && bytes < SENDING_MAX);
    session.close();
    const answer = answers.length === 1 ? answers[0] : Buffer.concat(answers);
    if (answer.length > 0) this.send(answer, message.readUInt16BE(0), from);
  }

  private send(answer: Buffer, request: number, from: RemoteInfo): void {
    const each = DATAGRAM_BYTES - FRAME_BYTES;
    const count = Math.ceil(answer.length / each);
    if (count > 0xffff || this.sending + answer.length > SENDING_MAX) return;
    for (let number = 0; number < count; number++) {
      const frame = Buffer.alloc(FRAME_BYTES);
      frame.writeUInt16BE(request, 0);
      frame.writeUInt16BE(number, 2);
      frame.writeUInt16BE(count, 4);
      this.transmit([frame, answer.subarray(number * each, (number + 1) * each)], from);
    }
  }

  /** Sends a datagram, in pieces. */
  private transmit(pieces: readonly Uint8Array[], from: RemoteInfo): void {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (this.sending + bytes > SENDING_MAX) return;
    this.sending += bytes;
    this.engine.counters.bytesWritten += bytes;
    this.socket.send(pieces, from.port, from.address, () => {
      this.sending -= bytes;
    });
  }
}
