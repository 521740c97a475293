/**
 * arena-kv top: looks at a running server through its own `stats`, once a second: rates, hit rate, memory by size class, the keys that
 * are asked for most, and what the accelerator answered. For people a page that is drawn anew, for scripts one JSON value.
 */
import { connect } from 'node:net';
import { Command, InvalidArgumentError } from 'commander';

interface Flags {
  port: number;
  host: string;
  socket?: string;
  interval: number;
  once?: boolean;
  json?: boolean;
}

type Numbers = Readonly<Record<string, number>>;

/** What `stats` said, at one time. */
interface Sample {
  /** Milliseconds. */
  readonly at: number;
  readonly general: Numbers;
  readonly slabs: Numbers;
  readonly items: Numbers;
  readonly hot: readonly { readonly key: string; readonly share: number }[];
}

/** What is shown. Rates are for a second, between two samples. */
export interface Report {
  readonly time: string;
  readonly uptime: number;
  readonly kernel: string;
  readonly getsPerSecond: number;
  readonly setsPerSecond: number;
  /** Of the gets between the samples, 0 to 1; of all, where there were none. */
  readonly hitRate: number;
  readonly items: number;
  readonly bytes: number;
  readonly memoryUsed: number;
  readonly memoryLimit: number;
  readonly evictionsPerSecond: number;
  readonly connections: number;
  readonly classes: readonly {
    readonly size: number;
    readonly items: number;
    readonly bytes: number;
    readonly memory: number;
    readonly hits: number;
    readonly evicted: number;
  }[];
  readonly hotKeys: Sample['hot'];
  readonly xdp?: { readonly hitsPerSecond: number; readonly passesPerSecond: number };
}

const SECTIONS = ['stats', 'stats slabs', 'stats items', 'stats hotkeys'];

/** Asks a server. Rejects with what the system says of it, or where it answers something else. */
function sample(flags: Flags): Promise<Sample & { kernel: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      flags.socket === undefined ? { port: flags.port, host: flags.host } : { path: flags.socket },
    );
    let heard = '';
    socket.setTimeout(5000, () => socket.destroy(new Error('the server does not answer')));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed the connection')));
    socket.on('connect', () => socket.write(SECTIONS.map((section) => `${section}\r\n`).join('')));
    socket.on('data', (data) => {
      heard += data.toString('latin1');
      const parts = heard.split(/^(?:END|ERROR)\r\n/m);
      if (parts.length <= SECTIONS.length) return;
      const rows = parts.map((part) =>
        [...part.matchAll(/^STAT (\S+) (.*)\r$/gm)].map(([, name, value]) => [name, value] as const),
      );
      const [general, slabs, items] = rows.map((list) =>
        Object.fromEntries(list.map(([name, value]) => [name, Number(value)])),
      );
      const kernel = rows[0].find(([name]) => name === 'kernel')?.[1] ?? '';
      const hot = rows[3].map(([key, share]) => ({ key, share: Number(share) }));
      resolve({ at: performance.now(), general, slabs, items, hot, kernel });
      socket.destroy();
    });
  });
}

function report(before: Sample, now: Sample & { kernel: string }): Report {
  const seconds = Math.max(0.001, (now.at - before.at) / 1000);
  const { general, slabs, items } = now;
  const rate = (name: string) => ((general[name] ?? 0) - (before.general[name] ?? 0)) / seconds;
  const ratio = (from: (name: string) => number) =>
    from('get_hits') / (from('get_hits') + from('get_misses'));
  const recent = ratio(rate);
  const classes = Object.keys(slabs)
    .filter((name) => name.endsWith(':chunk_size'))
    .map((name) => {
      const number = name.split(':')[0];
      const of = (field: string) => slabs[`${number}:${field}`] ?? 0;
      const item = (field: string) => items[`items:${number}:${field}`] ?? 0;
      return {
        size: of('chunk_size'),
        items: item('number'),
        bytes: item('mem_requested'),
        memory: of('mem_pages') * 4096,
        hits: of('get_hits'),
        evicted: item('evicted'),
      };
    });
  const hasXdp = 'xdp_hits' in general;
  return {
    time: new Date().toISOString(),
    uptime: general.uptime,
    kernel: now.kernel,
    getsPerSecond: rate('cmd_get'),
    setsPerSecond: rate('cmd_set'),
    hitRate: Number.isNaN(recent) ? ratio((name) => general[name] ?? 0) || 0 : recent,
    items: general.curr_items,
    bytes: general.bytes,
    memoryUsed: general.memory_used,
    memoryLimit: general.limit_maxbytes,
    evictionsPerSecond: rate('evictions'),
    connections: general.curr_connections - 1,
    classes,
    hotKeys: now.hot,
    ...(hasXdp ? { xdp: { hitsPerSecond: rate('xdp_hits'), passesPerSecond: rate('xdp_passes') } } : {}),
  };
}

