/**
 * What is measured: one row a benchmark program of programs/bench. Each does a fixed amount of work, about 1 to 20 ms of
 * Linux's time, and leaves a checksum that must be the same on every engine.
 */

export interface Workload {
  /** The program that is timed. */
  readonly name: string;
  /** The source, and the object made of it: programs/bench/{object}.bpf.o. */
  readonly object: string;
  /** What it computes. */
  readonly checksum: string;
  /** Run once, first. */
  readonly setup: readonly string[];
  /** Run before each timed run, not timed. */
  readonly before?: string;
  /** The ring buffer that is emptied before each timed run. */
  readonly drains?: string;
  /** What a run does, and how often. */
  readonly operation: string;
  readonly operations: number;
  /** False where native code has no counterpart: maps, page tables. */
  readonly native: boolean;
  /** Shown, but not part of the means: not what the JIT is about. */
  readonly informative?: true;
}

/** What programs do with maps: each is one operation, 65,536 times. */
const MAP_OPERATIONS = [
  map('array_lookup', '536838144', 'lookup'),
  map('hash_map_lookup', '268419072', 'lookup'),
  map('hash_map_update', '536838144', 'update'),
  map('hash_map_delete', '65536', 'deletion and insertion'),
  map('percpu_counter', '33587200', 'lookup'),
  map('percpu_hash_counter', '33587200', 'lookup'),
  map('ringbuf_output', '2147450880', 'record of 64 bytes', { drains: 'events' }),
  map('ringbuf_reserve', '2147450880', 'record of 64 bytes', { drains: 'events' }),
  map('spin_lock', '65535', 'locking and unlocking'),
];

export const WORKLOADS = [
  row('hash_insert', 'hash_table', '65536', 65_536, 'insertion', {
    setup: ['hash_setup'],
    before: 'hash_clear',
  }),
  row('hash_lookup', 'hash_table', '2147450880', 131_072, 'lookup', { setup: ['hash_setup', 'hash_insert'] }),
  row('list_build', 'list', '34359214080', 16 * 65_536, 'node', { setup: ['list_setup'] }),
  row('list_walk', 'list', '103077642240', 16 * 65_536, 'node', { setup: ['list_setup', 'list_build'] }),
  row('tree_insert', 'rbtree', '7408963384981888293', 16_384, 'insertion', {
    setup: ['tree_setup'],
    before: 'tree_clear',
  }),
  row('tree_lookup', 'rbtree', '268419072', 65_536, 'lookup', { setup: ['tree_setup', 'tree_insert'] }),
  row('hash_bytes', 'bytes', '11263213327838570501', 8 * 262_144, 'byte', { setup: ['bytes_setup'] }),
  row('hash_words', 'bytes', '14137351633231033785', 32 * 32_768, 'word', { setup: ['bytes_setup'] }),
  row('varint', 'bytes', '12954094702309925036', 4 * 32_768, 'number', { setup: ['bytes_setup'] }),
  row('base64', 'bytes', '5867465969090785075', 8 * 65_536, '3 bytes', { setup: ['bytes_setup'] }),
  row('array_fill', 'array', '11400714919654033006', 32 * 65_536, 'element', { setup: ['array_setup'] }),
  row('prefix_sum', 'array', '139914638660481714', 32 * 65_536, 'element', { setup: ['array_setup'] }),
  row('heap_sort', 'array', '17334418528341783545', 32_768, 'element', {
    setup: ['array_setup'],
    before: 'array_shuffle',
  }),
  row('sha256', 'crypto', '1893149362765417083', 4_096, 'block', { setup: ['crypto_setup'] }),
  row('chacha20', 'crypto', '17041573694967632440', 2 * 4_096, 'block', { setup: ['crypto_setup'] }),
  row('subprogram_calls', 'calls', '8008686449074589380', 4_096 * 4, 'expression', {}),
  row('helper_calls', 'helpers', '15026234400327588516', 65_536, 'event', {
    setup: ['helper_setup'],
    before: 'helper_reset',
    native: false,
  }),
  row('page_churn', 'pages', '1956563721712844874', 512, 'step', { native: false }),
  row('map_lookup', 'helpers', '268419072', 65_536, 'lookup', {
    setup: ['helper_setup'],
    native: false,
    informative: true,
  }),
  row('clock_read', 'helpers', '65536', 65_536, 'reading', { native: false, informative: true }),
  ...MAP_OPERATIONS,
] as const satisfies readonly Workload[];

function row(
  name: string,
  object: string,
  checksum: string,
  operations: number,
  operation: string,
  rest: Partial<Workload>,
): Workload {
  return { name, object, checksum, operations, operation, setup: [], native: true, ...rest };
}

function map(name: string, checksum: string, operation: string, rest: Partial<Workload> = {}): Workload {
  const whole = { setup: ['maps_setup'], before: 'maps_reset', native: false, informative: true } as const;
  return row(name, 'maps', checksum, 65_536, operation, { ...whole, ...rest });
}
