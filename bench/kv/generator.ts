import { once } from 'node:events';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { syscall } from '../../src/linux/ffi.ts';
import { answerBytes, DATAGRAM_HEADER_BYTES, isAnswer, isRequest, Keys, requestOf } from './load.ts';
import { Datagrams, type Server, TcpClient, UdpClient } from './sockets.ts';

/**
 * The generator of load, in a thread of its own. By UDP it keeps a window of GETs in flight and counts the answers; each answer's
 * length is looked at, and of some batches one byte for byte, an echo's too, since looking takes as long as some answers. By TCP it sends batches of GETs on some connections in turn, and takes
 * the answers. All requests are made beforehand.
 */

export interface GeneratorOptions {
  readonly protocol: 'udp' | 'tcp';
  readonly netns: string;
  readonly server: Server;
  /** The CPU it runs on. */
  readonly cpu: number;
  /** UDP: requests in flight at most, for which a server's socket has room. TCP: connections times batch. */
  readonly window: number;
  /** Requests a system call. */
  readonly batch: number;
  /** Whether answers are the requests themselves, and not a store's. */
  readonly echoes: boolean;
  readonly items: number;
  readonly seed: number;
}

export interface GeneratorResult {
  readonly seconds: number;
  readonly answers: number;
  /** Requests that were given up. */
  readonly lost: number;
  /** Answers that were not what they should be: misses, mostly. */
  readonly wrong: number;
}

/** Requests that are made beforehand. */
const PREPARED = 1 << 16;
const ROOM = 256;
/** Batches of answers of which one is looked at. */
const LOOK_EVERY = 16;

/** The generator as the benchmark sees it. */
export class Generator {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  static async start(options: GeneratorOptions): Promise<Generator> {
    const worker = new Worker(new URL(import.meta.url), { workerData: options });
    await once(worker, 'message');
    return new Generator(worker);
  }

  async run(seconds: number): Promise<GeneratorResult> {
    this.#worker.postMessage(seconds);
    const [result] = (await once(this.#worker, 'message')) as [GeneratorResult];
    return result;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/**
 * Requests for random keys, a batch at a time, the same {@link PREPARED} again and again. They differ in the last eight bytes of the key,
 * so that is what is kept of each: whole ones, with what sendmmsg() wants to be told of them, would go through the caches that a program
 * has which runs on the sender's CPU, as the XDP programs do.
 */
class Requests {
  readonly batch: Datagrams;
  /** Two words of each. */
  readonly #tails = new Uint32Array(2 * PREPARED);
  readonly #room: DataView;
  readonly #each = requestOf(0).length;
  /** In a request: behind the key is the line's end. */
  readonly #tailAt = this.#each - 10;
  #next = 0;

  constructor(batch: number, keys: Keys) {
    this.batch = new Datagrams(batch, this.#each, (_, room) => room.set(requestOf(0)));
    this.#room = new DataView(this.batch.room.buffer);
    for (let i = 0; i < PREPARED; i++) {
      const { buffer, byteOffset } = requestOf(keys.next());
      const request = new DataView(buffer, byteOffset);
      for (const word of [0, 1]) this.#tails[2 * i + word] = request.getUint32(this.#tailAt + 4 * word);
    }
  }

  /** The next batch. It has to be sent before the one behind it is asked for. */
  next(): Datagrams {
    const { count } = this.batch;
    for (let i = 0, at = this.#tailAt; i < count; i++, at += this.#each) {
      this.#room.setUint32(at, this.#tails[2 * this.#next]);
      this.#room.setUint32(at + 4, this.#tails[2 * this.#next + 1]);
      this.#next = (this.#next + 1) % PREPARED;
    }
    return this.batch;
  }
}

/** Loads a server for that many seconds. */
type Run = (seconds: number) => GeneratorResult;

function udp({ window, batch, echoes, items, seed, netns, server }: GeneratorOptions): Run {
  const requests = new Requests(batch, new Keys(items, seed));
  const answers = new Datagrams(window, ROOM);
  const client = new UdpClient(netns, server);
  const expected = echoes ? requestOf(0).length : answerBytes();
  const isRight = (bytes: Uint8Array) =>
    echoes ? isRequest(bytes) : isAnswer(bytes.subarray(DATAGRAM_HEADER_BYTES));
  let batches = 0;
  return (seconds) => {
    let [inFlight, answered, lost, wrong] = [0, 0, 0, 0];
    const start = performance.now();
    const end = start + 1000 * seconds;
    let now = start;
    while (now < end) {
      while (inFlight + batch <= window) {
        inFlight += client.send(requests.next(), 0, batch);
      }
      const count = client.receive(answers, true);
      if (count === 0) {
        lost += inFlight;
        inFlight = 0;
      } else {
        for (let i = 0; i < count; i++) if (answers.length(i) !== expected) wrong++;
        if (++batches % LOOK_EVERY === 0 && !isRight(answers.bytes(0))) wrong++;
        answered += count;
        inFlight = Math.max(0, inFlight - count);
      }
      now = performance.now();
    }
    // What is still on its way belongs to no run.
    while (client.receive(answers, true) > 0);
    return { seconds: (now - start) / 1000, answers: answered, lost, wrong };
  };
}

function tcp({ window, batch, items, seed, netns, server }: GeneratorOptions): Run {
  const keys = new Keys(items, seed);
  const clients = Array.from({ length: window / batch }, () => new TcpClient(netns, server));
  const oneAnswer = answerBytes() - DATAGRAM_HEADER_BYTES;
  const requests = Array.from({ length: PREPARED / batch }, () =>
    Buffer.concat(
      Array.from({ length: batch }, () => requestOf(keys.next()).subarray(DATAGRAM_HEADER_BYTES)),
    ),
  );
  const answers = new Uint8Array(batch * oneAnswer);
  let next = 0;
  return (seconds) => {
    let [answered, wrong] = [0, 0];
    const start = performance.now();
    const end = start + 1000 * seconds;
    let now = start;
    while (now < end) {
      for (const client of clients) {
        client.send(requests[next]);
        next = (next + 1) % requests.length;
      }
      for (const client of clients) {
        client.receive(answers);
        if (!isAnswer(answers.subarray(0, oneAnswer)) || !isAnswer(answers.subarray(-oneAnswer))) wrong++;
        answered += batch;
      }
      now = performance.now();
    }
    return { seconds: (now - start) / 1000, answers: answered, lost: 0, wrong };
  };
}

function work(options: GeneratorOptions, port: NonNullable<typeof parentPort>): void {
  const mask = new Uint8Array(128);
  mask[options.cpu >>> 3] = 1 << (options.cpu & 7);
  syscall('sched_setaffinity', 0, mask.length, mask);
  const run = options.protocol === 'udp' ? udp(options) : tcp(options);
  port.on('message', (seconds: number) => port.postMessage(run(seconds)));
  port.postMessage('ready');
}

if (parentPort !== null && workerData !== null) work(workerData as GeneratorOptions, parentPort);
