/**
 * The store: programs/kv in a kernel, and the port that this process uses. What a port is made of are words of the arena, looked up
 * once; a run makes no objects.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  addressOf,
  ERRNO,
  embedded,
  type Kernel,
  type LoadedObject,
  open,
  type PreparedRun,
  toPlain,
} from 'bpf-arena';
import { Batch } from './batch.ts';
import { putImage } from './image.ts';
import { BUFFER_BYTES, COMMAND, OP, PAGE, PORT, RESULT, RUN_BYTES, STATUS } from './layout.ts';
import type { StorePort } from './protocol/engine.ts';
import { hashOf, type Identity, type Restored } from './snapshot.ts';
import { XDP_PROGRAM } from './xdp.ts';

/** Pages of an arena, at most. */
const ARENA_PAGES = 1 << 20;
/** How often a command is sent again that found a lock taken. */
const TRIES = 1000;

export interface StoreOptions {
  readonly kernel: 'embedded' | 'linux';
  /** MiB for everything: table, items, buffers. */
  readonly memory: number;
  /** CPUs of an embedded kernel. */
  readonly cpus?: number;
  /** What the store shall be made of; without it, it is empty. */
  readonly restored?: Restored;
  /** Loads the XDP program, too (xdp.ts), which the verifier takes its time for. */
  readonly xdp?: string | undefined;
}

/** struct kv_counters. */
const COUNTERS = [
  'items',
  'bytes',
  'stored',
  'gets',
  'get_hits',
  'get_misses',
  'get_expired',
  'get_flushed',
  'sets',
  'touches',
  'touch_hits',
  'touch_misses',
  'delete_hits',
  'delete_misses',
  'incr_hits',
  'incr_misses',
  'decr_hits',
  'decr_misses',
  'cas_hits',
  'cas_misses',
  'cas_badval',
  'flushes',
  'too_large',
  'no_memory',
  'evictions',
  'evicted_unfetched',
  'reclaimed',
  'expired_unfetched',
  'crawler_reclaimed',
  'slabs_moved',
  'busy',
] as const;
type Counter = (typeof COUNTERS)[number];
/** Those that say how things are, not what has happened. */
const STATES: ReadonlySet<Counter> = new Set<Counter>(['items', 'bytes']);

/** struct kv_statistics. */
export interface StoreStatistics {
  readonly all: Record<Counter, bigint>;
  readonly pages: bigint;
  readonly budget_pages: bigint;
  readonly pages_table: bigint;
  readonly pages_ports: bigint;
  readonly buckets: bigint;
  readonly class: readonly {
    readonly counters: Readonly<
      Record<
        | 'items'
        | 'bytes'
        | 'hits'
        | 'evictions'
        | 'evicted_unfetched'
        | 'reclaimed'
        | 'last_evicted_age'
        | 'no_memory',
        bigint
      >
    >;
    readonly size: number;
    readonly slots: number;
    readonly slabs: number;
    readonly pages: number;
    readonly used_slots: bigint;
  }[];
}

/** Where the arena is in user space on Linux: above all that JavaScript's heap may take, anywhere below 0x400000000000. */
const LINUX_ARENA = 5n << 44n;

/** The object, in a clone and in a package alike. */
const OBJECT = new URL('programs/kv/kv.bpf.o', import.meta.resolve('bpf-arena/package.json'));

/** A port's buffers and its words. */
class Port {
  readonly commands: Uint8Array;
  readonly results: Uint8Array;
  readonly resultWords: Uint32Array;
  /** struct kv_port. */
  readonly words: Uint32Array;
  readonly call: PreparedRun;

