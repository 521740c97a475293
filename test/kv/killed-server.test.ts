import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, inFolder } from './harness.ts';

/** How often a server is killed: KV_KILLS=50 for more than a look. */
const KILLS = Number(process.env.KV_KILLS ?? 2);

const SERVER = fileURLToPath(new URL('../../bin/arena-kv.js', import.meta.url));

/** In each generation so many keys get a value that says which it is; one write, so one batch. */
const KEYS = 200;
/** Some that make the snapshot long. */
const BALLAST = 1500;

/** One connection to a server, answered in order. */
class Client {
  private text = '';
  private readonly socket;
  private wake = () => {};

  private constructor(port: number) {
    this.socket = connect(port, '127.0.0.1').setEncoding('latin1');
    this.socket.on('data', (data) => {
      this.text += data;
      this.wake();
    });
    // The server is killed under it.
    this.socket.on('error', () => undefined);
  }

  /** Tries until a server listens. */
  static async open(port: number): Promise<Client> {
    for (;;) {
      const client = new Client(port);
      const open = await new Promise((resolve) => {
        client.socket.once('connect', () => resolve(true)).once('close', () => resolve(false));
      });
      if (open) return client;
      await sleep(20);
    }
  }

  /** Sends text and waits for an answer that ends like that. */
  async ask(text: string, end: string): Promise<string> {
    this.text = '';
    this.socket.write(text);
    while (!this.text.endsWith(end)) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.text;
  }

  /** Stores a generation. */
  store(generation: number): Promise<string> {
    const value = String(generation);
    let text = '';
    for (let key = 0; key < KEYS; key++) text += `set key${key} 0 0 ${value.length} noreply\r\n${value}\r\n`;
    return this.ask(`${text}mn\r\n`, 'MN\r\n');
  }

  /** The generation that all keys are of; 0 where there are none. */
  async generation(): Promise<number> {
    const keys = Array.from({ length: KEYS }, (_, key) => `key${key}`).join(' ');
    const answer = await this.ask(`get ${keys}\r\n`, 'END\r\n');
    const found = [...answer.matchAll(/VALUE \S+ 0 \d+\r\n(\d+)\r\n/g)].map((match) => Number(match[1]));
    assert.ok(found.length === 0 || found.length === KEYS, `${found.length} of ${KEYS} keys`);
    for (const each of found) assert.equal(each, found[0]);
    return found[0] ?? 0;
  }

  async ballast(): Promise<void> {
    const value = 'x'.repeat(4000);
    for (let key = 0; key < BALLAST; key += 100) {
      let text = '';
      for (let i = key; i < key + 100; i++) text += `set ballast${i} 0 0 4000 noreply\r\n${value}\r\n`;
      await this.ask(`${text}mn\r\n`, 'MN\r\n');
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

const inode = (file: string) => statSync(file, { throwIfNoEntry: false })?.ino ?? 0;

it('a server that is killed comes back with its last complete snapshot', async () => {
  await inFolder(async (folder) => {
    const file = join(folder, 'snapshot');
    const port = await freePort();
    let server: ChildProcess | undefined;
    try {
      let generation = 0;
      /** What the last complete snapshot has: not less than the first, not more than the second. */
      let least = 0;
      let most = 0;
      for (let round = 0; round <= KILLS; round++) {
        server = spawn(
          process.execPath,
          [
            SERVER,
            '-p',
            `${port}`,
            '-l',
            '127.0.0.1',
            '-m',
            '32',
            '--snapshot',
            file,
            '--snapshot-every',
            '1',
          ],
          { stdio: 'ignore' },
        );
        const client = await Client.open(port);
        const restored = await client.generation();
        assert.ok(
          restored >= least && restored <= most,
          `round ${round}: ${restored}, not ${least} to ${most}`,
        );
        generation = Math.max(generation, restored);
        if (round === 0) await client.ballast();
        if (round < KILLS) {
          // Two snapshots while generations go on, and death somewhere in the third.
          least = restored;
          let begun = restored;
          for (let snapshots = 0, until = Infinity; performance.now() < until; ) {
            const before = inode(file);
            await client.store(++generation);
            most = generation;
            if (inode(file) === before) continue;
            // The one that is complete now was begun behind the one before.
            least = begun;
            begun = generation;
            if (++snapshots === 2) until = performance.now() + 950 + Math.random() * 150;
          }
        }
        server.kill('SIGKILL');
        await once(server, 'close');
        client.close();
      }
      assert.ok(generation > 2 * KILLS);
    } finally {
      server?.kill('SIGKILL');
    }
  });
});
