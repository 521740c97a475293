import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { linuxUnavailable } from '../../src/linux/index.ts';
import { Network, noNetwork } from '../../tools/network.ts';
import { ratio, summarize } from '../programs/statistics.ts';
import { table } from '../programs/table.ts';
import { Generator, type GeneratorOptions } from './generator.ts';
import { Rig } from './live.ts';
import { fill, noMemcached, type ServerKind, ServerProcess } from './servers.ts';

/**
 * `npm run bench:kv`: answers a second of the store, of memcached, and of an XDP program that only sends packets back, which is what
 * the set-up gives at most. Each server has network namespaces and a veth pair of its own. Rounds go round all of them, so that what
 * disturbs the machine disturbs all.
 */

const USAGE = `usage: npm run bench:kv -- [--rounds N] [--seconds S] [--items LIST] [--only udp,live,tcp] [--json]
  --rounds N   of each contender, one after another (7)
  --seconds S  a round (1)
  --items LIST how many, with keys of 30 and values of 100 bytes, asked for by Zipf's law (1000,10000,100000)
  --only LIST  udp: one GET a datagram; live: the same as frames without sockets; tcp: GETs in batches of 32
  --json       prints one JSON value
Needs Linux, root, ip (Debian package iproute2) and memcached.`;

const PORT = 11_211;
/** Other ports at the near end of memcached's network. */
const PORTS = { embedded: PORT + 1, linux: PORT + 2 };
const [GENERATOR_CPU, SERVER_CPU] = [0, Math.min(1, availableParallelism() - 1)];
const SEED = 1;
const UDP = { window: 128, batch: 32 };
const TCP = { window: 8 * 32, batch: 32 };

const PARTS = ['udp', 'live', 'tcp'] as const;
type Part = (typeof PARTS)[number];

/** A row: who answers, and the rates of its rounds. */
interface Contender {
  readonly part: Part;
  readonly name: string;
  /** Loads it once. @returns answers a second */
  round(seconds: number): Promise<number>;
  readonly rates: number[];
}

/** What ought to be reached: contender over contender. */
const TARGETS = [
  { part: 'udp', of: 'arena-kv --xdp', to: 'memcached', atLeast: 2.5 },
  { part: 'udp', of: 'arena-kv --xdp', to: 'echo', atLeast: 0.9 },
  { part: 'live', of: 'arena-kv --xdp', to: 'echo', atLeast: 0.7 },
  { part: 'tcp', of: 'arena-kv, Linux', to: 'memcached', atLeast: 2 },
  { part: 'tcp', of: 'arena-kv, embedded', to: 'memcached', atLeast: 2 },
] as const satisfies readonly { part: Part; of: string; to: string; atLeast: number }[];

interface Settings {
  readonly rounds: number;
  readonly seconds: number;
  readonly items: number;
  readonly parts: readonly Part[];
  readonly progress: (text: string) => void;
}

/** Gives back what it was given, the last first. */
class Owned implements AsyncDisposable {
  readonly #closers: (() => void | Promise<void>)[] = [];

  use<T extends Disposable>(item: T): T {
    this.#closers.push(() => item[Symbol.dispose]());
    return item;
  }

  defer(close: () => void | Promise<void>): void {
    this.#closers.push(close);
  }