  constructor(loaded: LoadedObject, number: number) {
    const { arena } = loaded;
    if (arena === undefined) throw new Error('the store has an arena');
    const { buffer, byteOffset } = arena.bytes;
    const offset = (address: bigint) => byteOffset + Number(address - arena.userVmStart);
    const port = loaded.globals.kv.port[number];
    this.words = new Uint32Array(buffer, offset(addressOf(port) ?? 0n), PORT.result_bytes / 4 + 1);
    this.commands = new Uint8Array(buffer, offset(port.commands), BUFFER_BYTES);
    this.results = new Uint8Array(buffer, offset(port.results), BUFFER_BYTES);
    this.resultWords = new Uint32Array(buffer, offset(port.results), BUFFER_BYTES / 4);
    const ctx = new Uint8Array(RUN_BYTES);
    ctx[0] = number;
    this.call = loaded.programs.kv_batch.prepare({ ctx });
  }

  /** Runs what is in the buffer. @returns how many commands are done. */
  run(bytes: number): number {
    const { words, call } = this;
    words[PORT.command_bytes / 4] = bytes;
    for (let tries = 0; ; tries++) {
      const error = call.run() | 0;
      if (error !== 0) throw new Error(`kv_batch: error ${error}`);
      // Only the first command of a run can be told to come again.
      if (this.resultWords[0] !== STATUS.BUSY || tries === TRIES) return words[PORT.done / 4];
    }
  }
}

/** Runs kv_start, as often as it asks for. */
function start(loaded: LoadedObject, memory: number): void {
  for (;;) {
    const error = loaded.programs.kv_start.run({ ctx: new Uint8Array(RUN_BYTES) }).retval | 0;
    if (error === 0) return;
    if (error !== -ERRNO.EAGAIN)
      throw new Error(`kv_start: error ${error}: ${memory} MiB do not hold a store`);
  }
}

export class Store implements StorePort, Disposable {
  readonly kernel: Kernel;
  readonly loaded: LoadedObject;
  readonly batch: Batch;
  readonly results: Uint8Array;
  readonly resultWords: Uint32Array;
  readonly memory: Uint8Array;
  readonly reserved = { low: 0, high: 0, offset: 0 };
  readonly seed: number;
  /** Pages that the store may have. */
  readonly budget: number;
  private readonly port: Port;
  private before: Partial<Record<Counter, bigint>> = {};
  private expiring: Promise<void> | undefined;
  /** Of the embedded kernel; 1 on Linux, where a program runs on the CPU that it is called on. */
  private readonly cpus: number;

  private constructor(kernel: Kernel, loaded: LoadedObject, budget: number, seed: number, cpus: number) {
    this.cpus = cpus;
    this.seed = seed;
    this.kernel = kernel;
    this.loaded = loaded;
    this.budget = budget;
    this.port = new Port(loaded, 0);
    this.batch = new Batch(this.port.commands);
    this.results = this.port.results;
    this.resultWords = this.port.resultWords;
    if (loaded.arena === undefined) throw new Error('the store has an arena');
    this.memory = loaded.arena.bytes;
  }

  /** Loads and starts a store. Throws what loading throws: EPERM without the right to load programs. */
  static async open({ kernel: name, memory, cpus = 1, restored, xdp }: StoreOptions): Promise<Store> {
    const kernel: Kernel =
      name === 'embedded' ? embedded({ cpus }) : (await import('bpf-arena/linux')).linux();
    try {
      const object = await open(OBJECT);
      const seed = restored?.seed ?? randomInt(2 ** 32);
      const budget = (memory * (1 << 20)) / PAGE;
      Object.assign(object.globals.kv_settings, {
        budget_pages: budget,
        ports: 1,
        buffer_bytes: BUFFER_BYTES,
        seed,
      });
      object.programs[XDP_PROGRAM].autoload = xdp !== undefined;
      object.maps.arena.maxEntries = Math.min(2 * budget, ARENA_PAGES);
      // An address of which the lower half is known: a store that is restored has to have the same.
      if (name === 'linux') object.maps.arena.mapExtra = LINUX_ARENA;
      const loaded = await object.load(kernel);
      if (restored !== undefined) putImage(loaded, restored.image);
      loaded.globals.kv.now = Math.floor(Date.now() / 1000);
      if (restored === undefined) start(loaded, memory);
      return new Store(kernel, loaded, budget, seed, name === 'embedded' ? cpus : 1);
    } catch (error) {
      kernel.close();
      throw error;
    }
  }

