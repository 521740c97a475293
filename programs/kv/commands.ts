import type { LoadedObject, PreparedRun } from '../../src/index.ts';

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

const HEADER = 56;
const RESULT = 48;
const padded = (bytes: number) => (bytes + 7) & ~7;

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
  readonly #port: PortView;
  readonly #call: PreparedRun;
  readonly #commands: Buffer;
  readonly #results: Buffer;

  constructor(loaded: LoadedObject, number = 0) {
    const { arena, globals, programs } = loaded;
    if (arena === undefined) throw new Error('the store has an arena');
    this.#loaded = loaded;
    this.#port = globals.kv.port[number];
    this.#call = programs.kv_batch.prepare({ ctx: Uint8Array.of(number, 0, 0, 0, 0, 0, 0, 0) });
    const size = globals.kv_settings.buffer_bytes || 2 << 20;
    const bytes = (address: bigint) => {
      const { buffer, byteOffset } = arena.bytes;
      return Buffer.from(buffer, byteOffset + Number(address - arena.userVmStart), size);
    };
    this.#commands = bytes(this.#port.commands);
    this.#results = bytes(this.#port.results);
  }

  /** Writes as many commands as there is room for, from the buffer's start. @returns where each ends. */
  write(commands: readonly Command[]): number[] {
    const to = this.#commands;
    const ends: number[] = [];
    let at = 0;
    for (const command of commands) {
      const { key, value = '' } = command;
      if (at + HEADER + padded(key.length) + padded(value.length) > to.length) break;
      to.fill(0, at, at + HEADER);
      to[at] = OP[command.op];
      to[at + 1] = key.length;
      to.writeUInt16LE(command.options ?? 0, at + 2);
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

  /** Runs commands, in as many batches as it takes; those that are busy are sent again. */
  run(commands: readonly Command[]): Result[] {
    const results: Result[] = [];
    while (results.length < commands.length) {
      const rest = commands.slice(results.length);
      this.#port.command_bytes = this.write(rest).at(-1) ?? 0;
      const retval = this.#call.run() | 0;
      if (retval !== 0) throw new Error(`kv_batch: ${retval}`);
      const batch = this.read(this.#port.done);
      results.push(...batch.filter(({ status }) => status !== 'busy'));
    }
    return results;
  }

  /** Runs one command. */
  one(command: Command): Result {
    return this.run([command])[0];
  }

  get loaded(): LoadedObject {
    return this.#loaded;
  }

  [Symbol.dispose](): void {
    this.#call.close();
  }
}
