/**
 * The server: sockets that clients come in by, one store behind them, and the clock that both go by. All that clients ask for happens on
 * one thread, one batch at a time; another CPU, where there is one, looks for what has expired.
 */
import { createSocket } from 'node:dgram';
import { rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server as NetServer, type Socket } from 'node:net';
import { Connection } from './connection.ts';
import { HotKeys } from './hot-keys.ts';
import { takeImage } from './image.ts';
import { PAGE } from './layout.ts';
import type { Counters, Engine } from './protocol/engine.ts';
import { Output } from './protocol/output.ts';
import { Tokens } from './protocol/tokens.ts';
import { writeSnapshot } from './snapshot.ts';
import { renderStatistics } from './statistics.ts';
import { Store } from './store.ts';
import { Datagrams } from './udp.ts';
import { Accelerator } from './xdp.ts';

export interface ServerOptions {
  /** 0: none; undefined: any that is free. */
  readonly port?: number;
  readonly udpPort?: number;
  /** A unix socket instead of ports. */
  readonly socket?: string;
  /** The address that ports are opened at; all, without. */
  readonly listen?: string;
  readonly maxConnections: number;
  /** Bytes of answers that nobody takes, of all clients together. */
  readonly pendingMax?: number;
  /** MiB. */
  readonly memory: number;
  readonly kernel: 'embedded' | 'linux';
  readonly cpus: number;
  /** As the store was opened: what {@link Server.accelerate} is for. */
  readonly xdp?: string | undefined;
  readonly verbosity: number;
  readonly log: (line: string) => void;
  /** Where snapshots go, and how many seconds lie between them; 0: one when the server stops. */
  readonly snapshot?: string;
  readonly snapshotEvery?: number;
}

const TOO_MANY = 'ERROR Too many open connections\r\n';
/**
 * Of all clients' answers that nobody takes: the bytes that are kept. Those who have waited for less than a second may have so many
 * times that.
 */
const PENDING_MAX = 64 << 20;
const AT_ONCE = 4;

/** Seconds that a client may say nothing while the store keeps memory for its value. */
const STALLED_SECONDS = 60;

/** In so many seconds, what has expired in all of the table is found. */
const EXPIRE_SECONDS = 60;

/** Seconds since 1970. */
const clock = (): number => Math.floor(Date.now() / 1000);

const noCounts = (): Counters => ({
  bytesRead: 0,
  bytesWritten: 0,
  currentConnections: 0,
  totalConnections: 0,
  rejectedConnections: 0,
  slowConnections: 0,
  flushCommands: 0,
  metaCommands: 0,
  tooLarge: 0,
  waits: 0,
});

export class Server {
  readonly store: Store;
  readonly options: ServerOptions;
  readonly engine: Engine;
  readonly connections = new Set<Connection>();
  readonly started = clock();
  readonly accelerators: Accelerator[] = [];
  private readonly listening: NetServer[] = [];
  private datagrams: Datagrams | undefined;
  private timer: NodeJS.Timeout | undefined;
  private ticks = 0;
  private running = false;
  private saving: Promise<void> | undefined;
  /** Of the last snapshot: how long clients waited for it, in milliseconds, its pages, and when it was, in seconds since 1970. */
  readonly saved = { pause: 0, pages: 0, time: 0 };

  constructor(store: Store, options: ServerOptions) {
    this.store = store;
    this.options = options;
    this.engine = {
      store,
      batch: store.batch,
      output: new Output(),
      tokens: new Tokens(),
      counters: noCounts(),
      hotKeys: new HotKeys(),
      now: clock(),
      verbosity: options.verbosity,
      reservable: options.memory << 18,
      statistics: (what) => renderStatistics(this, what),
      resetStatistics: () => this.resetStatistics(),
    };
  }

  /** Opens the sockets. Throws what the system says of them: EADDRINUSE, EACCES. */
  async start(): Promise<void> {
    const { port, udpPort = 0, socket, listen } = this.options;
    if (socket !== undefined) {
      await removeStale(socket);
      await this.listen({ path: socket });
    } else if (port !== 0) await this.listen({ port: port ?? 0, host: listen });
    if (udpPort !== 0) await this.listenUdp(udpPort);
    this.timer = setInterval(() => this.tick(), 1000);
    this.running = true;
  }

