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

/** Loads a server for that many seconds. */
type Run = (seconds: number) => GeneratorResult;

function udp({ window, batch, echoes, items, seed, netns, server }: GeneratorOptions): Run {
  const keys = new Keys(items, seed);
  const bytes = requestOf(0).length;
  const requests = new Datagrams(PREPARED, bytes, (_, room) => room.set(requestOf(keys.next())));
  const answers = new Datagrams(window, ROOM);
  const client = new UdpClient(netns, server);
  const expected = echoes ? bytes : answerBytes();
  const isRight = (bytes: Uint8Array) =>
    echoes ? isRequest(bytes) : isAnswer(bytes.subarray(DATAGRAM_HEADER_BYTES));
  let next = 0;
  let batches = 0;
  return (seconds) => {
    let [inFlight, answered, lost, wrong] = [0, 0, 0, 0];
    const start = performance.now();
    const end = start + 1000 * seconds;
    let now = start;
    while (now < end) {
      while (inFlight + batch <= window) {
        inFlight += client.send(requests, next, batch);
        next = (next + batch) % PREPARED;
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
