import { BpfError, embedded, type LoadedObject, open, type RecordReader } from '../src/index.ts';
import { argumentsOf, positiveNumber, wholeNumber } from './arguments.ts';

/**
 * `npm run stress -- --seconds 60 --cpus 4`: all CPUs insert, look up and delete in one arena hash table and one hash map,
 * allocate and free memory and write to one ring buffer, for so long; then the same while TypeScript reads and writes. At the end
 * of each, what is there has to be what was put there and not taken away (programs/contract/stress.bpf.c counts that), and
 * nothing may be left over. A difference says so and makes the exit status 1.
 */

const KEYS = 4096;
const ROUNDS = 20_000n;
/** What makes a value of a key, modulo 2^64. */
const FACTOR = 0x9e3779b97f4a7c15n;
/** Objects that TypeScript holds at most. */
const HELD = 500;

const USAGE = `usage: npm run stress -- [--seconds S] [--cpus N] [--seed S]
  --seconds S  of each part: programs alone, and with TypeScript (60)
  --cpus N     that work at once (4)
  --seed S     of what they do (another each time)`;

const { values } = argumentsOf(USAGE, {
  seconds: { type: 'string', default: '60' },
  cpus: { type: 'string', default: '4' },
  seed: { type: 'string', default: String(Date.now() % 1_000_000) },
});
const seconds = positiveNumber(USAGE, 'seconds', values.seconds);
const cpus = wholeNumber(USAGE, 'cpus', values.cpus, 1);
const seed = wholeNumber(USAGE, 'seed', values.seed, 0);
console.log(`seed ${seed}`);

interface Node {
  readonly next: Node | null;
  key: bigint;
  value: bigint;
}

/** A random 32-bit integer below a limit, from the seed. */
let state = seed | 1;
function random(limit: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % limit;
}

const productOf = (key: bigint) => BigInt.asUintN(64, key * FACTOR);
const bytesOf = (...words: bigint[]) => new Uint8Array(BigUint64Array.from(words).buffer);
const wordOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
const work = () => bytesOf(BigInt(random(2 ** 32)), ROUNDS);

let wrong = 0;
function expect(what: string, actual: unknown, expected: unknown): void {
  if (actual === expected) return;
  wrong++;
  console.log(`${what}: ${actual}, not ${expected}`);
}

/** User space's part: keys of its own in the map, objects of its own from the allocator; what it finds has to be whole. */
class UserSpace {
  readonly #loaded: LoadedObject;
  readonly keys = new Set<bigint>();
  #held: { node: Node; mark: bigint }[] = [];
  steps = 0;

  constructor(loaded: LoadedObject) {
    this.#loaded = loaded;
  }

  step(): void {
    this.steps++;
    const { maps, heap, globals } = this.#loaded;
    const key = BigInt(KEYS + random(KEYS));
    switch (random(5)) {
      case 0:
        if (this.keys.delete(key)) expect('delete of a key', maps.shared.delete(bytesOf(key)), true);
        else {
          maps.shared.update(bytesOf(key), bytesOf(productOf(key)), 1);
          this.keys.add(key);
        }
        break;
      case 1: {
        const found = maps.shared.lookup(bytesOf(key));
        expect(`key ${key}`, found && wordOf(found), this.keys.has(key) ? productOf(key) : undefined);
        break;
      }
      case 2: {
        // A program's: there or not, but never another's.
        const theirs = BigInt(random(KEYS));
        const found = maps.shared.lookup(bytesOf(theirs));
        if (found !== undefined) expect(`key ${theirs}`, wordOf(found), productOf(theirs));
        break;
      }
      case 3: {
        const at = random(HELD);
        const held = this.#held[at];
        if (held === undefined) {
          const node = heap.alloc<Node>('struct node', { value: key });
          this.#held.push({ node, mark: key });
        } else {
          expect('an object of user space', held.node.value, held.mark);
          heap.free(held.node);
          this.#held[at] = this.#held[this.#held.length - 1];
          this.#held.pop();
        }
        break;
      }
      default:
        expect('a count of programs', globals.counts[random(cpus)].wrong, 0n);
    }
  }