const BOLD = 1;
const GREEN = 32;

/** A report as a page. @param colours whether to use any. */
export function page(shown: Report, colours: boolean, rows = 40): string {
  const paint = (text: string, colour: number) => (colours ? `\x1b[${colour}m${text}\x1b[0m` : text);
  const count = (value: number) => Math.round(value).toLocaleString('en-US');
  const size = (bytes: number) =>
    bytes < 2 ** 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const percent = (part: number) => `${(part * 100).toFixed(1)} %`;
  const printable = (key: string) => key.replace(/[^\x21-\x7e]/g, '?').slice(0, 60);
  const { xdp } = shown;
  const lines = [
    paint(
      `arena-kv on the ${shown.kernel} kernel, up ${shown.uptime} s, ${count(shown.connections)} clients`,
      BOLD,
    ),
    `gets ${count(shown.getsPerSecond)}/s  sets ${count(shown.setsPerSecond)}/s  hits ${paint(percent(shown.hitRate), GREEN)}  evictions ${count(shown.evictionsPerSecond)}/s`,
    ...(xdp === undefined
      ? []
      : [`XDP hits ${count(xdp.hitsPerSecond)}/s  passes ${count(xdp.passesPerSecond)}/s`]),
    `items ${count(shown.items)}, ${size(shown.bytes)}; memory ${size(shown.memoryUsed)} of ${size(shown.memoryLimit)}`,
    '',
    paint('  slot       items    filled    memory        hits     evicted', BOLD),
    ...shown.classes.map(
      (one) =>
        `${(one.size === 0 ? 'large' : `${one.size}`).padStart(6)} ${count(one.items).padStart(11)} ${percent(one.memory === 0 ? 0 : one.bytes / one.memory).padStart(9)} ${size(one.memory).padStart(10)} ${count(one.hits).padStart(11)} ${count(one.evicted).padStart(11)}`,
    ),
    '',
    paint('  share  key', BOLD),
    ...shown.hotKeys.map(({ key, share }) => `${percent(share).padStart(7)}  ${printable(key)}`),
  ];
  return `${lines.slice(0, rows).join('\n')}\n`;
}

const seconds = (text: string): number => {
  const value = Number(text);
  if (!(value >= 0.1 && value <= 3600))
    throw new InvalidArgumentError('seconds from 0.1 to 3600 are needed.');
  return value;
};

const portNumber = (text: string): number => {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 65_535)
    throw new InvalidArgumentError('a port from 1 to 65535 is needed.');
  return value;
};

/** The command `top`. */
export const top = (): Command =>
  new Command('top')
    .description('show what a running server does, live')
    .option('-p, --port <port>', 'its TCP port', portNumber, 11_211)
    .option('--host <host>', 'its address', '127.0.0.1')
    .option('-s, --socket <path>', 'its unix socket, instead')
    .option('-i, --interval <seconds>', 'between two looks', seconds, 1)
    .option('--once', 'one look, after one interval')
    .option('--json', 'print JSON, a line for each look')
    .action(show);

async function show(flags: Flags): Promise<void> {
  const live = !flags.once && !flags.json && process.stdout.isTTY === true;
  const colours = process.stdout.isTTY === true && !flags.json;
  const finish = () => {
    // The cursor comes back, below the page.
    if (live) process.stdout.write('\x1b[?25h\n');
    process.exit(0);
  };
  process.on('SIGINT', finish);
  process.on('SIGTERM', finish);
  if (live) process.stdout.write('\x1b[?25l');
  try {
    let before = await sample(flags);
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, flags.interval * 1000));
      const now = await sample(flags);
      const shown = report(before, now);
      before = now;
      if (live) process.stdout.write('\x1b[H\x1b[J');
      process.stdout.write(
        flags.json
          ? `${JSON.stringify(shown)}\n`
          : page(shown, colours, live ? process.stdout.rows : undefined),
      );
      if (flags.once) return;
    }
  } finally {
    if (live) process.stdout.write('\x1b[?25h');
  }
}
