/**
 * Says the same to arena-kv and to memcached, and compares what they answer: `npm run fuzz:kv`.
 * Commands are random, over few keys, so that they meet; some are damaged. What the servers may differ in is not generated: times
 * that pass meanwhile, flags that a later memcached has, the order in which a flag changes a time and another shows it.
 */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Reader } from '../test/kv/exchanges.ts';
import { freePort, startServer } from '../test/kv/harness.ts';
import { argumentsOf, misunderstood, positiveNumber, wholeNumber } from '../tools/arguments.ts';

const USAGE = `usage: npm run fuzz:kv -- [--seconds S] [--seed S] [--kernel NAME]
  --seconds S    how long (10)
  --seed S       of the commands (another each time)
  --kernel NAME  arena-kv's: embedded or linux (embedded)
Needs memcached.`;

/** xorshift32. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const KEYS = ['a', 'b', 'c', 'dd', 'key:1', 'k'.repeat(250), 'k'.repeat(251)];
/** A get with a key that is too long takes the answers to what was said before it along, in memcached. */
const SHORT_KEYS = KEYS.slice(0, 6);
const VALUES = [
  '',
  '0',
  '7',
  '41',
  '99',
  'x',
  'some text',
  'v'.repeat(100),
  'w'.repeat(1500),
  '-3',
  'a\r\nb',
];
/** What makes no number with zeroes in front. */
const TEXTS = VALUES.filter((value) => !/^\d/.test(value));
const TIMES = ['0', '100', '1000', '-1', '2592000', 'x', '4294967296', ''];
/** Numbers never get shorter here: what is then behind them depends on whom memcached still owes an answer (see command()). */
const NUMBERS = ['0', '1', '5', '99', '18446744073709551616', '-1', 'x', ''];
const LESS = ['0', '18446744073709551616', '-1', 'x', ''];
/** Flags of meta commands that show or change something; those with an argument have it. */
const SHOWN = ['v', 'k', 's', 'f', 'c', 'h', 't', 'q', 'u', 'Oop', 'O0123456789', 'L', 'P1'];
const GET_FLAGS = [...SHOWN, 'N100', 'N0', 'R50', 'R5000', 'T500'];
const SET_FLAGS = [
  'k',
  'c',
  'q',
  'Oop',
  'T200',
  'F5',
  'F0',
  'C0',
  'C999999',
  'MS',
  'MR',
  'MA',
  'MP',
  'ME',
  'MX',
  'I',
];
const DELETE_FLAGS = ['k', 'q', 'Oop', 'C0', 'C999999', 'I', 'T300', 'b'];
const MATH_FLAGS = ['k', 'c', 'v', 'q', 't', 'Oop', 'N100', 'J10', 'D5', 'MI', 'M+', 'MX', 'C0', 'C999999'];

/**
 * A command with whatever belongs to it. Behind what reads items there is an mn: it has memcached send its answers, and let go of the
 * items. Until then, a number that changes becomes a new item, without spaces behind it and without what was known of the old one.
 */
export function command(random: (below: number) => number): string {
  const text = anyCommand(random);
  return /^(mg|g|ma)/.test(text) ? `${text}mn\r\n` : text;
}

function anyCommand(random: (below: number) => number): string {
  const one = <T>(list: readonly T[]): T => list[random(list.length)];
  const some = (list: readonly string[], most: number) => {
    const flags = Array.from({ length: random(most + 1) }, () => one(list));
    // A flag that changes the time shows in the answer where a later one does: not compared.
    const kept = flags.some((flag) => /^[TN]/.test(flag)) ? flags.filter((flag) => flag !== 't') : flags;
    return kept.map((flag) => ` ${flag}`).join('');
  };
  const end = () => (random(20) === 0 ? '\n' : '\r\n');
  const noreply = () => (random(6) === 0 ? ' noreply' : '');
  const data = (values = VALUES) => {
    const value = one(values);
    const wrong = random(40) === 0 ? random(3) - 1 : 0;
    return { value, bytes: Math.max(0, value.length + wrong) };
  };
  const key = one(KEYS);
  switch (random(16)) {
    case 0:
    case 1:
    case 2: {
      const word = one(['set', 'add', 'replace', 'append', 'prepend', 'set', 'set']);
      const { value, bytes } = data(word.endsWith('pend') ? TEXTS : VALUES);
      return `${word} ${key} ${one(['0', '5', '4294967295'])} ${one(TIMES)} ${bytes}${noreply()}${end()}${value}\r\n`;
    }
    case 3: {
      const { value, bytes } = data();
      return `cas ${key} 1 0 ${bytes} ${one(['0', '999999', 'x'])}${noreply()}${end()}${value}\r\n`;
    }
    case 4:
    case 5:
      return `${one(['get', 'gets', 'get'])} ${Array.from({ length: 1 + random(5) }, () => one(SHORT_KEYS)).join(' ')}${end()}`;
    case 6:
      return `${one(['gat', 'gats'])} ${one(TIMES)} ${one(SHORT_KEYS)} ${one(SHORT_KEYS)}${end()}`;
    case 7:
      return random(2) === 0
        ? `incr ${key} ${one(NUMBERS)}${noreply()}${end()}`
        : `decr ${key} ${one(LESS)}${noreply()}${end()}`;
    case 8:
      return `touch ${key} ${one(TIMES)}${noreply()}${end()}`;
    case 9:
      return `delete ${key}${one(['', '', ' 0', ' 1'])}${noreply()}${end()}`;
    case 10:
    case 11:
      return `mg ${key}${some(GET_FLAGS, 5)}${end()}`;
    case 12: {
      const { value, bytes } = data(TEXTS);
      return `ms ${key} ${bytes}${some(SET_FLAGS, 4)}${end()}${value}\r\n`;
    }
    case 13:
      return `md ${key}${some(DELETE_FLAGS, 3)}${end()}`;
    case 14:
      return `ma ${key}${some(MATH_FLAGS, 4)}${end()}`;
    default:
      return one([
        'foo\r\n',
        '\r\n',
        'verbosity 0\r\n',
        'flush_all\r\n',
        'get\r\n',
        `${key}\r\n`,
        'ms a\r\n',
        'mg\r\n',
        'me nothing\r\n',
      ]);
  }
}

