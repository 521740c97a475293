import { SEGMENT_PAGES } from '../apps/kv/layout.ts';
import { type Command, Port, type Result, startStore } from '../programs/kv/commands.ts';
import { KvModel, Shared } from '../programs/kv/model.ts';
import { BpfError, embedded, type Kernel, type LoadedObject } from '../src/index.ts';
import { linux } from '../src/linux/index.ts';
import { argumentsOf, misunderstood, wholeNumber } from './arguments.ts';

/**
 * `npm run stress:kv`: random commands on all CPUs at once, against a model. In the first part each CPU has keys of its own, and
 * memory is ample: each answer is known beforehand. In the second one memory is tight: what is missing must have been evicted, as
 * the counters say. In the third all CPUs use the same keys: a value says whose it is and how new, and nothing may be torn, older
 * than what was seen before, or missing. Pages are looked at while programs run. With a loop budget (embedded kernel) loops end
 * all the time, and nothing may be lost by that, either.
 */

const PARTS = ['ample', 'tight', 'shared'] as const;
const USAGE = `usage: npm run stress:kv -- [--operations N] [--cpus N] [--kernel linux] [--loop-budget N] [--only PART] [--seed S]
  --operations N   all together (10000000)
  --cpus N         that work at once (2)
  --kernel NAME    embedded or linux (embedded)
  --loop-budget N  iterations that a run has, of the embedded kernel (250 ms)
  --only PART      ${PARTS.join(', ')} (all)
  --seed S         of the commands (another each time)`;

const { values: options } = argumentsOf(USAGE, {
  operations: { type: 'string', default: '10000000' },
  cpus: { type: 'string', default: '2' },
  kernel: { type: 'string', default: 'embedded' },
  seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  'loop-budget': { type: 'string' },
  only: { type: 'string' },
});
const operations = wholeNumber(USAGE, 'operations', options.operations, 1);
const cpus = wholeNumber(USAGE, 'cpus', options.cpus, 1);
const seed = wholeNumber(USAGE, 'seed', options.seed, 0);
const loopBudget =
  options['loop-budget'] === undefined
    ? undefined
    : wholeNumber(USAGE, 'loop-budget', options['loop-budget'], 1);
if (!['embedded', 'linux'].includes(options.kernel))
  misunderstood(USAGE, `--kernel is embedded or linux: not '${options.kernel}'`);
if (options.only !== undefined && !(PARTS as readonly string[]).includes(options.only))
  misunderstood(USAGE, `--only is one of ${PARTS.join(', ')}: not '${options.only}'`);
console.log(`seed ${seed}`);

/** Commands in a batch, before it is cut by what fits a port. */
const BATCH = 400;
/** Bytes of a port's buffers: the largest values are written into reserved memory. */
const BUFFER = 1 << 18;
const PORT_PAGES = (2 * BUFFER) / 4096;
const NOW = 1_000_000;

/** A random number below a limit, from the seed. */
let state = (seed << 1) | 1;
function random(limit: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % limit;
}

let wrong = 0;
function fail(problem: string): void {
  wrong++;
  if (wrong <= 20) console.log(problem);
}
function expect(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) fail(`${what}: ${actual}, not ${expected}`);
}

/** What a CPU asks, and what it makes of the answers. */
interface Client {
  next(): Command;
  answered(command: Command, result: Result): void;
}

/** A store, with a port for each CPU. */
class Store implements Disposable {
  readonly loaded: LoadedObject;
  readonly ports: readonly Port[];
  /** Pages that are taken before anything is stored. */
  readonly pages: number;
  /** Commands that had to be sent again. */
  busy = 0;
  done = 0;
  largest = 0;
  readonly #kernel: Kernel & Disposable;

  constructor(kernel: Kernel & Disposable, loaded: LoadedObject) {
    this.#kernel = kernel;
    this.loaded = loaded;
    this.ports = Array.from({ length: cpus }, (_, i) => new Port(loaded, i));
    this.pages = this.#pages() - this.#tablePages();
    loaded.globals.kv.now = NOW;
  }

  static async start(budget: number): Promise<Store> {
    const mayGoto = loopBudget === undefined ? { milliseconds: 250 } : { iterations: loopBudget };
    const kernel = options.kernel === 'linux' ? linux() : embedded({ cpus, mayGoto });
    return new Store(
      kernel,
      await startStore(kernel, {
        budget,
        ports: cpus,
        buffer: BUFFER,
        programs: ['kv_batch', 'kv_expire', 'kv_statistics', 'kv_trim', 'kv_walk'],
      }),
    );
  }