  /** Tells programs what time it is: seconds since 1970. */
  setTime(now: number): void {
    this.loaded.globals.kv.now = now;
  }

  run(batch: Batch): number {
    return this.port.run(batch.used);
  }

  reserve(key: Uint8Array, start: number, end: number, valueBytes: number, flags: number): number {
    const { batch, reserved, resultWords: words } = this;
    const command = this.alone(OP.RESERVE, key, start, end);
    batch.set(command, COMMAND.value_bytes, valueBytes);
    batch.set(command, COMMAND.flags, flags);
    this.run(batch);
    batch.clear();
    reserved.low = words[RESULT.address / 4];
    reserved.high = words[RESULT.address / 4 + 1];
    reserved.offset = (reserved.low - this.arenaLow) >>> 0;
    return words[0];
  }

  release(key: Uint8Array, start: number, end: number, valueBytes: number, low: number, high: number): void {
    const { batch } = this;
    const command = this.alone(OP.RELEASE, key, start, end);
    batch.set(command, COMMAND.value_bytes, valueBytes);
    batch.set64(command, COMMAND.number, low, high);
    this.run(batch);
    batch.clear();
  }

  /** A command of the server's own, which is not to be mixed with those of clients. */
  private alone(op: number, key: Uint8Array, start: number, end: number): number {
    if (this.batch.used > 0) throw new Error('a batch that is not run yet is in the way');
    return this.batch.add(op, 0, key, start, end);
  }

  /** What is in the store, and what has happened in it since {@link resetStatistics}. */
  statistics(): StoreStatistics {
    const error = this.loaded.programs.kv_statistics.run({ ctx: new Uint8Array(RUN_BYTES) }).retval | 0;
    if (error !== 0) throw new Error(`kv_statistics: error ${error}`);
    const now = toPlain(this.loaded.globals.kv.statistics) as unknown as StoreStatistics;
    for (const [name, before] of Object.entries(this.before)) now.all[name as Counter] -= before;
    return now;
  }

  /** Counts from now on. */
  resetStatistics(): void {
    this.before = {};
    const { all } = this.statistics();
    for (const name of Object.keys(all) as Counter[]) if (!STATES.has(name)) this.before[name] = all[name];
  }

  /** What a snapshot has to be of to be taken for this store's. */
  static identity({ kernel, memory }: StoreOptions): Identity {
    const low = kernel === 'linux' ? Number(BigInt.asUintN(32, LINUX_ARENA)) : 0;
    return { object: hashOf(readFileSync(OBJECT)), kernel, memory, low };
  }

  /**
   * Goes on with a part of the table, so that what has expired gives its memory back: on the last CPU, so that with several of them no
   * client waits for it. Where the call before is still at it, that one is all that happens.
   * @param share of all buckets, 0 to 1.
   */
  expire(share: number): Promise<void> {
    this.expiring ??= this.crawl(share).finally(() => {
      this.expiring = undefined;
    });
    return this.expiring;
  }

  private async crawl(share: number): Promise<void> {
    const { programs, globals } = this.loaded;
    const buckets = Number(BigInt.asUintN(32, globals.kv.state));
    const ctx = new Uint8Array(RUN_BYTES);
    new Uint32Array(ctx.buffer)[1] = Math.max(4096, Math.ceil(buckets * share));
    if (this.cpus > 1) await programs.kv_expire.runOn(this.cpus - 1, { ctx });
    else programs.kv_expire.run({ ctx });
  }

  /** Resolves when no program of the store's runs on another CPU. */
  async idle(): Promise<void> {
    await this.expiring?.catch(() => undefined);
  }

  /** The lower half of the arena's user address. */
  private get arenaLow(): number {
    return Number((this.loaded.arena?.userVmStart ?? 0n) & 0xffff_ffffn);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  close(): void {
    this.port.call.close();
    this.loaded.close();
    this.kernel.close();
  }
}