  /** What can be given back at once, when the process ends. */
  disposeNow(): void {
    for (const close of this.#closers.splice(0).reverse()) void close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

async function measure(settings: Settings): Promise<Contender[]> {
  await using owned = new Owned();
  const now = () => owned.disposeNow();
  process.on('exit', now);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
  const contenders: Contender[] = [];
  for (const part of settings.parts) {
    settings.progress(`${part}: setting up`);
    contenders.push(...(await SET_UP[part](owned, settings)));
  }
  for (let round = 0; round <= settings.rounds; round++) {
    for (const contender of contenders) {
      settings.progress(`round ${round} of ${settings.rounds}: ${contender.part}, ${contender.name}`);
      const rate = await contender.round(round === 0 ? Math.min(0.5, settings.seconds) : settings.seconds);
      // The first one is for warming up.
      if (round > 0) contender.rates.push(rate);
    }
  }
  process.off('exit', now);
  return contenders;
}

/** A server in the namespaces of a network, with its items. */
async function serve(
  owned: Owned,
  network: Network,
  kind: ServerKind,
  port: number,
  { items, progress }: Settings,
): Promise<ServerProcess> {
  progress(`${kind}: filling it`);
  const server = owned.use(new ServerProcess(kind, network.near, port, SERVER_CPU));
  await fill(server, network.far.netns, { address: network.near.address, port }, items);
  return server;
}

async function client(
  owned: Owned,
  part: 'udp' | 'tcp',
  name: string,
  network: Network,
  port: number,
  items: number,
  echoes = false,
): Promise<Contender> {
  const options: GeneratorOptions = {
    protocol: part,
    netns: network.far.netns,
    server: { address: network.near.address, port },
    cpu: GENERATOR_CPU,
    ...(part === 'udp' ? UDP : TCP),
    echoes,
    items,
    seed: SEED,
  };
  const generator = await Generator.start(options);
  owned.defer(() => generator.close());
  return {
    part,
    name,
    rates: [],
    round: async (seconds) => {
      const { answers, wrong, lost, seconds: took } = await generator.run(seconds);
      if (wrong > 0) throw new Error(`${part}, ${name}: ${wrong} of ${answers} answers were wrong`);
      if (answers === 0) throw new Error(`${part}, ${name}: no answer to ${lost} requests`);
      return answers / took;
    },
  };
}

/** A network whose near end has the store behind XDP, and one whose near end echoes. Both far ends take packets that XDP sent. */
async function accelerated(owned: Owned, settings: Settings, far: 'kv_pass' | 'kv_sink') {
  const [store, echo] = [owned.use(new Network()), owned.use(new Network())];
  const rig = owned.use(await Rig.open(store, PORT, settings.items, SEED));
  const server = await serve(owned, store, 'arena-kv xdp', PORT, settings);
  // Not the generic kind, which is slower and has another ceiling.
  await server.saying(/xdp, native/);
  owned.use(rig.attach('kv_echo', echo.near));
  for (const network of [store, echo]) owned.use(rig.attach(far, network.far));
  return { store, echo, rig };
}

const SET_UP: Record<Part, (owned: Owned, settings: Settings) => Promise<Contender[]>> = {
  async udp(owned, settings) {
    const { items } = settings;
    const plain = owned.use(new Network());
    await serve(owned, plain, 'memcached', PORT, settings);
    const { store, echo } = await accelerated(owned, settings, 'kv_pass');
    return [
      await client(owned, 'udp', 'memcached', plain, PORT, items),
      await client(owned, 'udp', 'arena-kv --xdp', store, PORT, items),
      await client(owned, 'udp', 'echo', echo, PORT, items, true),
    ];
  },

  async live(owned, settings) {
    const { store, echo, rig } = await accelerated(owned, settings, 'kv_sink');
    const contender = (name: string, network: Network): Contender => ({
      part: 'live',
      name,
      rates: [],
      round: async (seconds) => {
        const { answers, sent, seconds: took } = rig.run(network, seconds);
        if (answers < sent / 2) throw new Error(`live, ${name}: ${answers} answers to ${sent} packets`);
        return answers / took;
      },
    });
    return [contender('arena-kv --xdp', store), contender('echo', echo)];
  },

  async tcp(owned, settings) {
    const { items } = settings;
    const network = owned.use(new Network());
    await serve(owned, network, 'memcached', PORT, settings);
    await serve(owned, network, 'arena-kv', PORTS.embedded, settings);
    await serve(owned, network, 'arena-kv linux', PORTS.linux, settings);
    return [
      await client(owned, 'tcp', 'memcached', network, PORT, items),
      await client(owned, 'tcp', 'arena-kv, embedded', network, PORTS.embedded, items),
      await client(owned, 'tcp', 'arena-kv, Linux', network, PORTS.linux, items),
    ];
  },
};

function report(contenders: readonly Contender[]) {
  const rates = contenders.map(({ part, name, rates }) => ({
    part,
    name,
    answersPerSecond: summarize(rates),
  }));
  const ratesOf = (part: Part, name: string) =>
    contenders.find((each) => each.part === part && each.name === name)?.rates;
  const ratios = TARGETS.flatMap(({ part, of, to, atLeast }) => {
    const [above, below] = [ratesOf(part, of), ratesOf(part, to)];
    if (above === undefined || below === undefined) return [];
    const found = ratio(above, below);
    return [{ part, of, to, ratio: found, atLeast, reached: found.median >= atLeast }];
  });
  return { rates, ratios };
}

function print({ rates, ratios }: ReturnType<typeof report>): void {
  const thousands = (rate: number) => `${(rate / 1000).toFixed(0)}k`;
  console.log(
    table(
      ['', 'answers a second', 'quartiles'],
      rates.map(({ part, name, answersPerSecond: { median, low, high } }) => [
        `${part}: ${name}`,
        thousands(median),
        `${thousands(low)}–${thousands(high)}`,
      ]),
    ),
  );
  console.log();
  console.log(
    table(
      ['ratio', 'median', 'quartiles', 'wanted', ''],
      ratios.map(({ part, of, to, ratio: { median, low, high }, atLeast, reached }) => [
        `${part}: ${of} / ${to}`,
        median.toFixed(2),
        `${low.toFixed(2)}–${high.toFixed(2)}`,
        atLeast.toFixed(1),
        reached ? 'reached' : 'missed',
      ]),
    ),
  );
}

/** Why it cannot run here. */
function unavailable(): string | undefined {
  const root = process.getuid?.() === 0 ? undefined : 'it takes root';
  return linuxUnavailable() ?? root ?? noNetwork() ?? noMemcached();
}

function settingsOf(): (Omit<Settings, 'items'> & { sizes: number[]; json: boolean }) | undefined {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '7' },
      seconds: { type: 'string', default: '1' },
      items: { type: 'string', default: '1000,10000,100000' },
      only: { type: 'string', default: PARTS.join() },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return undefined;
  const [rounds, seconds] = [values.rounds, values.seconds].map(Number);
  const sizes = values.items.split(',').map(Number);
  const parts = PARTS.filter((part) => values.only.split(',').includes(part));
  const known = values.only.split(',').every((part) => (PARTS as readonly string[]).includes(part));
  const isCount = (count: number) => Number.isInteger(count) && count > 0;
  if (!(isCount(rounds) && seconds > 0 && sizes.every(isCount) && known))
    throw new TypeError('rounds, seconds and items are numbers above 0; only is made of udp, live and tcp');
  const onTerminal = process.stderr.isTTY && !values.json;
  const progress = (text: string) => {
    if (onTerminal) process.stderr.write(`\r\x1b[K${text}`);
  };
  return { rounds, seconds, sizes, parts, progress, json: values.json };
}

async function main(): Promise<number> {
  let settings: ReturnType<typeof settingsOf>;
  try {
    settings = settingsOf();
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  if (settings === undefined) {
    console.log(USAGE);
    return 0;
  }
  const reason = unavailable();
  if (reason !== undefined) {
    console.log(settings.json ? JSON.stringify({ skipped: reason }) : `not run: ${reason}`);
    return 0;
  }
  const { rounds, sizes, json, progress } = settings;
  const all: (ReturnType<typeof report> & { items: number })[] = [];
  for (const items of sizes) {
    const found = report(await measure({ ...settings, items }));
    all.push({ items, ...found });
    progress('');
    if (json) continue;
    console.log(`${all.length > 1 ? '\n' : ''}${items.toLocaleString('en-US')} items:`);
    print(found);
  }
  if (json) console.log(JSON.stringify({ rounds, sizes: all }));
  return 0;
}

process.exitCode = await main();
