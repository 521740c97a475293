/**
 * What `stats` answers: memcached's names for what the store and the server count, as far as there is such a thing here. Rows are
 * names and values; clients get them as lines.
 */
import { VERSION } from './protocol/lines.ts';
import type { Server } from './server.ts';
import type { StoreStatistics } from './store.ts';

export type Row = readonly [name: string, value: string | number | bigint];

/** The subcommands of `stats`. */
const TABLES: Readonly<Record<string, (server: Server) => Row[]>> = {
  '': general,
  settings,
  items,
  slabs,
  // A histogram would have to be counted at every change: memcached does that only where it was asked for.
  sizes: () => [['sizes_status', 'disabled']],
  conns: connections,
  // Ours: what arena-kv top shows.
  hotkeys: ({ engine }) => engine.hotKeys.top(20).map(({ key, share }): Row => [key, share.toFixed(4)]),
};

/** @param what the subcommand. @returns lines with their END, or undefined for a subcommand that is none. */
export function renderStatistics(server: Server, what: string): string | undefined {
  if (!Object.hasOwn(TABLES, what)) return undefined;
  const rows = TABLES[what](server);
  return `${rows.map(([name, value]) => `STAT ${name} ${value}\r\n`).join('')}END\r\n`;
}

/** Counters of the store, by memcached's name. */
const STORE_COUNTERS = {
  cmd_get: 'gets',
  cmd_set: 'sets',
  cmd_touch: 'touches',
  get_hits: 'get_hits',
  get_misses: 'get_misses',
  get_expired: 'get_expired',
  get_flushed: 'get_flushed',
  delete_misses: 'delete_misses',
  delete_hits: 'delete_hits',
  incr_misses: 'incr_misses',
  incr_hits: 'incr_hits',
  decr_misses: 'decr_misses',
  decr_hits: 'decr_hits',
  cas_misses: 'cas_misses',
  cas_hits: 'cas_hits',
  cas_badval: 'cas_badval',
  touch_hits: 'touch_hits',
  touch_misses: 'touch_misses',
  store_no_memory: 'no_memory',
  bytes: 'bytes',
  curr_items: 'items',
  total_items: 'stored',
  evictions: 'evictions',
  evicted_unfetched: 'evicted_unfetched',
  reclaimed: 'reclaimed',
  expired_unfetched: 'expired_unfetched',
  crawler_reclaimed: 'crawler_reclaimed',
  slabs_moved: 'slabs_moved',
} as const satisfies Record<string, keyof StoreStatistics['all']>;

/** Those that keys count in which the XDP program finds. */
const FOUND: readonly string[] = ['cmd_get', 'get_hits'];

const PAGE = 4096n;

function general(server: Server): Row[] {
  const { engine, options, store, started } = server;
  const { counters } = engine;
  const statistics = store.statistics();
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  const seconds = (microseconds: number) => (microseconds / 1e6).toFixed(6);
  const found = server.accelerators.reduce((sum, { keys }) => sum + keys, 0n);
  const counted = Object.entries(STORE_COUNTERS).map(
    // What XDP has found, the store has not counted.
    ([name, counter]): Row => [name, statistics.all[counter] + (FOUND.includes(name) ? found : 0n)],
  );
  return [
    ['pid', process.pid],
    ['uptime', engine.now - started],
    ['time', engine.now],
    ['version', VERSION],
    ['pointer_size', 64],
    ['rusage_user', seconds(userCPUTime)],
    ['rusage_system', seconds(systemCPUTime)],
    ['max_connections', options.maxConnections],
    ['curr_connections', counters.currentConnections],
    ['total_connections', counters.totalConnections],
    ['rejected_connections', counters.rejectedConnections],
    ['slow_connections_closed', counters.slowConnections],
    ['waits_for_slow_clients', counters.waits],
    ['cmd_flush', counters.flushCommands],
    ['cmd_meta', counters.metaCommands],
    ...counted,
    ['store_too_large', BigInt(counters.tooLarge) + statistics.all.too_large],
    ['bytes_read', counters.bytesRead],
    ['bytes_written', counters.bytesWritten],
    ['limit_maxbytes', options.memory * 2 ** 20],
    ['accepting_conns', 1],
    ['threads', 1],
    ['hash_buckets', statistics.buckets],
    ['hash_bytes', statistics.pages_table * PAGE],
    ['memory_used', statistics.pages * PAGE],
    ['kernel', options.kernel],
    ['cpus', options.cpus],
    ...snapshotRows(server),
    ...server.accelerators.flatMap((accelerator) => accelerator.statistics()),
  ];
}

