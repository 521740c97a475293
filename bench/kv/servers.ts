import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { End } from '../../tools/network.ts';
import { itemKey, itemValue, VALUE_BYTES } from './load.ts';
import { TcpClient } from './sockets.ts';

/** Servers in a network namespace, and how they get their items. A server goes with the benchmark, however that ends. */

const ARENA_KV = fileURLToPath(new URL('../../bin/arena-kv.js', import.meta.url));
/** MiB, for what is stored. */
const MEMORY = 256;
/** Milliseconds until a server has to listen: the XDP program is verified first. */
const PATIENCE = 30_000;
const FILL_BATCH = 500;

export type ServerKind = 'memcached' | 'arena-kv' | 'arena-kv linux' | 'arena-kv xdp';

/** What runs in the namespace of `end`. */
function commandOf(kind: ServerKind, { address, interface: name }: End, port: number): string[] {
  const where = [
    '--port',
    String(port),
    '--udp-port',
    String(port),
    '--listen',
    address,
    '--memory',
    String(MEMORY),
  ];
  const memcached = [
    'memcached',
    '-u',
    'root',
    '-t',
    '1',
    '-m',
    String(MEMORY),
    '-l',
    address,
    '-p',
    String(port),
  ];
  switch (kind) {
    case 'memcached':
      return [...memcached, '-U', String(port)];
    case 'arena-kv':
      return [process.execPath, ARENA_KV, ...where];
    case 'arena-kv linux':
      return [process.execPath, ARENA_KV, ...where, '--kernel', 'linux'];
    case 'arena-kv xdp':
      return [process.execPath, ARENA_KV, ...where, '--kernel', 'linux', '--xdp', name];
  }
}

export class ServerProcess implements Disposable {
  readonly #child: ChildProcess;
  #said = '';

  constructor(kind: ServerKind, end: End, port: number, cpu: number) {
    const command = ['netns', 'exec', end.netns, 'taskset', '-c', String(cpu), ...commandOf(kind, end, port)];
    this.#child = spawn('ip', command, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (text: Buffer) => {
        this.#said = (this.#said + text.toString()).slice(-2000);
      });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** What it said last. */
  get said(): string {
    return this.#said.trim();
  }

  /** Waits until it says something. Throws when it ends, or takes too long. */
  async saying(what: RegExp): Promise<string> {
    const end = performance.now() + PATIENCE;
    for (;;) {
      const found = what.exec(this.#said);
      if (found !== null) return found[0];
      this.requireRunning();
      if (performance.now() > end) throw new Error(`a server does not say ${what}, but: ${this.said}`);
      await delay(20);
    }
  }

  /** Sends it a signal, and waits until it has ended. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    await ended;
  }

  /** Throws what it said when it has ended. */
  requireRunning(): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null)
      throw new Error(`a server has ended: ${this.said || 'it said nothing'}`);
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }
}

/** Waits until a server listens, then stores the items. @param netns where the client is */
export async function fill(
  server: ServerProcess,
  netns: string,
  where: { address: string; port: number },
  items: number,
): Promise<void> {
  using client = await listening(server, netns, where);
  const stored = new Uint8Array(FILL_BATCH * 'STORED\r\n'.length);
  for (let first = 0; first < items; first += FILL_BATCH) {
    const count = Math.min(FILL_BATCH, items - first);
    const sets = Array.from(
      { length: count },
      (_, i) => `set ${itemKey(first + i)} 0 0 ${VALUE_BYTES}\r\n${itemValue(first + i)}\r\n`,
    );
    client.send(Buffer.from(sets.join('')));
    const answers = stored.subarray(0, count * 'STORED\r\n'.length);
    client.receive(answers);
    if (Buffer.from(answers).toString() !== 'STORED\r\n'.repeat(count))
      throw new Error('a server did not store all items');
  }
}

async function listening(
  server: ServerProcess,
  netns: string,
  where: { address: string; port: number },
): Promise<TcpClient> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    server.requireRunning();
    try {
      return new TcpClient(netns, where);
    } catch (error) {
      // ECONNREFUSED.
      if (!/errno 111/.test(String(error))) throw error;
      if (performance.now() > end) throw new Error(`a server does not listen: ${server.said}`);
    }
    await delay(50);
  }
}

/** Why memcached cannot be compared with; undefined when it can. */
export function noMemcached(): string | undefined {
  const { error } = spawnSync('memcached', ['-V']);
  return error === undefined ? undefined : 'no memcached on PATH (Debian package memcached)';
}