  #pages(): number {
    return Number(this.loaded.globals.kv.pages);
  }

  #tablePages(): number {
    return this.loaded.globals.kv.segments * SEGMENT_PAGES;
  }

  /** Looks at how much memory is taken now. */
  sample(): void {
    const { kv } = this.loaded.globals;
    const pages = Math.max(this.#pages(), this.loaded.arena?.statistics.present ?? 0);
    this.largest = Math.max(this.largest, pages);
    if (pages > kv.budget * 1.01) fail(`${pages} pages are taken of ${kv.budget}`);
  }

  /** Has each client run commands on its CPU, at the same time, until so many have been answered. */
  async run(clients: readonly Client[], count: number, between: () => void = () => {}): Promise<void> {
    const queues: Command[][] = clients.map(() => []);
    const end = this.done + count;
    const { kv_batch: batch } = this.loaded.programs;
    const ctx = (port: number) => Uint8Array.of(port, 0, 0, 0, 0, 0, 0, 0);
    while (this.done < end || queues.some(({ length }) => length > 0)) {
      for (const [i, queue] of queues.entries()) {
        while (queue.length < BATCH && this.done < end) queue.push(clients[i].next());
        this.ports[i].send(queue);
      }
      const others = clients.slice(1).map((_, i) => batch.runOn(i + 1, { ctx: ctx(i + 1) }));
      const first = batch.run({ ctx: ctx(0) });
      this.sample();
      for (const { retval } of [first, ...(await Promise.all(others))]) expect('kv_batch', retval, 0);
      for (const [i, queue] of queues.entries()) {
        for (const result of this.ports[i].received()) {
          if (result.status === 'busy') {
            this.busy++;
            break;
          }
          clients[i].answered(queue.shift() as Command, result);
          this.done++;
        }
      }
      between();
    }
  }

  /** Counters, and what follows from them. */
  statistics() {
    while ((this.loaded.programs.kv_statistics.run().retval | 0) !== 0);
    return this.loaded.globals.kv.statistics;
  }

  /** Deletes everything; then all memory has to be back but the table's. */
  async empty(): Promise<void> {
    const { programs, globals } = this.loaded;
    const ctx = Uint8Array.of(0, 0, 0, 0, 0, 16, 0, 0);
    let keys: string[];
    // What has expired is not walked over, but counts until it is taken out.
    for (let tries = 0; ; tries++) {
      keys = this.ports[0].walk().map(({ key }) => key);
      if (BigInt(keys.length) === this.statistics().all.items || tries === 10_000) break;
      programs.kv_expire.run({ ctx });
    }
    for (const [i, { status }] of this.ports[0].run(keys.map((key) => ({ op: 'delete', key }))).entries())
      expect(`delete of ${keys[i]}`, status, 'ok');
    for (let i = 0; i < 1000 && this.#pages() - this.#tablePages() > this.pages; i++) programs.kv_trim.run();
    expect('pages when all is deleted', this.#pages() - this.#tablePages(), this.pages);
    const { all } = this.statistics();
    expect('items when all is deleted', all.items, 0n);
    expect('bytes when all is deleted', all.bytes, 0n);
    if (this.loaded.arena?.statistics.present !== undefined)
      expect('pages present', this.loaded.arena.statistics.present, Number(globals.kv.pages));
  }

  say(what: string): void {
    const { all, pages_table } = this.statistics();
    console.log(
      `${what}: ${this.done} commands, ${all.items} items, ${all.evictions} evicted, ${all.reclaimed} expired, ` +
        `${all.slabs_moved} slabs moved, ${this.busy} busy; at most ${this.largest} of ${this.loaded.globals.kv.budget} pages, ` +
        `${pages_table} of them the table's`,
    );
  }

  [Symbol.dispose](): void {
    for (const port of this.ports) port[Symbol.dispose]();
    this.loaded.close();
    this.#kernel[Symbol.dispose]();
  }
}

const largestValue = loopBudget === undefined ? 100_000 : loopBudget * 24;

/** Each CPU on keys of its own. */
async function ownKeys(what: string, budget: number, keys: number, count: number): Promise<void> {
  using store = await Store.start(budget + cpus * PORT_PAGES);
  const { globals, programs } = store.loaded;
  const models = Array.from(
    { length: cpus },
    (_, i) =>
      new KvModel({ prefix: `cpu${i}-`, keys: keys / cpus, largest: largestValue, random, fail, now: NOW }),
  );
  let rounds = 0;
  await store.run(models, count, () => {
    rounds++;
    if (rounds % 4 === 0) {
      globals.kv.now++;
      for (const model of models) model.now++;
    }
    if (rounds % 16 === 0) {
      const ctx = new Uint8Array(8);
      new DataView(ctx.buffer).setUint32(4, 512, true);
      programs.kv_expire.run({ ctx });
    }
    if (rounds % 400 === 399) {
      store.ports[0].one({ op: 'flush', key: '' });
      for (const model of models) model.flush();
    }
  });
  // What is missing now has been evicted and nobody noticed yet.
  for (const model of models) {
    const commands = model.all();
    for (const [at, result] of store.ports[0].run(commands).entries()) model.answered(commands[at], result);
  }
  store.say(what);
  const { all } = store.statistics();
  const lost = models.reduce((sum, model) => sum + model.lost, 0);
  const overwritten = models.reduce((sum, model) => sum + model.overwritten, 0);
  if (all.evictions === 0n) expect('lost items', lost, 0);
  if (lost > Number(all.evictions)) fail(`${lost} items are missing, ${all.evictions} were evicted`);
  if (Number(all.evictions) - lost > overwritten)
    fail(`${all.evictions} items were evicted, only ${lost} are missing, ${overwritten} were written anew`);
  expect(
    'no memory',
    models.reduce((sum, model) => sum + model.noMemory, 0),
    0,
  );
  await store.empty();
}

/** All CPUs on the same keys. */
async function sharedKeys(count: number): Promise<void> {
  using store = await Store.start(16_384 + cpus * PORT_PAGES);
  const shared = new Shared({ cpus, keys: 64, largest: Math.min(largestValue, 5_000), random, fail });
  store.ports[0].run(shared.begin());
  await store.run(shared.clients, count);
  shared.check((commands) => store.ports[0].run(commands));
  store.say('the same keys');
  await store.empty();
}

const part = (name: (typeof PARTS)[number]) => options.only === undefined || options.only === name;
const share = Math.ceil(operations / 3);
const keys = Math.min(40_000, Math.max(8_000, share >> 6));
if (part('ample')) await ownKeys('ample memory', 120_000, keys, share);
if (part('tight')) await ownKeys('tight memory', Math.max(800, keys >> 4), keys, share);
if (part('shared')) await sharedKeys(share);
if (wrong > 0) throw new BpfError('EIO', `${wrong} differences`);
console.log('each answer was right, and nothing is left over');