  /** The TCP port that is open; 0 for none. */
  get port(): number {
    const address = this.listening[0]?.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** The UDP port that is open; 0 for none. */
  get udpPort(): number {
    return this.datagrams?.socket.address().port ?? 0;
  }

  private async listen(where: { path: string } | { port: number; host?: string }): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => this.accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ ...where, backlog: 1024 }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    // The system is out of descriptors: those who are in stay.
    server.on('error', (error) => this.options.log(`a client could not come in: ${error.message}`));
    this.listening.push(server);
  }

  private async listenUdp(port: number): Promise<void> {
    const { listen } = this.options;
    const socket = createSocket(listen?.includes(':') ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port < 0 ? 0 : port, listen, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    // Answers to who is not there come back as errors.
    socket.on('error', () => undefined);
    this.datagrams = new Datagrams(socket, this.engine);
  }

  /**
   * Has the store's XDP program answer UDP requests; the store was opened with `xdp`. Throws what attaching throws.
   * @param where the interface; on the embedded kernel, which has none, the program sees what comes to the socket
   */
  async accelerate(where: string): Promise<void> {
    const { datagrams, udpPort: port } = this;
    const { kernel, cpus, listen } = this.options;
    if (datagrams === undefined) throw new Error('XDP answers UDP requests: there must be a UDP port');
    const accelerator = await Accelerator.start(this.store, { kernel, interface: where, port, listen, cpus });
    this.accelerators.push(accelerator);
    if (kernel === 'embedded') datagrams.accelerator = accelerator;
    this.options.log(`UDP requests are answered by XDP: ${accelerator.where}`);
  }

  private accept(socket: Socket): void {
    const { counters } = this.engine;
    if (this.connections.size >= this.options.maxConnections) {
      counters.rejectedConnections++;
      socket.on('error', () => socket.destroy());
      socket.end(TOO_MANY);
      socket.destroySoon();
      return;
    }
    counters.totalConnections++;
    counters.currentConnections++;
    this.connections.add(
      new Connection(
        socket,
        this.engine,
        () => this.letGo(),
        (connection) => {
          this.connections.delete(connection);
          counters.currentConnections--;
        },
      ),
    );
  }

  /** Once a second. */
  private tick(): void {
    const { engine } = this;
    engine.now = clock();
    this.store.setTime(engine.now);
    this.store.expire(1 / EXPIRE_SECONDS).catch((error) => this.options.log(`kv_expire: ${error.message}`));
    this.letGo();
    this.dropStalled();
    const { snapshotEvery = 0 } = this.options;
    if (snapshotEvery > 0 && ++this.ticks % snapshotEvery === 0) {
      this.save().catch((error) => this.options.log(`no snapshot: ${error.message}`));
    }
  }

  /** Disconnects who has stopped in the middle of a large value: the memory for such is little, and all others wait for it. */
  private dropStalled(): void {
    for (const { session, socket, lastCommand } of this.connections) {
      if (!session.isReceiving || this.engine.now - lastCommand <= STALLED_SECONDS) continue;
      this.engine.counters.slowConnections++;
      socket.destroy();
    }
  }

  /** Disconnects who takes no answers, the longest first, while answers that nobody takes are too many. */
  private letGo(): void {
    const waiting = [...this.connections].filter(({ pending }) => pending > 0);
    let pending = waiting.reduce((sum, each) => sum + each.pending, 0);
    const { pendingMax = PENDING_MAX } = this.options;
    if (pending <= pendingMax) return;
    waiting.sort((a, b) => a.waitingSince - b.waitingSince || b.pending - a.pending);
    for (const connection of waiting) {
      // Many who take large answers at once are no enemies.
      const isSlow = connection.waitingSince < this.engine.now;
      if (pending <= (isSlow ? pendingMax : AT_ONCE * pendingMax)) return;
      pending -= connection.pending;
      this.engine.counters.slowConnections++;
      connection.socket.destroy();
    }
  }

  /**
   * Writes a snapshot. Clients wait while the store's pages are copied, not while they are written. What comes while one is being
   * written waits for that. Throws what the file system says.
   */
  async save(): Promise<void> {
    const { snapshot } = this.options;
    if (snapshot === undefined) return;
    await this.saving?.catch(() => undefined);
    const { store, saved } = this;
    await store.idle();
    const begin = performance.now();
    const image = takeImage(store.loaded);
    saved.pause = performance.now() - begin;
    saved.pages = image.bytes.length / PAGE;
    this.saving = writeSnapshot(snapshot, image, Store.identity(this.options), store.seed);
    try {
      await this.saving;
      saved.time = clock();
    } finally {
      this.saving = undefined;
    }
  }

  private resetStatistics(): void {
    const { currentConnections } = this.engine.counters;
    Object.assign(this.engine.counters, noCounts(), { currentConnections });
    this.store.resetStatistics();
  }

  /** Lets nobody in any more, sends what is answered, writes a snapshot where one is wanted, and closes. The store stays. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    for (const accelerator of this.accelerators.splice(0)) accelerator.close();
    const closed = this.listening.map((server) => new Promise((resolve) => server.close(resolve)));
    const { datagrams } = this;
    if (datagrams !== undefined)
      closed.push(new Promise((resolve) => datagrams.socket.close(() => resolve(0))));
    for (const { socket } of this.connections) {
      socket.end();
      // Who does not take the rest is not waited for.
      setTimeout(() => socket.destroy(), 500).unref();
      socket.once('finish', () => socket.destroy());
    }
    await Promise.all(closed);
    if (this.running) await this.save();
    await this.store.idle();
    this.running = false;
  }
}

/** Takes away a socket file that a server left which is no more. Throws EADDRINUSE where one listens. */
async function removeStale(path: string): Promise<void> {
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const answers = await new Promise<boolean>((resolve) => {
    const probe = connect({ path }, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (!answers) rmSync(path);
}
