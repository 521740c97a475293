/**
 * The lines that a server answers with, byte for byte memcached's, each known by a number so that a batch can hold it. What a
 * store's status becomes in the text protocol is a table, too.
 */
import { STATUS } from '../layout.ts';

/** What is implemented is what this memcached has. */
export const VERSION = '1.6.18-arena-kv';

const LINES = {
  END: 'END',
  STORED: 'STORED',
  NOT_STORED: 'NOT_STORED',
  EXISTS: 'EXISTS',
  NOT_FOUND: 'NOT_FOUND',
  DELETED: 'DELETED',
  TOUCHED: 'TOUCHED',
  OK: 'OK',
  RESET: 'RESET',
  MN: 'MN',
  VERSION: `VERSION ${VERSION}`,
  ERROR: 'ERROR',
  BAD_FORMAT: 'CLIENT_ERROR bad command line format',
  BAD_LINE: 'CLIENT_ERROR bad command line',
  BAD_DELETE: 'CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]',
  BAD_CHUNK: 'CLIENT_ERROR bad data chunk',
  BAD_EXPTIME: 'CLIENT_ERROR invalid exptime argument',
  BAD_DELTA: 'CLIENT_ERROR invalid numeric delta argument',
  NON_NUMERIC: 'CLIENT_ERROR cannot increment or decrement non-numeric value',
  BAD_TOKEN: 'CLIENT_ERROR bad token in command line format',
  BAD_FLAG: 'CLIENT_ERROR invalid flag',
  DUPLICATE_FLAG: 'CLIENT_ERROR duplicate flag',
  BAD_OR_DUPLICATE: 'CLIENT_ERROR invalid or duplicate flag',
  BAD_KEY: 'CLIENT_ERROR error decoding key',
  MODE_LENGTH: 'CLIENT_ERROR incorrect length for M token',
  MS_MODE: 'CLIENT_ERROR invalid mode for ms M token',
  MA_MODE: 'CLIENT_ERROR invalid mode for ma M token',
  BAD_INITIAL: 'CLIENT_ERROR invalid numeric initial value',
  BAD_META_DELTA: 'CLIENT_ERROR invalid numeric delta value',
  LONG_OPAQUE: 'CLIENT_ERROR opaque token too long',
  MANY_GET_FLAGS: 'CLIENT_ERROR options flags are too long',
  MANY_FLAGS: 'CLIENT_ERROR options flags too long',
  TOO_LARGE: 'SERVER_ERROR object too large for cache',
  NO_MEMORY: 'SERVER_ERROR out of memory storing object',
  NO_MEMORY_DELTA: 'SERVER_ERROR out of memory',
  BUSY: 'SERVER_ERROR the store is busy, try again',
  UNHANDLED: 'SERVER_ERROR Unhandled storage type.',
  NO_SHUTDOWN: 'ERROR: shutdown not enabled',
  NO_WATCH: 'CLIENT_ERROR watch commands not allowed',
  NO_REASSIGN: 'CLIENT_ERROR slab reassignment disabled',
  NO_CRAWLER: 'CLIENT_ERROR lru crawler disabled',
  SMALL_LIMIT: 'MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m',
  NO_LIMIT: 'MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust',
  BAD_DETAIL: 'CLIENT_ERROR usage: stats detail on|off|dump',
  NO_DUMP: 'CLIENT_ERROR stats cachedump not allowed',
  META_MISS: 'EN',
} as const satisfies Record<string, string>;

export type LineName = keyof typeof LINES;

/** The number of each line. */
export const LINE = Object.fromEntries(Object.keys(LINES).map((name, index) => [name, index])) as Record<
  LineName,
  number
>;

const encoder = new TextEncoder();

/** The bytes of each line, with its end, by number. */
export const LINE_BYTES: readonly Uint8Array[] = Object.values(LINES).map((line) =>
  encoder.encode(`${line}\r\n`),
);

/** No answer: of commands that say noreply. */
export const SILENT = -1;

/** What text commands answer, by the kind of command and kv_result.status. */
const ANSWERS = {
  store: {
    OK: 'STORED',
    NOT_FOUND: 'NOT_FOUND',
    NOT_STORED: 'NOT_STORED',
    EXISTS: 'EXISTS',
    TOO_LARGE: 'TOO_LARGE',
    NO_MEMORY: 'NO_MEMORY',
    BUSY: 'BUSY',
  },
  // memcached finds out that the sum is too large when it cannot have the memory, and then calls that not stored.
  extend: {
    OK: 'STORED',
    NOT_FOUND: 'NOT_STORED',
    NOT_STORED: 'NOT_STORED',
    EXISTS: 'EXISTS',
    TOO_LARGE: 'NOT_STORED',
    NO_MEMORY: 'NOT_STORED',
    BUSY: 'BUSY',
  },
  delete: { OK: 'DELETED', NOT_FOUND: 'NOT_FOUND', BUSY: 'BUSY' },
  touch: { OK: 'TOUCHED', NOT_FOUND: 'NOT_FOUND', BUSY: 'BUSY' },
  flush: { OK: 'OK', BUSY: 'BUSY' },
  arithmetic: {
    NOT_FOUND: 'NOT_FOUND',
    NOT_A_NUMBER: 'NON_NUMERIC',
    NO_MEMORY: 'NO_MEMORY_DELTA',
    BUSY: 'BUSY',
  },
} as const satisfies Record<string, Partial<Record<keyof typeof STATUS, LineName>>>;

export type Answer = keyof typeof ANSWERS;

/** The number of each table of answers. */
export const ANSWER = Object.fromEntries(Object.keys(ANSWERS).map((name, index) => [name, index])) as Record<
  Answer,
  number
>;

/** Line numbers by table and status. */
const LINE_OF: readonly Int32Array[] = Object.values(ANSWERS).map((table) =>
  Int32Array.from(Object.keys(STATUS), (status) => {
    const name = (table as Partial<Record<string, LineName>>)[status];
    return LINE[name ?? 'UNHANDLED'];
  }),
);

/** The line that says a status in the words of a kind of command. */
export const lineFor = (answer: number, status: number): number => LINE_OF[answer][status] ?? LINE.UNHANDLED;
