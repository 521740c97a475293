import { type Kernel, type LoadedObject, open, type PreparedRun } from '../../src/index.ts';

/**
 * Writes commands into a port and reads the results, for the store's tests and tools. Strings are of one byte a character. The
 * server has its own (apps/kv/store.ts), which makes no objects.
 */

export const OP = {
  get: 1,
  set: 2,
  add: 3,
  replace: 4,
  append: 5,
  prepend: 6,
  incr: 7,
  decr: 8,
  touch: 9,
  delete: 10,
  flush: 11,
  reserve: 12,
  release: 13,
} as const;

export const OPTION = {
  value: 1,
  touch: 2,
  ifCas: 4,
  newCas: 8,
  vivify: 16,
  recache: 32,
  invalidate: 64,
  quiet: 128,
  reserved: 256,
  dropValue: 512,
} as const;

export const STATUS = [
  'ok',
  'not found',
  'not stored',
  'exists',
  'not a number',
  'too large',
  'no memory',
  'busy',
  'bad command',
] as const;
export type Status = (typeof STATUS)[number];

export const BITS = { won: 1, stale: 2, winSent: 4, fetched: 8 } as const;

export interface Command {
  readonly op: keyof typeof OP;
  readonly key: string;
  readonly value?: string;
  /** Sum of {@link OPTION}. */
  readonly options?: number;
  readonly flags?: number;
  readonly expires?: number;
  readonly cas?: bigint;
  readonly newCas?: bigint;
  readonly number?: bigint;
  readonly initial?: bigint;
  readonly vivifyExpires?: number;
  readonly recacheBefore?: number;
  /** Bytes, where they are not those of `value`: of KV_RESERVE. */
  readonly valueBytes?: number;
}

export interface Result {
  readonly status: Status;
  readonly value: string | undefined;
  readonly valueBytes: number;
  readonly flags: number;
  readonly expires: number;
  readonly accessed: number;
  readonly item: number;
  readonly cas: bigint;
  readonly address: bigint;
}

const EAGAIN = -11;
const HEADER = 56;
const RESULT = 48;
const WALKED = 40;
const padded = (bytes: number) => (bytes + 7) & ~7;

export interface StoreSettings {
  /** Pages. */
  readonly budget?: number;
  readonly ports?: number;
  /** Bytes of each buffer of a port. */
  readonly buffer?: number;
  /** Those that are loaded, besides kv_start. Default: all. */
  readonly programs?: readonly string[];
}

/** Loads the store and starts it. */
export async function startStore(kernel: Kernel, settings: StoreSettings = {}): Promise<LoadedObject> {
  const { budget = 1024, ports = 1, buffer = 1 << 16, programs } = settings;
  const object = await open(new URL('kv.bpf.o', import.meta.url));
  Object.assign(object.globals.kv_settings, { budget_pages: budget, ports, buffer_bytes: buffer, seed: 7 });
  object.globals.kv_weakly_ordered = process.arch === 'x64' ? 0 : 1;
  object.maps.arena.maxEntries = 2 * budget;
  for (const program of Object.values(object.programs))
    program.autoload = programs?.includes(program.name) ?? true;
  object.programs.kv_start.autoload = true;
  const loaded = await object.load(kernel);
  for (;;) {
    const retval = loaded.programs.kv_start.run().retval | 0;
    if (retval === 0) return loaded;
    if (retval === EAGAIN) continue;
    loaded.close();
    throw new Error(`kv_start: ${retval}`);
  }
}

/** What kv_walk says of an item. */
export interface Walked {
  readonly key: string;
  readonly cas: bigint;
  readonly flags: number;
  readonly expires: number;
  readonly accessed: number;
  readonly valueBytes: number;
  readonly item: number;
  readonly class: number;
}

/** struct kv_port. */
interface PortView {
  readonly commands: bigint;
  readonly results: bigint;
  command_bytes: number;
  readonly done_bytes: number;
  readonly done: number;
  readonly result_bytes: number;
}

/** A port of a store that was started. */
export class Port implements Disposable {
  readonly #loaded: LoadedObject;
  readonly #number: number;
  readonly #port: PortView;
  readonly #call: PreparedRun;
  readonly #commands: Buffer;
  readonly #results: Buffer;

  constructor(loaded: LoadedObject, number = 0) {
    const { globals, programs } = loaded;
    this.#loaded = loaded;
    this.#port = globals.kv.port[number];
    this.#call = programs.kv_batch.prepare({ ctx: Uint8Array.of(number, 0, 0, 0, 0, 0, 0, 0) });
    this.#number = number;
    this.#commands = this.bytesAt(this.#port.commands, globals.kv.buffer_bytes);
    this.#results = this.bytesAt(this.#port.results, globals.kv.buffer_bytes);
  }

