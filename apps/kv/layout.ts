/**
 * What programs/kv/kv.h says, as numbers: what commands, results and ports look like in the arena. A test holds it against the
 * types in the object, so neither can change alone.
 */

/** kv_command.op. */
export const OP = {
  GET: 1,
  SET: 2,
  ADD: 3,
  REPLACE: 4,
  APPEND: 5,
  PREPEND: 6,
  INCR: 7,
  DECR: 8,
  TOUCH_ONLY: 9,
  DELETE: 10,
  FLUSH: 11,
  RESERVE: 12,
  RELEASE: 13,
} as const satisfies Record<string, number>;

/** kv_command.options. */
export const OPTION = {
  VALUE: 1 << 0,
  TOUCH: 1 << 1,
  IF_CAS: 1 << 2,
  NEW_CAS: 1 << 3,
  VIVIFY: 1 << 4,
  RECACHE: 1 << 5,
  INVALIDATE: 1 << 6,
  QUIET: 1 << 7,
  RESERVED: 1 << 8,
  DROP_VALUE: 1 << 9,
  TOUCH_FIRST: 1 << 10,
} as const satisfies Record<string, number>;

/** kv_result.status. */
export const STATUS = {
  OK: 0,
  NOT_FOUND: 1,
  NOT_STORED: 2,
  EXISTS: 3,
  NOT_A_NUMBER: 4,
  TOO_LARGE: 5,
  NO_MEMORY: 6,
  BUSY: 7,
  BAD_COMMAND: 8,
} as const satisfies Record<string, number>;

/** kv_result.item. */
export const ITEM = { WON: 1, STALE: 2, WIN_SENT: 4, FETCHED: 8 } as const satisfies Record<string, number>;

/** struct kv_command: offsets in bytes. */
export const COMMAND = {
  op: 0,
  key_bytes: 1,
  options: 2,
  value_bytes: 4,
  flags: 8,
  expires: 12,
  cas: 16,
  new_cas: 24,
  number: 32,
  initial: 40,
  vivify_expires: 48,
  recache_before: 52,
} as const satisfies Record<string, number>;
export const COMMAND_BYTES = 56;

/** struct kv_result: offsets in bytes. */
export const RESULT = {
  status: 0,
  value_bytes: 4,
  carried: 8,
  flags: 12,
  expires: 16,
  accessed: 20,
  item: 24,
  expires_before: 28,
  cas: 32,
  address: 40,
} as const satisfies Record<string, number>;
export const RESULT_BYTES = 48;

/** struct kv_port: offsets in bytes. */
export const PORT = {
  commands: 0,
  results: 8,
  command_bytes: 16,
  done_bytes: 24,
  done: 28,
  result_bytes: 32,
} as const satisfies Record<string, number>;
export const PORT_BYTES = 40;

/** struct kv_run. */
export const RUN_BYTES = 8;

/** Bytes. */
export const PAGE = 4096;
export const KEY_MAX = 250;
export const BUFFER_BYTES = 2 << 20;

/** Commands and results start at multiples of this. */
export const align8 = (bytes: number): number => (bytes + 7) & ~7;

/** Of the places that a snapshot has to know: bytes of a bucket, pages of a slab and of a table's segment, the class of large items. */
export const BUCKET_BYTES = 8;
export const SLAB_PAGES = 16;
export const SEGMENT_BUCKETS = 4096;
export const SEGMENT_PAGES = (SEGMENT_BUCKETS * BUCKET_BYTES) / PAGE;
export const LARGE_CLASS = 31;
/** Words of what precedes a slab or a large item: the next one of its ring, and a large item's pages. */
export const RING = { next: 0, pages: 2 } as const satisfies Record<string, number>;
