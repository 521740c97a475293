import { once } from 'node:events';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { syscall } from '../../src/linux/ffi.ts';
import { answerBytes, DATAGRAM_HEADER_BYTES, isAnswer, Keys, requestOf } from './load.ts';
import { Datagrams, UdpClient } from './sockets.ts';

/**
 * The generator of UDP load, in a thread of its own: keeps a window of GETs in flight and counts the answers. All requests are made
 * beforehand; each answer's length is looked at, and of each batch one answer byte for byte.
 */

export interface GeneratorOptions {
  readonly netns: string;
  readonly server: { readonly address: string; readonly port: number };
  /** The CPU it runs on. */
  readonly cpu: number;
  /** Requests in flight at most; what a server's socket has room for. */
  readonly window: number;
  /** Requests a system call. */
  readonly batch: number;
  /** Whether answers must be those of a store, or the requests themselves. */
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

function work(options: GeneratorOptions, port: NonNullable<typeof parentPort>): void {
  const { window, batch, echoes, items, seed } = options;
  const mask = new Uint8Array(128);
  mask[options.cpu >>> 3] = 1 << (options.cpu & 7);
  syscall('sched_setaffinity', 0, mask.length, mask);
  const keys = new Keys(items, seed);
  const bytes = requestOf(0).length;
  const requests = new Datagrams(PREPARED, bytes, (_, room) => room.set(requestOf(keys.next())));
  const answers = new Datagrams(window, ROOM);
  const client = new UdpClient(options.netns, options.server);
  const expected = echoes ? bytes : answerBytes();
  let next = 0;

  port.on('message', (seconds: number) => {
    let inFlight = 0;
    let answered = 0;
    let lost = 0;
    let wrong = 0;
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
        if (!echoes && !isAnswer(answers.bytes(0).subarray(DATAGRAM_HEADER_BYTES))) wrong++;
        answered += count;
        inFlight = Math.max(0, inFlight - count);
      }
      now = performance.now();
    }
    // What is still on its way belongs to no run.
    while (client.receive(answers, true) > 0);
    port.postMessage({
      seconds: (now - start) / 1000,
      answers: answered,
      lost,
      wrong,
    } satisfies GeneratorResult);
  });
  port.postMessage('ready');
}

if (parentPort !== null && workerData !== null) work(workerData as GeneratorOptions, parentPort);