  /** Memory of the arena. */
  bytesAt(address: bigint, length: number): Buffer {
    const { arena } = this.#loaded;
    if (arena === undefined) throw new Error('the store has an arena');
    const { buffer, byteOffset } = arena.bytes;
    return Buffer.from(buffer, byteOffset + Number(address - arena.userVmStart), length);
  }

  /** Writes as many commands as there is room for, from the buffer's start. @returns where each ends. */
  write(commands: readonly Command[]): number[] {
    const to = this.#commands;
    const ends: number[] = [];
    let at = 0;
    for (const command of commands) {
      const { key } = command;
      const options = command.options ?? 0;
      const keyAlone = options & OPTION.reserved || command.op === 'reserve' || command.op === 'release';
      const value = keyAlone ? '' : (command.value ?? '');
      if (at + HEADER + padded(key.length) + padded(value.length) > to.length) break;
      to.fill(0, at, at + HEADER);
      to[at] = OP[command.op];
      to[at + 1] = key.length;
      to.writeUInt16LE(options, at + 2);
      to.writeUInt32LE(command.valueBytes ?? value.length, at + 4);
      to.writeUInt32LE(command.flags ?? 0, at + 8);
      to.writeUInt32LE(command.expires ?? 0, at + 12);
      to.writeBigUInt64LE(command.cas ?? 0n, at + 16);
      to.writeBigUInt64LE(command.newCas ?? 0n, at + 24);
      to.writeBigUInt64LE(command.number ?? 0n, at + 32);
      to.writeBigUInt64LE(command.initial ?? 0n, at + 40);
      to.writeUInt32LE(command.vivifyExpires ?? 0, at + 48);
      to.writeUInt32LE(command.recacheBefore ?? 0, at + 52);
      at += HEADER;
      for (const text of [key, value]) {
        to.fill(0, at, at + padded(text.length));
        to.write(text, at, 'latin1');
        at += padded(text.length);
      }
      ends.push(at);
    }
    return ends;
  }

  /** Reads results, from the buffer's start. */
  read(count: number): Result[] {
    const from = this.#results;
    let at = 0;
    return Array.from({ length: count }, () => {
      const carried = from.readUInt32LE(at + 8);
      const valueBytes = from.readUInt32LE(at + 4);
      const result = {
        status: STATUS[from.readUInt32LE(at)],
        valueBytes,
        value:
          carried > 0 || valueBytes === 0
            ? from.toString('latin1', at + RESULT, at + RESULT + carried)
            : undefined,
        flags: from.readUInt32LE(at + 12),
        expires: from.readUInt32LE(at + 16),
        accessed: from.readUInt32LE(at + 20),
        item: from.readUInt32LE(at + 24),
        cas: from.readBigUInt64LE(at + 32),
        address: from.readBigUInt64LE(at + 40),
      };
      at += RESULT + padded(carried);
      return result;
    });
  }

  /** Writes as many commands as there is room for, for who runs the batch. */
  send(commands: readonly Command[]): void {
    this.#port.command_bytes = this.write(commands).at(-1) ?? 0;
  }

  /** The results of the last batch. */
  received(): Result[] {
    return this.read(this.#port.done);
  }

  /** Runs commands, in as many batches as it takes; those that are busy are sent again. */
  run(commands: readonly Command[]): Result[] {
    const results: Result[] = [];
    while (results.length < commands.length) {
      this.send(commands.slice(results.length, results.length + 1000));
      const retval = this.#call.run() | 0;
      if (retval !== 0) throw new Error(`kv_batch: ${retval}`);
      results.push(...this.received().filter(({ status }) => status !== 'busy'));
    }
    return results;
  }

  /** Runs one command. */
  one(command: Command): Result {
    return this.run([command])[0];
  }

  /** Walks over all items. */
  walk(): Walked[] {
    const found: Walked[] = [];
    const ctx = new Uint8Array(8);
    ctx[0] = this.#number;
    using call = this.#loaded.programs.kv_walk.prepare({ ctx });
    do {
      const retval = call.run() | 0;
      if (retval !== 0) throw new Error(`kv_walk: ${retval}`);
      for (let at = 0; at < this.#port.result_bytes; ) {
        const from = this.#results.subarray(at);
        const keyBytes = from.readUInt32LE(24);
        found.push({
          key: from.toString('latin1', WALKED, WALKED + keyBytes),
          cas: from.readBigUInt64LE(0),
          flags: from.readUInt32LE(8),
          expires: from.readUInt32LE(12),
          accessed: from.readUInt32LE(16),
          valueBytes: from.readUInt32LE(20),
          item: from.readUInt32LE(28),
          class: from.readUInt32LE(32),
        });
        at += WALKED + padded(keyBytes);
      }
    } while (Buffer.from(call.ctx).readUInt32LE(4) !== 0);
    return found;
  }

  [Symbol.dispose](): void {
    this.#call.close();
  }
}
