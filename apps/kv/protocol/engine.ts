/** What sessions share: the store, the batch that goes to it next, the answers of the one that is being served, and counters. */
import type { Batch } from '../batch.ts';
import type { HotKeys } from '../hot-keys.ts';
import type { Output } from './output.ts';
import type { Tokens } from './tokens.ts';

/** The store, as sessions see it. */
export interface StorePort {
  /** The results of the last run. */
  readonly results: Uint8Array;
  readonly resultWords: Uint32Array;
  /** The memory that {@link reserve} reserves in. */
  readonly memory: Uint8Array;
  /** What the last {@link reserve} gave: a user address in two halves, and the offset in {@link memory}. */
  readonly reserved: { low: number; high: number; offset: number };
  /** Runs a batch. @returns how many of its commands are done; the rest has to be sent again. */
  run(batch: Batch): number;
  /** Memory for a value that comes piece by piece. @returns a status of kv.h. */
  reserve(key: Uint8Array, start: number, end: number, valueBytes: number, flags: number): number;
  /** Gives such memory back. */
  release(key: Uint8Array, start: number, end: number, valueBytes: number, low: number, high: number): void;
}

/** What a server counts itself; everything else the store counts. */
export interface Counters {
  /** Bytes. */
  bytesRead: number;
  bytesWritten: number;
  currentConnections: number;
  totalConnections: number;
  rejectedConnections: number;
  /** Connections closed because they took no answers. */
  slowConnections: number;
  /** Commands that touch alone, that are meta's me, that flush. */
  flushCommands: number;
  metaCommands: number;
  tooLarge: number;
  /** Times a client was made to wait until it took its answers. */
  waits: number;
}

export interface Engine {
  readonly store: StorePort;
  readonly batch: Batch;
  readonly output: Output;
  readonly tokens: Tokens;
  readonly counters: Counters;
  readonly hotKeys: HotKeys;
  /** Seconds since 1970. */
  now: number;
  verbosity: number;
  /** Bytes of the store that values which are still coming may take, of all clients together. */
  reservable: number;
  /** The answer to `stats` and its arguments, with its END; undefined for a subcommand that is none. */
  statistics(what: string): string | undefined;
  resetStatistics(): void;
}
