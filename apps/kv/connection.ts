/**
 * A client on a stream socket. Whatever one read brings is done in one go and answered with one write. A client that does not take
 * its answers is not read from until it does; so what it costs is one read, one batch of answers and what the system buffers.
 */
import type { Socket } from 'node:net';
import type { Engine } from './protocol/engine.ts';
import { Session } from './protocol/session.ts';

const NOTHING = Buffer.alloc(0);

export class Connection {
  readonly socket: Socket;
  readonly session: Session;
  private readonly engine: Engine;
  /** What was read and is not done: a part of a command, or commands that wait until answers are taken. */
  private rest: Buffer = NOTHING;
  private waiting = false;
  /** Seconds since 1970: when it said something last; since when it takes no answers. */
  lastCommand: number;
  waitingSince = 0;

  private readonly waits: () => void;

  /** @param waits is called whenever the client begins to take no answers. @param closed once, when it is gone. */
  constructor(socket: Socket, engine: Engine, waits: () => void, closed: (connection: Connection) => void) {
    this.socket = socket;
    this.engine = engine;
    this.waits = waits;
    this.session = new Session(engine);
    this.lastCommand = engine.now;
    socket.on('data', (data: Buffer) => this.take(data));
    socket.on('drain', () => this.resume());
    // A reset tells no more than that the client is gone.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.session.close();
      this.rest = NOTHING;
      closed(this);
    });
  }

  /** Bytes of answers that the client has not taken. */
  get pending(): number {
    return this.socket.destroyed ? 0 : this.socket.writableLength;
  }

  private take(data: Buffer): void {
    const { engine } = this;
    engine.counters.bytesRead += data.length;
    this.lastCommand = engine.now;
    if (this.session.closing) return;
    const input = this.rest.length === 0 ? data : Buffer.concat([this.rest, data]);
    // Data that was under way when the socket was paused.
    if (this.waiting) this.rest = input;
    else this.work(input);
  }

  private resume(): void {
    if (!this.waiting) return;
    this.waiting = false;
    const input = this.rest;
    this.rest = NOTHING;
    this.work(input);
    if (!this.waiting) this.socket.resume();
  }

  private work(input: Buffer): void {
    const { session, socket } = this;
    let at = 0;
    do {
      at = session.take(input, at, input.length);
      if (!this.flush()) {
        this.rest = at < input.length ? input.subarray(at) : NOTHING;
        if (session.closing) return;
        this.waiting = true;
        this.waitingSince = this.engine.now;
        this.engine.counters.waits++;
        socket.pause();
        this.waits();
        return;
      }
    } while (session.more);
    const left = input.length - at;
    // A copy, if it is little, lets go of what was read.
    this.rest =
      left === 0 ? NOTHING : left < input.length / 2 ? Buffer.from(input.subarray(at)) : input.subarray(at);
  }

  /** Sends what there is to be sent. @returns whether the client takes more. */
  private flush(): boolean {
    const { socket, session } = this;
    const { output, counters } = this.engine;
    let open = true;
    if (output.used > 0) {
      counters.bytesWritten += output.used;
      open = socket.write(output.content);
      // What went out at once leaves the buffer free, also where the socket had rather been asked first.
      const pending = socket.writableLength > 0;
      output.clear(pending);
      open ||= !pending;
    }
    if (session.closing) {
      socket.end();
      return false;
    }
    return open;
  }
}