  /** Gives everything back. */
  end(): void {
    for (const { node } of this.#held) this.#loaded.heap.free(node);
    this.#held = [];
  }
}

/** All that was counted, over all CPUs. */
function totals({ globals }: LoadedObject): Record<string, bigint> {
  const sums: Record<string, bigint> = {};
  for (let cpu = 0; cpu < cpus; cpu++) {
    for (const name of [
      'events',
      'dropped',
      'inserted',
      'deleted',
      'map_inserted',
      'map_deleted',
      'looked_up',
      'pages',
      'wrong',
      'full',
    ])
      sums[name] = (sums[name] ?? 0n) + globals.counts[cpu][name];
  }
  return sums;
}

/** The next event of each CPU: none may be missing, or be there twice. */
const next = new Array<number>(cpus).fill(0);

function readEvents(reader: RecordReader<Uint8Array>): void {
  reader.drain((record) => {
    const [cpu, number, check] = new BigUint64Array(record.slice().buffer);
    expect(`an event of CPU ${cpu}`, Number(number), next[Number(cpu)]++);
    expect(`the check of event ${number}`, check, productOf((cpu << 32n) | number));
  });
}

/** Holds what is there against what was counted. */
function check(loaded: LoadedObject, userKeys: ReadonlySet<bigint>): void {
  const { globals, heap, maps } = loaded;
  const sums = totals(loaded);
  expect('wrong values that programs saw', sums.wrong, 0n);
  for (let cpu = 0; cpu < cpus; cpu++)
    expect(`events of CPU ${cpu}`, BigInt(next[cpu]), globals.counts[cpu].events);
  const keys = new Set<bigint>();
  let nodes = 0;
  for (const [index, bucket] of [...globals.table].entries()) {
    let count = 0;
    for (let node: Node | null = bucket.first; node !== null; node = node.next) {
      const { key, value } = node;
      expect(`the value of key ${key}`, value, productOf(key));
      expect(`the bucket of key ${key}`, index, Number((productOf(key) >> 32n) & 1023n));
      keys.add(key);
      count++;
    }
    expect(`the count of bucket ${index}`, bucket.nodes, count);
    expect(`the lock of bucket ${index}`, bucket.lock.locked, 0);
    nodes += count;
  }
  expect('keys of the table', keys.size, nodes);
  expect('nodes of the table', BigInt(nodes), sums.inserted - sums.deleted);
  expect('objects of the allocator', heap.statistics.objects, nodes);
  const found = [...maps.shared.keys()].map((key) => wordOf(key));
  expect('keys of the map, once each', new Set(found).size, found.length);
  for (const key of found) {
    const value = maps.shared.lookup(bytesOf(key));
    expect(`the value of key ${key} in the map`, value && wordOf(value), productOf(key));
  }
  expect(
    'keys of the map',
    BigInt(found.length),
    sums.map_inserted - sums.map_deleted + BigInt(userKeys.size),
  );
}

const object = await open(`${import.meta.dirname}/../programs/contract/stress.bpf.o`);
// Without an end that a loaded machine could bring about: a lock that times out is no failure, and would hide one.
using kernel = embedded({ cpus, mayGoto: { milliseconds: 60_000 } });
using loaded = await object.load(kernel);
const { stress, drain, trim } = loaded.programs;
const globalPages = loaded.arena?.statistics.present ?? 0;

using reader = loaded.maps.events.reader();
// Their threads start here.
await stress.runOnAll({ ctx: bytesOf(0n, 0n) });

let runs = 0;
let end = performance.now() + seconds * 1000;
while (performance.now() < end) {
  await stress.runOnAll({ ctx: work() });
  runs += cpus;
  readEvents(reader);
}
console.log(`programs alone: ${runs} runs of ${ROUNDS} rounds`, totals(loaded));
check(loaded, new Set());

const user = new UserSpace(loaded);
runs = 0;
end = performance.now() + seconds * 1000;
let running = cpus - 1;
const others = Array.from({ length: cpus - 1 }, async (_, i) => {
  try {
    for (; performance.now() < end; runs++) await stress.runOn(i + 1, { ctx: work() });
  } finally {
    running--;
  }
});
while (running > 0) {
  for (let i = 0; i < 100; i++) user.step();
  readEvents(reader);
  if (random(20) === 0) stress.run({ ctx: work() });
  await new Promise((resolve) => setImmediate(resolve));
}
await Promise.all(others);
readEvents(reader);
console.log(`with TypeScript: ${runs} runs, ${user.steps} steps of user space`, totals(loaded));
user.end();
check(loaded, user.keys);

drain.run();
trim.run();
expect('objects when all are deleted', loaded.heap.statistics.objects, 0);
expect('pages when all is given back', loaded.arena?.statistics.present, globalPages);
if (wrong > 0) throw new BpfError('EIO', `${wrong} differences`);
console.log('all is as it was counted; nothing is left over');
