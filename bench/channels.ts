import { readFileSync } from 'node:fs';
import { EmbeddedKernel } from '../src/embedded/kernel.ts';
import { type BpfMap, type Kernel, type LoadedObject, open } from '../src/index.ts';
import type { ArenaMap } from '../src/kernel.ts';
import { type LinuxMap, linux, linuxUnavailable } from '../src/linux/index.ts';
import { argumentsOf } from '../tools/arguments.ts';

/**
 * Ways for events to get from a program to TypeScript: the same events of 64 bytes (programs/bench/channels.bpf.c) through each, on
 * both kernels. Program and reader take turns on one thread, and a reader copies each event out. Latency is that of a single event:
 * from before the program is started, a call in which most of it goes, to after the event is read.
 * `npm run bench:channels`; `--json` prints one JSON value.
 */

const EVENT_BYTES = 64;
const SLOTS = 4096;
/** Events of one run: what all channels have room for. */
const BATCH = 2048;
const BATCHES = 100;
const ROUNDS = 5;
const SINGLE = 3000;
const PERF_BYTES = 256 * 1024;

/** Takes an event that is there; undefined when none is. @param number that it has. */
type Take = (number: number) => Uint8Array | undefined;

interface Channel {
  readonly name: string;
  readonly map: string;
  readonly reader: (loaded: LoadedObject, map: BpfMap) => Take;
}

/** Events in memory that is shared: a slot is whole when it has its number. */
function slotsOf(bytes: Uint8Array): Take {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, (SLOTS * EVENT_BYTES) / 4);
  return (number) => {
    const at = (number % SLOTS) * EVENT_BYTES;
    return Atomics.load(words, at >>> 2) === number ? bytes.slice(at, at + EVENT_BYTES) : undefined;
  };
}

const CHANNELS: readonly Channel[] = [
  {
    name: 'ring buffer',
    map: 'ring',
    reader(_, map) {
      const reader = map.reader();
      return () => reader.take();
    },
  },
  {
    name: 'perf buffer',
    map: 'perf',
    reader(_, map) {
      const reader = map.perfReader({ bytesPerCpu: PERF_BYTES });
      return () => {
        const record = reader.take();
        return record !== undefined && 'data' in record ? record.data : undefined;
      };
    },
  },
  {
    name: 'hash map',
    map: 'hash',
    reader(_, map) {
      const key = new BigUint64Array(1);
      const bytes = new Uint8Array(key.buffer);
      return (number) => {
        key[0] = BigInt(number);
        return map.lookupAndDelete(bytes);
      };
    },
  },
  { name: 'mmapped array', map: 'array', reader: (_, map) => slotsOf(map.mmap().bytes) },
  {
    name: 'arena',
    map: 'arena',
    reader({ programs, globals }, map) {
      const arena = map as ArenaMap;
      if (programs.arena_setup.run().retval !== 0) throw new Error('the arena has no pages');
      const offset = Number((globals.address as bigint) - arena.userVmStart);
      return slotsOf(arena.bytes.subarray(offset));
    },
  },
];

interface Figures {
  readonly channel: string;
  readonly kernel: string;
  /** A second, median of the rounds, and the lowest and highest. */
  readonly events: number;
  readonly range: readonly [number, number];
  /** Microseconds. */
  readonly median: number;
  readonly late: number;
  /** Bytes. */
  readonly memory: number;
}

const OBJECT = new URL('../programs/bench/channels.bpf.o', import.meta.url);

async function measure(channel: Channel, name: string, kernel: Kernel): Promise<Figures> {
  const object = await open(readFileSync(OBJECT));
  using loaded = await object.load(kernel);
  const map = loaded.maps[channel.map];
  const take = channel.reader(loaded, map);
  const memory = kernel instanceof EmbeddedKernel ? reservedHere(map) : reservedInLinux(map);
  const program = loaded.programs[`send_${channel.map}`];
  let [sent, received] = [0, 0];
  const send = (count: number) => {
    loaded.globals.count = BigInt(count);
    if (program.run().retval !== 0) throw new Error(`${channel.name}: an event was not sent`);
    sent += count;
  };
  const receive = () => {
    for (let event = take(received + 1); event !== undefined; event = take(received + 1)) {
      received++;
      if (received === sent) break;
    }
    if (received !== sent) throw new Error(`${channel.name}: ${received} events of ${sent} came`);
  };
  const round = (batches: number) => {
    const start = performance.now();
    for (let batch = 0; batch < batches; batch++) {
      send(BATCH);
      receive();
    }
    return (batches * BATCH * 1000) / (performance.now() - start);
  };
  round(BATCHES);
  const rates = Array.from({ length: ROUNDS }, () => round(BATCHES)).sort((a, b) => a - b);
  loaded.globals.count = 1n;
  const times = Array.from({ length: SINGLE }, () => {
    const start = performance.now();
    program.run();
    sent++;
    receive();
    return (performance.now() - start) * 1000;
  }).sort((a, b) => a - b);
  return {
    channel: channel.name,
    kernel: name,
    events: rates[ROUNDS >> 1],
    range: [rates[0], rates[ROUNDS - 1]],
    median: times[SINGLE >> 1],
    late: times[Math.floor(SINGLE * 0.99)],
    memory,
  };
}

/** What a map like this takes of kernel memory, its reader's rings with it; of an arena also its pages. */
function reservedHere({ type, name, keySize, valueSize, maxEntries, flags }: BpfMap): number {
  using kernel = new EmbeddedKernel();
  const before = kernel.memory.allocated;
  const map = kernel.createMap({ type, name, keySize, valueSize, maxEntries, flags });
  if (name === 'perf') map.perfReader({ bytesPerCpu: PERF_BYTES });
  return kernel.memory.allocated - before + (name === 'arena' ? SLOTS * EVENT_BYTES : 0);
}

/** What Linux says that a map takes, and what it does not count: a perf event array's rings, an arena's pages. */
function reservedInLinux(map: BpfMap): number {
  const info = readFileSync(`/proc/self/fdinfo/${(map as LinuxMap).fdNumber}`, 'utf8');
  const bytes = Number(/^memlock:\s+(\d+)/m.exec(info)?.[1]);
  if (map.name === 'perf') return bytes + map.maxEntries * (PERF_BYTES + 4096);
  return map.name === 'arena' ? bytes + SLOTS * EVENT_BYTES : bytes;
}

const { values } = argumentsOf('usage: npm run bench -- channels [--json]', { json: { type: 'boolean' } });
const reason = linuxUnavailable();
if (reason !== undefined) console.error(`Linux is not measured: ${reason}`);
const figures: Figures[] = [];
for (const channel of CHANNELS) {
  using kernel = new EmbeddedKernel();
  figures.push(await measure(channel, 'embedded', kernel));
  if (reason !== undefined) continue;
  using other = linux();
  figures.push(await measure(channel, 'linux', other));
}

if (values.json) console.log(JSON.stringify(figures, null, 1));
else {
  const rows = [
    ['channel', 'kernel', 'million events/s', 'median, µs', '99 %, µs', 'KiB'],
    ['---', '---', '--:', '--:', '--:', '--:'],
    ...figures.map(({ channel, kernel, events, range, median, late, memory }) => [
      channel,
      kernel,
      `${[events, ...range].map((each) => (each / 1e6).toFixed(2)).join(' (')}`.replace(/ \((\S+)$/, '–$1)'),
      median.toFixed(1),
      late.toFixed(1),
      String(Math.round(memory / 1024)),
    ]),
  ];
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
}