/** Ends what may be open, and says when everything was answered. */
const FENCE = 'version\r\n'.repeat(8);
const FENCED = /(VERSION .*\r\n){8}$/;
const FENCED_PARTLY = /VERSION .*\r\n$/;

/** Milliseconds. */
const PATIENCE = 10_000;

/** Sends commands on a connection of their own. @returns what is answered, as it is compared. Throws where nothing ends it. */
async function ask(port: number, text: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  let heard = '';
  let closed = false;
  let wake: () => void = () => undefined;
  socket.on('data', (data) => {
    heard += data.toString('latin1');
    wake();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
    wake();
  });
  socket.write(Buffer.from(text + FENCE, 'latin1'));
  const until = Date.now() + PATIENCE;
  let quiet = 0;
  while (!closed && Date.now() < until) {
    const silent = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(true), 15);
      wake = () => {
        clearTimeout(timer);
        resolve(false);
      };
    });
    quiet = silent ? quiet + 1 : 0;
    // Part of the fence may have been taken for a value.
    if (FENCED.test(heard.slice(-400)) || (quiet > 10 && FENCED_PARTLY.test(heard.slice(-50)))) break;
  }
  socket.destroy();
  if (!closed && !FENCED_PARTLY.test(heard.slice(-50)))
    throw new Error(`port ${port} leaves ${JSON.stringify(text)} unanswered`);
  return new Reader().read(heard);
}

/** What two servers said differently. */
export interface Difference {
  readonly commands: readonly string[];
  readonly memcached: string;
  readonly ours: string;
}

/**
 * Compares two servers for some time.
 * @returns the first difference, with as few commands as show it, and how many commands were sent.
 */
export async function compare(
  memcached: number,
  ours: number,
  seed: number,
  milliseconds: number,
): Promise<{ difference: Difference | undefined; commands: number }> {
  const random = randomFrom(seed);
  const until = Date.now() + milliseconds;
  const differ = async (commands: readonly string[]): Promise<Difference | undefined> => {
    const text = `flush_all\r\n${commands.join('')}`;
    const [theirs, own] = await Promise.all([ask(memcached, text), ask(ours, text)]);
    return theirs === own ? undefined : { commands, memcached: theirs, ours: own };
  };
  let count = 0;
  while (Date.now() < until) {
    const commands = Array.from({ length: 100 }, () => command(random));
    count += commands.length;
    let found = await differ(commands);
    if (found === undefined) continue;
    for (let size = 50; size >= 1; size = size >> 1) {
      for (let at = 0; at + size <= found.commands.length; ) {
        const fewer = found.commands.toSpliced(at, size);
        const still = await differ(fewer);
        if (still === undefined) at += size;
        else found = still;
      }
    }
    return { difference: found, commands: count };
  }
  return { difference: undefined, commands: count };
}

/** Debian's memcached on a port of its own; undefined where it is not installed. */
export async function startMemcached(): Promise<{ port: number; stop: () => void } | undefined> {
  const port = await freePort();
  const child = spawn(
    'memcached',
    ['-p', `${port}`, '-l', '127.0.0.1', '-U', '0', '-u', 'root', '-m', '64'],
    {
      stdio: 'ignore',
    },
  );
  const started = await new Promise<boolean>((resolve) => {
    child.once('spawn', () => resolve(true));
    child.once('error', () => resolve(false));
  });
  if (!started) return undefined;
  for (let tries = 0; tries < 100; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const probe = connect({ port, host: '127.0.0.1' }, () => {
        probe.destroy();
        resolve(true);
      });
      probe.on('error', () => resolve(false));
    });
    if (open) break;
    await sleep(50);
  }
  return { port, stop: () => child.kill() };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = argumentsOf(USAGE, {
    seconds: { type: 'string', default: '10' },
    seed: { type: 'string', default: `${Math.floor(Math.random() * 2 ** 31)}` },
    kernel: { type: 'string', default: 'embedded' },
  });
  const { kernel } = values;
  const seed = wholeNumber(USAGE, 'seed', values.seed, 0);
  const seconds = positiveNumber(USAGE, 'seconds', values.seconds);
  if (kernel !== 'embedded' && kernel !== 'linux')
    misunderstood(USAGE, `--kernel is embedded or linux: not '${kernel}'`);
  const memcached = await startMemcached();
  if (memcached === undefined) {
    console.error('fuzz:kv: memcached is not installed');
    process.exit(2);
  }
  const ours = await startServer({ kernel });
  console.log(`seed ${seed}`);
  const { difference, commands } = await compare(memcached.port, ours.port, seed, seconds * 1000);
  if (difference !== undefined) {
    console.log(difference.commands.map((text) => JSON.stringify(text)).join('\n'));
    console.log('memcached:', JSON.stringify(difference.memcached));
    console.log('arena-kv: ', JSON.stringify(difference.ours));
    process.exitCode = 1;
  } else console.log(`${commands} commands, answered alike`);
  memcached.stop();
  await ours.stop();
}