function snapshotRows({ options, saved }: Server): Row[] {
  if (options.snapshot === undefined) return [];
  return [
    ['snapshot_time', saved.time],
    ['snapshot_pages', saved.pages],
    ['snapshot_pause_us', Math.round(saved.pause * 1000)],
  ];
}

function settings({ engine, options, port, udpPort }: Server): Row[] {
  return [
    ['maxbytes', options.memory * 2 ** 20],
    ['maxconns', options.maxConnections],
    ['tcpport', port],
    ['udpport', udpPort],
    ['inter', options.listen ?? 'NULL'],
    ['verbosity', engine.verbosity],
    ['evictions', 'on'],
    ['domain_socket', options.socket ?? 'NULL'],
    ['shutdown_command', 'no'],
    ['growth_factor', '1.25'],
    ['num_threads', 1],
    ['detail_enabled', 'no'],
    ['cas_enabled', 'yes'],
    ['binding_protocol', 'ascii'],
    ['auth_enabled_sasl', 'no'],
    ['item_size_max', 2 ** 20],
    ['flush_enabled', 'yes'],
    ['dump_enabled', 'no'],
    ['track_sizes', 'no'],
    ['kernel', options.kernel],
    ['cpus', options.cpus],
  ];
}

/** Rows about each class that is in use; memcached numbers classes from 1. */
function byClass(
  server: Server,
  rows: (one: StoreStatistics['class'][number]) => Row[],
  prefix: string,
): Row[] {
  return server.store
    .statistics()
    .class.flatMap((one, index) =>
      one.pages === 0 ? [] : rows(one).map(([name, value]): Row => [`${prefix}${index + 1}:${name}`, value]),
    );
}

function items(server: Server): Row[] {
  return byClass(
    server,
    ({ counters }) =>
      counters.items === 0n
        ? []
        : [
            ['number', counters.items],
            ['mem_requested', counters.bytes],
            ['evicted', counters.evictions],
            ['evicted_time', counters.last_evicted_age],
            ['evicted_unfetched', counters.evicted_unfetched],
            ['outofmemory', counters.no_memory],
            ['reclaimed', counters.reclaimed],
            ['hits', counters.hits],
          ],
    'items:',
  );
}

function slabs(server: Server): Row[] {
  const { class: classes, pages } = server.store.statistics();
  return [
    ...byClass(
      server,
      (one) => {
        const slots = BigInt(one.slots * one.slabs);
        return [
          ['chunk_size', one.size],
          ['chunks_per_page', one.slots],
          ['total_pages', one.slabs],
          ['total_chunks', slots],
          ['used_chunks', one.used_slots],
          ['free_chunks', slots > one.used_slots ? slots - one.used_slots : 0n],
          ['mem_pages', one.pages],
          ['get_hits', one.counters.hits],
        ];
      },
      '',
    ),
    ['active_slabs', classes.filter((one) => one.pages > 0).length],
    ['total_malloced', pages * PAGE],
  ];
}

function connections({ connections: all, engine, options }: Server): Row[] {
  return [...all].flatMap(({ socket, waitingSince, lastCommand, pending }, index): Row[] => {
    const from =
      socket.remoteAddress === undefined
        ? `unix:${options.socket}`
        : `tcp:${socket.remoteAddress}:${socket.remotePort}`;
    return [
      [`${index}:addr`, from],
      [`${index}:state`, pending > 0 ? 'conn_mwrite' : 'conn_read'],
      [`${index}:secs_since_last_cmd`, engine.now - lastCommand],
      ...(pending > 0 ? [[`${index}:secs_waiting`, engine.now - waitingSince] as const] : []),
    ];
  });
}
